"""IXI: T1 of healthy subjects, with automatic labels of the anatomy."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import placed, read_layout, required

summary = "T1 of healthy subjects of one site, 2 mm, anatomy labelled by a machine"
citation = "IXI Dataset, brain-development.org; labels by CBICA NiChart DLMUSE"
licence = "CC BY-SA 3.0 as IXI states it"
folder = "brain_ixi_t1"
columns = ("path", "patient_id", "labels", "site")


def build(root: Path) -> Manifest:
    """Make the manifest: domain ``t1``, no lesion mask; the column ``labels`` names the anatomy's labels.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = tuple(
        Case(
            case_id=f"ixi-{required(row, 'patient_id', folder=folder)}-t1",
            subject_id="ixi-" + required(row, "patient_id", folder=folder),
            domain="t1",
            image=placed(row, "path", folder=folder),
            extra={"labels": placed(row, "labels", folder=folder), "site": row.values["site"]},
        )
        for row in read_layout(root, folder, columns=columns)
    )
    return Manifest(cases=cases, root=root)
