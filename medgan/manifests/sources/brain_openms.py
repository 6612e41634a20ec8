"""Multiple sclerosis: T1, T2 and FLAIR of the same visits, with expert lesion masks."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import known, placed, read_layout, required
from medgan.manifests.table import Row

summary = "T1, T2, FLAIR and some contrast T1 of multiple sclerosis visits; expert lesions or lesion change"
citation = "Lesjak et al. 2018, Neuroinformatics 16:51, and 2016, Neuroinformatics 14:403"
licence = "CC BY"
folder = "brain_openms"
columns = ("path", "patient_id", "visit", "t1", "t2", "flair", "t1post", "labels", "label_kind", "age", "sex")
_SEQUENCES = ("t1", "t2", "flair", "t1post")


def build(root: Path) -> Manifest:
    """Make the manifest: a row for each sequence of a visit, joined by pair_id.

    Only the cross-sectional visits have a mask of all lesions. What the longitudinal ones have is the change between
    two visits: that is no lesion mask and stands in the column ``lesion_change``.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = []
    for row in read_layout(root, folder, columns=columns):
        cases += [_case(row, sequence) for sequence in _SEQUENCES if row.values[sequence].strip()]
    return Manifest(cases=tuple(cases), root=root)


def _case(row: Row, sequence: str) -> Case:
    subject = "openms-" + required(row, "patient_id", folder=folder)
    visit = f"{subject}-{row.values['visit']}" if row.values["visit"] else subject
    labels = placed(row, "labels", folder=folder)
    shows_change = "change" in required(row, "label_kind", folder=folder)
    return Case(
        case_id=f"{visit}-{sequence}",
        subject_id=subject,
        domain=sequence,
        image=placed(row, sequence, folder=folder),
        mask=None if shows_change else labels or None,
        pair_id=visit,
        extra={
            "lesion_change": labels if shows_change else "",
            "age": known(row, "age"),
            "sex": known(row, "sex"),
        },
    )
