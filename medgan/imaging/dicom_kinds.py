"""What a DICOM object is: slices of a volume, a picture, or nothing that can be translated."""

from typing import Literal

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medgan.imaging.dicom_values import text, words

Kind = Literal["volume", "picture", "refused", "other"]

_STORAGE = "1.2.840.10008.5.1.4.1.1."
NUCLEAR = _STORAGE + "20"
_VOLUMES = {
    _STORAGE + end
    for end in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130")  # CT, MR, PET
}
# projections and surfaces: what place they have is not that of a slice
_PICTURES = tuple(_STORAGE + end for end in ("1", "1.", "12.1", "12.2", "481.1", "6.1", "3.1", "77.1.5.1", "77.1.5.2"))
_REFUSED = {
    _STORAGE + "66.4": "a segmentation (SEG)",
    _STORAGE + "66.5": "a surface segmentation",
    _STORAGE + "66.7": "a label map segmentation (SEG)",
    _STORAGE + "30": "a parametric map",
    _STORAGE + "481.2": "a radiotherapy dose (RTDOSE)",
    _STORAGE + "6.2": "an enhanced ultrasound volume, placed by the transducer",
    _STORAGE + "77.1.6": "tiles of a whole-slide image",
    _STORAGE + "4.2": "MR spectroscopy",
}
_REFUSED_MODALITIES = {"SEG": "a segmentation (SEG)", "RTDOSE": "a radiotherapy dose (RTDOSE)"}
_VOLUME_MODALITIES = ("CT", "MR", "PT")
_MAY_HOLD_TEXT_BY_CLASS = {
    _STORAGE + "6.1": "ultrasound", _STORAGE + "6": "ultrasound", _STORAGE + "3.1": "ultrasound",
    _STORAGE + "3": "ultrasound", _STORAGE + "6.2": "ultrasound", _STORAGE + "7": "secondary capture",
    _STORAGE + "7.1": "secondary capture", _STORAGE + "7.2": "secondary capture",
    _STORAGE + "7.3": "secondary capture", _STORAGE + "7.4": "secondary capture",
}  # fmt: skip
_MAY_HOLD_TEXT_BY_MODALITY = {
    "US": "ultrasound", "IVUS": "ultrasound", "SC": "secondary capture", "OT": "secondary capture",
    "XC": "visible light", "ES": "visible light", "GM": "visible light", "SM": "visible light",
    "DMS": "visible light", "OP": "ophthalmic", "OPT": "ophthalmic", "OPM": "ophthalmic",
}  # fmt: skip


def kind_of_object(dataset: Dataset) -> Kind:
    """Sort an object by its SOP class, or by its modality where the class is missing.

    Returns:
        ``"volume"`` where only a place in the patient makes sense of it (CT, MR, PET) and ``"picture"`` where none
        does; a class that may be either is told by its place in the header. ``"refused"`` has pixels that are no
        image to translate; ``"other"`` has no pixels by nature, such as a report.
    """
    uid, modality = text(dataset, "SOPClassUID"), text(dataset, "Modality")
    if uid in _REFUSED or (modality in _REFUSED_MODALITIES and uid not in _VOLUMES):
        return "refused"
    if uid in _VOLUMES or (not uid and modality in _VOLUME_MODALITIES):
        return "volume"
    if "Rows" not in dataset and not has_pixels(dataset):
        return "other"
    if _is_picture_class(uid):
        return "picture"
    if uid == NUCLEAR:
        return "volume" if words(dataset, "ImageType")[2:3] == ["RECON TOMO"] else "picture"
    return "volume" if _is_placed(dataset) else "picture"


def name_of_object(dataset: Dataset) -> str:
    """What an object is, in words of the standard and never of the header."""
    uid, modality = text(dataset, "SOPClassUID"), text(dataset, "Modality")
    known = _REFUSED.get(uid) or _REFUSED_MODALITIES.get(modality)
    if known:
        return known
    name = UID(uid).name if uid else ""
    return name if name and name != uid else "an object of an unknown class"


def has_pixels(dataset: Dataset) -> bool:
    """Whether there are pixels of any type."""
    return any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


def is_localizer(dataset: Dataset) -> bool:
    """Whether an image was made to plan others by."""
    return "LOCALIZER" in words(dataset, "ImageType")


def burned_in_reason(dataset: Dataset) -> str:
    """Why the pixels may hold text, or nothing; names of elements only, none of their free text.

    Source:
        DICOM PS3.3 C.7.6.1.1, Burned In Annotation (0028,0301). A screen save is taken for text whatever it says.
    """
    said = text(dataset, "BurnedInAnnotation").upper()
    if said == "YES":
        return "BurnedInAnnotation YES"
    if any(word.upper().replace("_", " ") in ("SCREEN SAVE", "SCREENSAVE") for word in words(dataset, "ImageType")):
        return "ImageType SCREEN SAVE"
    uid = text(dataset, "SOPClassUID")
    likely = _MAY_HOLD_TEXT_BY_CLASS.get(uid) or _MAY_HOLD_TEXT_BY_MODALITY.get(text(dataset, "Modality"))
    if not likely and uid.startswith(_STORAGE + "77.1."):
        likely = "ophthalmic" if uid.startswith(_STORAGE + "77.1.5.") else "visible light"
    if said == "NO" or not likely:
        return ""
    return f"BurnedInAnnotation is {'not NO' if said else 'absent'}, and {likely} often holds text"


def _is_picture_class(uid: str) -> bool:
    return any(uid == known or (known.endswith(".") and uid.startswith(known)) for known in _PICTURES)


def _is_placed(dataset: Dataset) -> bool:
    if text(dataset, "SamplesPerPixel") not in ("", "1"):
        return False
    if "PerFrameFunctionalGroupsSequence" in dataset:
        groups = [*dataset.PerFrameFunctionalGroupsSequence[:1], *dataset.get("SharedFunctionalGroupsSequence", [])]
        needed = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        return all(any(group.get(name) for group in groups) for name in needed)
    return all(dataset.get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
