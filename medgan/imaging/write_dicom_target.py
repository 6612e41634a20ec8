"""Which kind of DICOM object a translated image becomes, and what that kind must hold."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from medgan.errors import WriteError
from medgan.imaging.image import Image

_BASE = "1.2.840.10008.5.1.4.1.1."
_CLASS_OF = {
    "CT": _BASE + "2", "MR": _BASE + "4", "PT": _BASE + "128", "CR": _BASE + "1", "US": _BASE + "6.1",
    "SC": _BASE + "7", "OT": _BASE + "7", "NM": _BASE + "20", "XC": _BASE + "77.1.4", "OP": _BASE + "77.1.5.1",
}  # fmt: skip
NUCLEAR = _BASE + "20"
SECONDARY_CAPTURE = _BASE + "7"
_MODALITY_OF = {uid: modality for modality, uid in _CLASS_OF.items() if modality != "SC"}
ENHANCED = {
    _BASE + number: modality
    for number, modality in (
        ("2.1", "CT"), ("2.2", "CT"), ("4.1", "MR"), ("4.3", "MR"), ("4.4", "MR"), ("128.1", "PT"), ("130", "PT"),
    )
}  # fmt: skip
_ONE_PICTURE = {  # a clip, of which one picture was taken, or a retired class
    _BASE + "3": _BASE + "6.1",
    _BASE + "6": _BASE + "6.1",
    _BASE + "3.1": _BASE + "6.1",
    _BASE + "7.2": _BASE + "7",
    _BASE + "7.3": _BASE + "7",
    _BASE + "7.4": _BASE + "7",
    _BASE + "77.1.1.1": _BASE + "77.1.1",
    _BASE + "77.1.2.1": _BASE + "77.1.2",
    _BASE + "77.1.4.1": _BASE + "77.1.4",
}
_ALL = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
_MAY_BE_EMPTY = {
    "CT": ("SliceThickness", "KVP", "AcquisitionNumber", "PatientPosition"),
    "MR": ("SliceThickness", "ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "PatientPosition"),
    "PT": ("SliceThickness",),
    "CR": ("BodyPartExamined", "ViewPosition"),
}
_UNPAIRED = (  # PS3.16 annex L: parts of which a body has one
    "ABDOMEN ABDOMENPELVIS AORTA BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS "
    "COCCYX COLON CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK HEART ILEUM JAW JEJUNUM LARYNX "
    "LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE "
    "PANCREAS PELVIS PENIS PHARYNX PROSTATE RECTUM SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS THYROID "
    "TLSPINE TONGUE TRACHEA TSPINE UTERUS VAGINA VULVA WHOLEBODY "
)
_FURTHER_VALUES = {"CT": ("AXIAL",), "MR": ("OTHER",), "OP": ("OTHER",)}
CARRIED = (
    # patient, study and trial
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientBirthDate", "PatientBirthTime",
    "PatientSex", "OtherPatientIDsSequence", "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence", "StudyDescription", "PatientAge", "PatientSize",
    "PatientWeight", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription", "ClinicalTrialCoordinatingCenterName",
    # series, equipment and frame of reference
    "SeriesNumber", "Laterality", "BodyPartExamined", "PatientPosition", "FrameOfReferenceUID",
    "PositionReferenceIndicator", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions",
    "StationName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName",
    "ContributingEquipmentSequence",
    # image
    "AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "InstanceNumber", "ContentDate",
    "ContentTime", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "SliceLocation", "Rows", "Columns", "BurnedInAnnotation", "RecognizableVisualFeatures",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod", "SpecificCharacterSet",
    "TimezoneOffsetFromUTC", "LongitudinalTemporalInformationModified",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a translated image becomes.

    Args:
        sop_class: SOPClassUID.
        modality: Modality of the result.
        crossed: Whether that is another modality than the source's.
    """

    sop_class: str
    modality: str
    crossed: bool


def class_of(dataset: Dataset) -> str:
    """SOPClassUID of a file, by its modality where it does not say.

    Raises:
        WriteError: W007, if neither tells.
    """
    told = str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")
    found = told or _CLASS_OF.get(str(dataset.get("Modality")), "")
    if not found:
        raise WriteError("W007", "the source does not say what kind of DICOM object it is", got="no SOPClassUID")
    return found


def target_of(image: Image, like: Image, dataset: Dataset) -> Target:
    """Tell the class of the result from the unit of its values, which the target domain's window gives.

    Values in HU are a CT, whatever the source was; values in arbitrary units that were HU are an MR; values in the
    source's own unit stay in the source's class, save colours of more than 8 bits, which only a secondary capture
    holds.

    Raises:
        WriteError: W007, if values in this unit have no class that can be made of this source.
    """
    source, unit = class_of(dataset), image.stored.unit
    old = like.stored.modality or str(dataset.get("Modality") or "")
    new = _modality(image, like, old)
    if new == old:
        same = _ONE_PICTURE.get(source, source)
        if image.channels > 1 and image.stored.dtype != "uint8":
            same = SECONDARY_CAPTURE  # the only class for colours of 16 bits
        return Target(sop_class=same, modality=old or _MODALITY_OF.get(same, "OT"), crossed=False)
    if not like.is_volume or new not in ("CT", "MR"):
        raise WriteError(
            "W007",
            "no DICOM object can be made of these values",
            got=f"{unit} from a source of modality {old} in {like.stored.unit}",
            expected="values in the source's unit, HU for a CT, or a.u. for an MR made of a CT",
            remedy="write it as NIfTI, or keep the source's unit",
        )
    return Target(sop_class=_CLASS_OF[new], modality=new, crossed=True)


def complete(dataset: Dataset, target: Target, *, series: str) -> None:
    """Put in what the object's definition requires and the source lacks: empty where the standard lets it be.

    Args:
        dataset: Changed in place.
        target: What it becomes.
        series: The source's SeriesInstanceUID, from which a missing frame of reference follows.
    """
    may_be_empty = () if target.sop_class in ENHANCED else _MAY_BE_EMPTY.get(target.modality, ())
    _fill(dataset, *_ALL, *may_be_empty)
    if "ImagePositionPatient" in dataset or target.sop_class in ENHANCED:
        _fill(dataset, "PositionReferenceIndicator")
        if not dataset.get("FrameOfReferenceUID"):
            dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[series, "frame of reference"])
    else:
        _fill(dataset, "PatientOrientation")
    if target.sop_class == _CLASS_OF["MR"]:
        _complete_mr(dataset)
    if target.sop_class == SECONDARY_CAPTURE and not dataset.get("ConversionType"):
        dataset.ConversionType = "SYN"  # a synthetic image
    if target.sop_class not in ENHANCED and "ImageLaterality" not in dataset and _may_be_one_of_a_pair(dataset):
        _fill(dataset, "Laterality")
    if any(element.keyword.startswith("ClinicalTrial") for element in dataset):
        _fill(dataset, "ClinicalTrialTimePointID", "ClinicalTrialCoordinatingCenterName")


def image_type(dataset: Dataset, target: Target) -> list[str]:
    """ImageType of the result: derived, secondary, and what the source's further values say of its content.

    Enhanced objects, PET and ophthalmic photographs know no SECONDARY: there the second value is PRIMARY.
    """
    value = dataset.get("ImageType")
    kind = [value] if isinstance(value, str) else [str(item) for item in value or []]
    rest = [] if target.crossed else [item for item in kind[2:] if item != "MOSAIC"]
    named = [*rest, *_FURTHER_VALUES.get(target.modality, ())[len(rest) :]]
    if target.modality == "OP" and not named[0]:
        named[0] = "OTHER"  # a derived one must say in which way
    primary = target.sop_class in ENHANCED or target.modality in ("PT", "OP")
    return ["DERIVED", "PRIMARY" if primary else "SECONDARY", *named]


def needs_content_date(sop_class: str) -> bool:
    """Whether an object's ContentDate and ContentTime may not be empty."""
    return sop_class in ENHANCED or sop_class.startswith(_BASE + "77.1.")


def _modality(image: Image, like: Image, old: str) -> str:
    if image.stored.modality not in ("", old):
        return image.stored.modality
    if image.stored.unit == like.stored.unit:
        return old
    if image.stored.unit == "HU":
        return "CT"
    return "MR" if like.stored.unit == "HU" and image.stored.unit == "a.u." else "?"


def _fill(dataset: Dataset, *keywords: str) -> None:
    """Put in elements that the standard wants even where their value is not known."""
    for keyword in keywords:
        if keyword not in dataset:
            setattr(dataset, keyword, None)


def _may_be_one_of_a_pair(dataset: Dataset) -> bool:
    return str(dataset.get("BodyPartExamined") or "-") not in _UNPAIRED.split()


def _complete_mr(dataset: Dataset) -> None:
    for keyword, value in (("ScanningSequence", "RM"), ("SequenceVariant", "NONE")):
        if not dataset.get(keyword):
            setattr(dataset, keyword, value)
    if "EP" not in str(dataset.ScanningSequence):
        _fill(dataset, "RepetitionTime")
