"""CHASE_DB1: fundus photographs of children with vessels drawn by two observers."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import placed, read_layout, required

summary = "fundus photographs of both eyes of children, vessels drawn by two observers"
citation = "Fraz et al. 2012, IEEE Trans Biomed Eng 59:2538, doi:10.1109/TBME.2012.2205687"
licence = "CC BY 4.0 by common knowledge; not stated where the files come from"
folder = "fundus_chase"
columns = ("path", "patient_id", "eye", "domain", "vessels1", "vessels2")


def build(root: Path) -> Manifest:
    """Make the manifest: domain ``good``, the first observer's vessels as the mask, the second's in ``vessels2``.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = []
    for row in read_layout(root, folder, columns=columns):
        subject = "chase-" + required(row, "patient_id", folder=folder)
        cases.append(
            Case(
                case_id=f"{subject}-{required(row, 'eye', folder=folder)}",
                subject_id=subject,
                domain=required(row, "domain", folder=folder),
                image=placed(row, "path", folder=folder),
                mask=placed(row, "vessels1", folder=folder) or None,
                extra={"vessels2": placed(row, "vessels2", folder=folder), "eye": row.values["eye"]},
            )
        )
    return Manifest(cases=tuple(cases), root=root)
