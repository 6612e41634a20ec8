"""What a segment of a DICOM segmentation is, in codes, and which algorithm made it."""

from typing import Any

from medgan import __version__
from medgan.imaging.derivation import plain_text
from medgan.imaging.write_dicom_identity import MANUFACTURER, Stamp

_ANATOMY = ("91723000", "Anatomical Structure")
_ABNORMAL = ("49755003", "Morphologically Abnormal Structure")
_TISSUE = ("85756007", "Tissue")
_KINDS = {  # SNOMED CT: name -> category, type
    "lesion": (_ABNORMAL, ("52988006", "Lesion")),
    "tumor": (_ABNORMAL, ("108369006", "Neoplasm")),
    "tumour": (_ABNORMAL, ("108369006", "Neoplasm")),
    "neoplasm": (_ABNORMAL, ("108369006", "Neoplasm")),
    "edema": (_ABNORMAL, ("79654002", "Edema")),
    "oedema": (_ABNORMAL, ("79654002", "Edema")),
    "necrosis": (_ABNORMAL, ("6574001", "Necrosis")),
    "hemorrhage": (_ABNORMAL, ("50960005", "Hemorrhage")),
    "cyst": (_ABNORMAL, ("367643001", "Cyst")),
    "nodule": (_ABNORMAL, ("27925004", "Nodule")),
    "organ": (_ANATOMY, ("91772007", "Organ")),
    "liver": (_ANATOMY, ("10200004", "Liver")),
    "kidney": (_ANATOMY, ("64033007", "Kidney")),
    "spleen": (_ANATOMY, ("78961009", "Spleen")),
    "pancreas": (_ANATOMY, ("15776009", "Pancreas")),
    "stomach": (_ANATOMY, ("69695003", "Stomach")),
    "heart": (_ANATOMY, ("80891009", "Heart")),
    "lung": (_ANATOMY, ("39607008", "Lung")),
    "brain": (_ANATOMY, ("12738006", "Brain")),
    "hippocampus": (_ANATOMY, ("5366008", "Hippocampus")),
    "aorta": (_ANATOMY, ("15825003", "Aorta")),
    "prostate": (_ANATOMY, ("41216001", "Prostate")),
    "vessel": (_ANATOMY, ("59820001", "Blood Vessel")),
    "bone": (_ANATOMY, ("272673000", "Bone")),
    "gray matter": (_TISSUE, ("389081007", "Gray Matter")),
    "grey matter": (_TISSUE, ("389081007", "Gray Matter")),
    "white matter": (_TISSUE, ("389080008", "White Matter")),
    "fat": (_TISSUE, ("55603005", "Fat")),
    "muscle": (_TISSUE, ("71616004", "Muscle")),
    "skin": (_TISSUE, ("39937001", "Skin")),
}


def describe_segment(number: int, name: str, stamp: Stamp) -> Any:
    """A highdicom SegmentDescription, with the SNOMED CT code of its name where that is known.

    Args:
        number: Of the segment, from 1.
        name: What it is, in ASCII.
        stamp: Of its series.
    """
    import highdicom
    from pydicom.sr.coding import Code

    category, kind = _KINDS.get(name.lower().replace("_", " "), (_TISSUE, _TISSUE))
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=Code(category[0], "SCT", category[1]),
        segmented_property_type=Code(kind[0], "SCT", kind[1]),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=algorithm_name(stamp),
            family=Code("123110", "DCM", "Artificial Intelligence"),
            version=__version__,
            parameters={"description": str(stamp.derivation.plain())} if stamp.derivation else None,
        ),
    )


def algorithm_name(stamp: Stamp) -> str:
    """Name of the algorithm for a person."""
    return plain_text(f"{MANUFACTURER} {stamp.derivation.method}" if stamp.derivation else MANUFACTURER)
