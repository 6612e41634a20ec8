"""IDRiD: fundus photographs with retinopathy grades, some with optic disc and lesion masks."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import number, placed, read_layout, required

summary = "fundus photographs of one Indian clinic with retinopathy and oedema grades, some with lesion masks"
citation = "Porwal et al. 2018, Data 3:25, doi:10.3390/data3030025"
licence = "CC BY 4.0"
folder = "fundus_idrid"
columns = ("path", "group_id", "domain", "dr_grade", "dme_risk", "od_mask", "lesion_mask")


def build(root: Path) -> Manifest:
    """Make the manifest: domain ``good``; masks hold 1 microaneurysm, 2 haemorrhage, 3 hard and 4 soft exudate.

    No patient ids are published. The subject is the table's ``group_id``, which joins copies of one picture, some of
    which have two different grades. The two eyes of a person may count as two subjects.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = []
    for row in read_layout(root, folder, columns=columns):
        image = placed(row, "path", folder=folder)
        cases.append(
            Case(
                case_id="idrid-" + Path(image).stem,
                subject_id="idrid-" + required(row, "group_id", folder=folder),
                domain=required(row, "domain", folder=folder),
                image=image,
                mask=placed(row, "lesion_mask", folder=folder) or None,
                grade=number(row, "dr_grade", folder=folder),
                extra={"od_mask": placed(row, "od_mask", folder=folder), "dme_risk": row.values["dme_risk"]},
            )
        )
    return Manifest(cases=tuple(cases), root=root)
