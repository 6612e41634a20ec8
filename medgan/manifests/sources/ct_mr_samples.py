"""CT and MR volumes of several origins, most with organ or tumour masks."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import placed, read_layout, required

summary = "a few CT and MR volumes with organ or tumour masks, of several origins: for reading and windows"
citation = "Antonelli et al. 2022, Nat Commun 13:4128; van Griethuysen et al. 2017, Cancer Res 77:e104; " + (
    "Wasserthal et al. 2023, Radiol Artif Intell 5:e230024"
)
licence = "by row: Apache-2.0, BSD-3-Clause or CC BY-SA 4.0"
folder = "ct_mr_samples"
columns = ("path", "patient_id", "domain", "mask", "note", "licence")
_IMAGES = frozenset({"ct", "mr"})
# The voxels of the small CT are slices 82 to 111 of the larger one: one person.
_SAME_PERSON = {"example_ct_sm": "example_ct"}


def build(root: Path) -> Manifest:
    """Make the manifest: domains ``ct`` and ``mr``; rows of the domain ``label`` are no images and stay out.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = []
    for row in read_layout(root, folder, columns=columns):
        domain = required(row, "domain", folder=folder)
        if domain not in _IMAGES:
            continue
        case = required(row, "patient_id", folder=folder)
        cases.append(
            Case(
                case_id=f"samples-{case}",
                subject_id=f"samples-{_SAME_PERSON.get(case, case)}",
                domain=domain,
                image=placed(row, "path", folder=folder),
                mask=placed(row, "mask", folder=folder) or None,
                extra={"note": row.values["note"], "licence": row.values["licence"]},
            )
        )
    return Manifest(cases=tuple(cases), root=root)
