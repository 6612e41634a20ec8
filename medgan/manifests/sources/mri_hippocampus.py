"""Medical Segmentation Decathlon, task 4: MR crops of the hippocampus with manual labels."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import placed, read_layout, required

summary = "small MR crops of the hippocampus, labels 1 anterior and 2 posterior; grey scales differ by 10,000"
citation = "Antonelli et al. 2022, Nature Communications 13:4128, doi:10.1038/s41467-022-30695-9"
licence = "CC BY-SA 4.0"
folder = "mri_hippocampus"
columns = ("path", "patient_id", "mask")


def build(root: Path) -> Manifest:
    """Make the manifest: domain ``mr``.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = tuple(
        Case(
            case_id="msd-" + required(row, "patient_id", folder=folder),
            subject_id="msd-" + required(row, "patient_id", folder=folder),
            domain="mr",
            image=placed(row, "path", folder=folder),
            mask=placed(row, "mask", folder=folder) or None,
        )
        for row in read_layout(root, folder, columns=columns)
    )
    return Manifest(cases=cases, root=root)
