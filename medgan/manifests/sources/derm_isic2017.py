"""ISIC 2017: dermoscopy of skin lesions with expert masks."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import known, placed, read_layout, required

summary = "dermoscopy images with expert lesion masks and melanoma labels; no patient ids"
citation = "Codella et al. 2018, arXiv:1710.05006"
licence = "CC-0 as the ISIC 2017 challenge states it"
folder = "derm_isic2017"
columns = ("path", "group_id", "image_id", "mask", "melanoma", "seborrheic_keratosis", "age", "sex")


def build(root: Path) -> Manifest:
    """Make the manifest: domain ``dermoscopy``.

    ISIC 2017 publishes no patient ids. The subject is the table's ``group_id``, which joins near-duplicate images and
    nothing else, so two lesions of one person may count as two subjects and fall on both sides of a split.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = tuple(
        Case(
            case_id="isic2017-" + required(row, "image_id", folder=folder),
            subject_id="isic2017-" + required(row, "group_id", folder=folder),
            domain="dermoscopy",
            image=placed(row, "path", folder=folder),
            mask=placed(row, "mask", folder=folder) or None,
            extra={name: known(row, name) for name in ("melanoma", "seborrheic_keratosis", "age", "sex")},
        )
        for row in read_layout(root, folder, columns=columns)
    )
    return Manifest(cases=cases, root=root)
