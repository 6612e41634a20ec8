"""T1 and FLAIR of the same elderly subjects, registered, with automatic labels."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import known, placed, read_layout, required

summary = "T1 and FLAIR of elderly subjects on one 2 mm grid; white-matter lesions labelled by a machine"
citation = "CBICA NiChart Project, demo_dataset, github.com/CBICA/NiChart_Project"
licence = "SBIA/CBICA Software License, which must travel with copies"
folder = "brain_t1_flair"
columns = ("path", "path_flair", "patient_id", "labels", "wml", "age", "sex")
_DOMAINS = {"t1": "path", "flair": "path_flair"}


def build(root: Path) -> Manifest:
    """Make the manifest: a row of domain ``t1`` and one of ``flair`` for each subject, joined by pair_id.

    The mask of both holds the automatic lesion labels (1 is lesion); the column ``labels`` names the anatomy's.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = []
    for row in read_layout(root, folder, columns=columns):
        subject = "nichart-" + required(row, "patient_id", folder=folder)
        cases += [
            Case(
                case_id=f"{subject}-{domain}",
                subject_id=subject,
                domain=domain,
                image=placed(row, column, folder=folder),
                mask=placed(row, "wml", folder=folder) or None,
                pair_id=subject,
                extra={
                    "labels": placed(row, "labels", folder=folder),
                    "age": known(row, "age"),
                    "sex": known(row, "sex"),
                },
            )
            for domain, column in _DOMAINS.items()
        ]
    return Manifest(cases=tuple(cases), root=root)
