"""DeepDRiD: fundus photographs of both eyes, graded for quality and diabetic retinopathy."""

from pathlib import Path

from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.sources._layout import number, placed, read_layout, required

summary = "fundus photographs of Chinese patients, several of each eye, with quality and retinopathy grades 0-4"
citation = "Liu et al. 2022, Patterns 3:100512, doi:10.1016/j.patter.2022.100512"
licence = "CC BY 4.0 as third parties state it; the original repository has no licence file"
folder = "fundus_deepdrid"
columns = (
    *("path", "patient_id", "image_id", "eye", "domain", "overall_quality", "clarity", "artifact"),
    *("field_definition", "eye_dr_level"),
)


def build(root: Path) -> Manifest:
    """Make the manifest: domains ``good``, ``mid`` and ``poor``; the grade is the eye's, the quality 0 or 1.

    Raises:
        ManifestError: M030 to M034, if the folder or its table is not as expected.
    """
    cases = tuple(
        Case(
            case_id="deepdrid-" + required(row, "image_id", folder=folder),
            subject_id="deepdrid-" + required(row, "patient_id", folder=folder),
            domain=required(row, "domain", folder=folder),
            image=placed(row, "path", folder=folder),
            grade=number(row, "eye_dr_level", folder=folder),
            quality=number(row, "overall_quality", folder=folder),
            extra={name: row.values[name] for name in ("eye", "clarity", "artifact", "field_definition")},
        )
        for row in read_layout(root, folder, columns=columns)
    )
    return Manifest(cases=cases, root=root)
