"""PAD-UFES-20: smartphone photographs of skin lesions, with patient ids and student masks."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import known, placed, read_layout, required

summary = "smartphone photographs of skin lesions with diagnosis, patient ids and masks drawn by students"
citation = "Pacheco et al. 2020, Data in Brief 32:106221, doi:10.17632/zr7vgbcyr2.1"
licence = "images CC BY 4.0; masks by students, no licence stated; mask2 MIT"
folder = "derm_padufes"
columns = ("path", "patient_id", "image_id", "lesion_id", "mask", "mask2", "diagnostic", "age", "gender", "fitzpatrick")


def build(root: Path) -> Manifest:
    """Make the manifest: domain ``clinical``, with the second mask's path in the column ``mask2``.

    Images without a mask stay in: they serve translation.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = tuple(
        Case(
            case_id="padufes-" + required(row, "image_id", folder=folder),
            subject_id="padufes-" + required(row, "patient_id", folder=folder),
            domain="clinical",
            image=placed(row, "path", folder=folder),
            mask=placed(row, "mask", folder=folder) or None,
            extra={
                "mask2": placed(row, "mask2", folder=folder),
                "lesion_id": row.values["lesion_id"],
                "diagnostic": row.values["diagnostic"],
                "fitzpatrick": known(row, "fitzpatrick").removesuffix(".0"),
                "age": known(row, "age"),
                "sex": known(row, "gender").lower(),
            },
        )
        for row in read_layout(root, folder, columns=columns)
    )
    return Manifest(cases=cases, root=root)
