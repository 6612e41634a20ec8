"""Small DICOM objects of many classes that conform, written to files: sources of derived ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498.7"
BASE = "1.2.840.10008.5.1.4.1.1."
OBLIQUE = (0.96, 0.28, 0.0, 0.0, 0.0, -1.0)  # exact in decimals


def header(sop_class: str, modality: str, number: int = 1) -> FileDataset:
    """What every object has: patient, study, series, equipment."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, f"{ROOT}.1.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = ROOT + ".2", ROOT + ".3"
    dataset.PatientName, dataset.PatientID = "Müller^Änne", "P1"
    dataset.PatientBirthDate, dataset.PatientSex = "19500101", "F"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20200102", "101112", "S1", "A1"
    dataset.ReferringPhysicianName, dataset.Modality, dataset.SeriesNumber = None, modality, 4
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.DeviceSerialNumber = "ACME", "Scan 9", "77"
    dataset.SoftwareVersions, dataset.InstanceNumber = "V1", number
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    return dataset


def set_pixels(dataset: Dataset, pixels: np.ndarray, *, bits: int, shown: str = "MONOCHROME2") -> None:
    """The pixel module: (H, W) or (frames, H, W) grey, (H, W, 3) colour."""
    colour = shown in ("RGB", "YBR_FULL")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3 if colour else 1, shown
    dataset.Rows, dataset.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = pixels.dtype.itemsize * 8, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    raw = pixels.tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"


def set_place(dataset: Dataset, index: int, *, orientation: Sequence[float] = (1, 0, 0, 0, 1, 0)) -> None:
    """The image plane of slice ``index``: spacing (2.5, 0.8, 0.75) mm."""
    normal = np.cross(orientation[:3], orientation[3:])
    position = np.array([-10.25, 20.5, 100.0]) + 2.5 * index * normal
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = ROOT + ".4", None
    dataset.ImagePositionPatient = [f"{value:.8g}" for value in position]
    dataset.ImageOrientationPatient = list(orientation)
    dataset.PixelSpacing, dataset.SliceThickness = [0.8, 0.75], 2.5
    dataset.PatientPosition = "HFS"


def save(folder: Path, datasets: Sequence[FileDataset]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        # names run against the order in space, which alone may count
        dataset.save_as(folder / f"{len(datasets) - number:03d}.dcm", enforce_file_format=True)
    return folder


def ct(folder: Path, stored: np.ndarray, **elements: object) -> Path:
    """A CT series of stored numbers (D, H, W), 12 bits, rescale 1, -1024."""
    made = []
    for index, pixels in enumerate(stored):
        dataset = header(BASE + "2", "CT", index + 1)
        set_place(dataset, index)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.KVP, dataset.AcquisitionNumber, dataset.BodyPartExamined = 120, 1, "CHEST"
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
        dataset.WindowCenter, dataset.WindowWidth = 40, 400
        set_pixels(dataset, pixels, bits=12)
        made.append(_with(dataset, elements))
    return save(folder, made)


def mr(folder: Path, stored: np.ndarray, *, orientation: Sequence[float] = OBLIQUE, **elements: object) -> Path:
    """An MR series without a rescale, oblique."""
    made = []
    for index, pixels in enumerate(stored):
        dataset = header(BASE + "4", "MR", index + 1)
        set_place(dataset, index, orientation=orientation)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", None
        dataset.MRAcquisitionType, dataset.RepetitionTime, dataset.EchoTime = "2D", 500, 12
        dataset.EchoTrainLength, dataset.BodyPartExamined = 1, "BRAIN"
        dataset.ContentDate, dataset.ContentTime = "20200102", "101500"
        set_pixels(dataset, pixels, bits=12)
        made.append(_with(dataset, elements))
    return save(folder, made)


def pet(folder: Path, stored: np.ndarray) -> Path:
    """A PET series in which each slice has a slope of its own."""
    made = []
    for index, pixels in enumerate(stored):
        dataset = header(BASE + "128", "PT", index + 1)
        set_place(dataset, index)
        del dataset.PatientPosition  # which the code sequences replace
        dataset.SeriesDate, dataset.SeriesTime, dataset.AcquisitionDate = "20200102", "101112", "20200102"
        dataset.AcquisitionTime, dataset.ActualFrameDuration, dataset.FrameReferenceTime = "101112", 1000, 0
        dataset.CollimatorType, dataset.CorrectedImage, dataset.NumberOfSlices = "NONE", ["DECY"], len(stored)
        dataset.SeriesType, dataset.Units, dataset.CountsSource = ["STATIC", "IMAGE"], "BQML", "EMISSION"
        dataset.DecayCorrection, dataset.DecayFactor, dataset.ImageIndex = "START", 1, index + 1
        dataset.RadiopharmaceuticalInformationSequence, dataset.BodyPartExamined = [], "CHEST"
        dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{0.5 + 0.125 * index}", 0
        dataset.LossyImageCompression = "00"
        set_pixels(dataset, pixels, bits=16)
        made.append(dataset)
    return save(folder, made)


def enhanced_mr(folder: Path, stored: np.ndarray, *, order: Sequence[int]) -> Path:
    """One enhanced MR file whose frames stand in another order than in space."""
    dataset = header(BASE + "4.1", "MR")
    dataset.ImageType = ["DERIVED", "PRIMARY", "OTHER", "NONE"]
    dataset.AcquisitionNumber, dataset.ContentDate, dataset.ContentTime = 1, "20200102", "101112"
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.AcquisitionContrast, dataset.BurnedInAnnotation = "T1", "NO"
    dataset.LossyImageCompression, dataset.PresentationLUTShape = "00", "IDENTITY"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = ROOT + ".4", None
    dataset.PatientPosition, dataset.AcquisitionContextSequence = "HFS", []
    dataset.ApplicableSafetyStandardAgency = "IEC"
    dataset.SourceImageEvidenceSequence = [_evidence()]
    dataset.ContentQualification, dataset.MagneticFieldStrength = "RESEARCH", 3
    dataset.NumberOfFrames, dataset.SharedFunctionalGroupsSequence = len(order), [_shared()]
    dataset.PerFrameFunctionalGroupsSequence = [_per_frame(index) for index in order]
    organization, index_item = Dataset(), Dataset()
    organization.DimensionOrganizationUID = index_item.DimensionOrganizationUID = ROOT + ".5"
    index_item.DimensionIndexPointer, index_item.FunctionalGroupPointer = 0x00209057, 0x00209111
    dataset.DimensionOrganizationSequence, dataset.DimensionIndexSequence = [organization], [index_item]
    set_pixels(dataset, stored[list(order)], bits=12)
    return save(folder, [dataset])


def picture(folder: Path, kind: str, pixels: np.ndarray, *, shown: str, **elements: object) -> Path:
    """A picture of a kind: CR, DX, US, SC, XC (VL photograph) or OP."""
    classes = {"CR": "1", "DX": "1.1", "US": "6.1", "SC": "7", "XC": "77.1.4", "OP": "77.1.5.1"}
    dataset = header(BASE + classes[kind], "OT" if kind == "SC" else kind)
    dataset.PatientOrientation = ["L", "F"]
    bits = {"CR": 12, "DX": 12}.get(kind, 8)
    set_pixels(dataset, pixels, bits=bits, shown=shown)
    {"CR": _cr, "DX": _dx, "US": _us, "SC": _sc, "XC": _xc, "OP": _op}[kind](dataset)
    return save(folder, [_with(dataset, elements)])


def _with(dataset: FileDataset, elements: dict[str, object]) -> FileDataset:
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _code(value: str, meaning: str, scheme: str = "SCT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _shared() -> Dataset:
    shared, orientation, measures, kind, anatomy, voi, change = (Dataset() for _ in range(7))
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [0.8, 0.75], 2.5, 2.5
    kind.FrameType, kind.PixelPresentation = ["DERIVED", "PRIMARY", "OTHER", "NONE"], "MONOCHROME"
    kind.VolumetricProperties, kind.VolumeBasedCalculationTechnique = "VOLUME", "NONE"
    kind.ComplexImageComponent, kind.AcquisitionContrast = "MAGNITUDE", "T1"
    anatomy.FrameLaterality, anatomy.AnatomicRegionSequence = "U", [_code("12738006", "Brain")]
    voi.WindowCenter, voi.WindowWidth = 500, 1000
    change.RescaleSlope, change.RescaleIntercept, change.RescaleType = 2, -5, "US"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.MRImageFrameTypeSequence, shared.FrameAnatomySequence = [kind], [anatomy]
    shared.FrameVOILUTSequence, shared.PixelValueTransformationSequence = [voi], [change]
    return shared


def _per_frame(index: int) -> Dataset:
    group, content, position = Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues, content.InStackPositionNumber, content.StackID = [index + 1], index + 1, "1"
    position.ImagePositionPatient = [-10.25, 20.5, 100 + 2.5 * index]
    group.FrameContentSequence, group.PlanePositionSequence = [content], [position]
    derivation = Dataset()
    derivation.DerivationCodeSequence = [_code("113085", "Spatial resampling", "DCM")]
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = BASE + "4", f"{ROOT}.9.{index}"
    source.PurposeOfReferenceCodeSequence = [_code("121322", "Source image for image processing operation", "DCM")]
    derivation.SourceImageSequence = [source]
    group.DerivationImageSequence = [derivation]
    return group


def _evidence() -> Dataset:
    study, series, instance = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = BASE + "4", ROOT + ".9.0"
    study.StudyInstanceUID, series.SeriesInstanceUID = ROOT + ".2", ROOT + ".9"
    series.ReferencedSOPSequence, study.ReferencedSeriesSequence = [instance], [series]
    return study


def _cr(dataset: Dataset) -> None:
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"


def _dx(dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.PresentationIntentType, dataset.BodyPartExamined, dataset.ImageLaterality = "FOR PRESENTATION", "CHEST", "U"
    dataset.AnatomicRegionSequence = [_code("51185008", "Chest")]
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LIN", 1
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "US"
    dataset.PresentationLUTShape, dataset.LossyImageCompression, dataset.BurnedInAnnotation = "INVERSE", "00", "NO"
    dataset.WindowCenter, dataset.WindowWidth, dataset.DetectorType = 2000, 4000, None
    dataset.PositionerType = None
    dataset.ImagerPixelSpacing, dataset.AcquisitionContextSequence = [0.14, 0.14], []
    dataset.ViewCodeSequence = [_code("399348003", "antero-posterior")]


def _us(dataset: Dataset) -> None:
    dataset.ImageType, dataset.BodyPartExamined = ["ORIGINAL", "PRIMARY", "ABDOMINAL"], "ABDOMEN"
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"


def _sc(dataset: Dataset) -> None:
    dataset.ConversionType, dataset.BodyPartExamined = "WSD", "CHEST"
    dataset.ImageType = ["DERIVED", "SECONDARY"]


def _xc(dataset: Dataset) -> None:
    dataset.LossyImageCompression, dataset.AcquisitionContextSequence = "00", []
    dataset.BodyPartExamined = "FACE"
    dataset.ContentTime, dataset.ContentDate = "101112", "20200102"


def _op(dataset: Dataset) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "COLOR"]
    dataset.NumberOfFrames, dataset.PixelSpacing = 1, [0.01, 0.01]
    dataset.SynchronizationFrameOfReferenceUID, dataset.SynchronizationTrigger = ROOT + ".6", "NO TRIGGER"
    dataset.AcquisitionTimeSynchronized, dataset.AcquisitionDateTime = "N", "20200102101112"
    dataset.ContentTime, dataset.ContentDate, dataset.LossyImageCompression = "101112", "20200102", "00"
    dataset.BurnedInAnnotation, dataset.FrameIncrementPointer, dataset.FrameTime = "NO", 0x00181063, 1000
    dataset.ImageLaterality, dataset.AnatomicRegionSequence = "L", [_code("5665001", "Retina")]
    dataset.PatientEyeMovementCommanded, dataset.RefractiveStateSequence = None, []
    dataset.EmmetropicMagnification, dataset.IntraOcularPressure = None, None
    dataset.HorizontalFieldOfView, dataset.PupilDilated = None, None
    dataset.AcquisitionDeviceTypeCodeSequence = [_code("409898007", "Fundus Camera")]
    dataset.IlluminationTypeCodeSequence, dataset.LightPathFilterTypeStackCodeSequence = [], []
    dataset.ImagePathFilterTypeStackCodeSequence, dataset.LensesCodeSequence = [], []
    dataset.DetectorType = "CCD"
