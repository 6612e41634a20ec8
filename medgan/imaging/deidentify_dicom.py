"""One DICOM file without its patient: Basic Application Level Confidentiality Profile, pixels untouched."""

import io
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from medgan.errors import ReadError, WriteError
from medgan.imaging.deidentify_names import Pseudonyms
from medgan.imaging.deidentify_rules import TABLE, Cleaning, clean
from medgan.imaging.deidentify_words import Identity
from medgan.imaging.dicom_kinds import burned_in_reason
from medgan.imaging.dicom_layout import layout_of

_SYNTHETIC = "SYNTHETIC - NOT FOR DIAGNOSIS"
_DICOMDIR = "1.2.840.10008.1.3.10"
_TROUBLES = (
    InvalidDicomError, EOFError, ValueError, KeyError, NotImplementedError, OSError, TypeError, RecursionError,
    AttributeError, OverflowError, UnicodeError,
)  # fmt: skip
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_GRID = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "Rows",
    "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType", "Modality", "SOPClassUID",
)  # fmt: skip


def is_directory(raw: bytes) -> bool:
    """Whether a file is a DICOMDIR, which lists patients and is not copied."""
    try:
        head = pydicom.dcmread(io.BytesIO(raw), specific_tags=["FileSetID"], stop_before_pixels=True)
    except Exception:  # noqa: BLE001 - what cannot be parsed is said so when it is cleaned
        return False
    return str(head.file_meta.get("MediaStorageSOPClassUID", "")) == _DICOMDIR


def deidentify_dicom(
    raw: bytes, names: Pseudonyms, *, reviewed: bool = False
) -> tuple[bytes, tuple[str, str, str], dict[str, int]]:
    """Take everything out of a DICOM file that could tell who the patient is.

    The pixels stay as they are, byte for byte and in their transfer syntax, and so do rescale, position and
    orientation. Identifiers are replaced consistently; dates go. What was done is written into the file: Patient
    Identity Removed YES, the method and its code 113100.

    Args:
        raw: The file.
        names: New identifiers.
        reviewed: Whether somebody has looked for text in the pixels, and found none that names a person.

    Returns:
        The new file; its place as new patient id, series UID and instance UID; how many elements were treated, by
        what was done.

    Raises:
        ReadError: R022, if it cannot be parsed.
        WriteError: W030 quarantined for text in its pixels, W031 an object that is no image, W032 text that names the
            patient in the compressed pixels, W033 pixels or geometry would change, W035 no tables.
    """
    dataset = _parse(raw)
    _refuse_other_objects(dataset)
    _cut_behind_pixels(dataset)
    why = burned_in_reason(dataset)
    if why and not reviewed:
        raise WriteError(
            "W030",
            "quarantined: the pixels may hold text that names the patient",
            got=why,
            remedy="look at the images; where none names a person, run again with --reviewed",
        )
    before = _untouchable(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes odd values in its warnings
        try:
            cleaning = Cleaning(names, Identity(dataset))
            place = _clean(dataset, cleaning, reviewed=bool(why))
            out = io.BytesIO()
            dataset.save_as(out, enforce_file_format=True)
        except _TROUBLES as error:
            # The exception's text may quote the header.
            raise _unreadable(type(error).__name__) from None
    if "encapsulated" in before and (_texts_in_jpeg(dataset) or _names_in_stream(dataset, cleaning)):
        raise WriteError(
            "W032",
            "the compressed pixels carry text that may name the patient",
            remedy="decompress the series with another program, then run again",
        )
    if _untouchable(_parse(out.getvalue())) != before:
        raise WriteError("W033", "pixels or geometry would not come through unchanged", remedy="leave the file out")
    return out.getvalue(), place, cleaning.done


def _clean(dataset: FileDataset, cleaning: Cleaning, *, reviewed: bool) -> tuple[str, str, str]:
    patient = cleaning.names.patient(_who(dataset))
    known = [
        item
        for item in dataset.get("DeidentificationMethodCodeSequence") or []
        if str(item.get("CodingSchemeDesignator")) == "DCM" and str(item.get("CodeValue")) != "113100"
    ]
    clean(dataset, cleaning)
    dataset.PatientID = dataset.PatientName = patient
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"medgan {version('medgan')}: PS3.15 {TABLE}, Basic Profile"
    dataset.DeidentificationMethodCodeSequence = Sequence([_code(), *known])
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    if reviewed:
        dataset.BurnedInAnnotation = "NO"
    if str(dataset.get("SyntheticData")) == "YES":
        dataset.SeriesDescription = _SYNTHETIC
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    return patient, str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)


def _who(dataset: Dataset) -> str:
    """What tells patients apart: the id, else name and birth date, else the study."""
    patient = str(dataset.get("PatientID") or "").strip()
    if patient:
        return patient
    name = str(dataset.get("PatientName") or "").strip()
    return f"{name}\0{dataset.get('PatientBirthDate')}" if name else str(dataset.get("StudyInstanceUID"))


def _code() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    return code


def _parse(raw: bytes) -> FileDataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(raw), force=raw[128:132] != b"DICM")
            _complete(dataset)
    except _TROUBLES as error:
        raise _unreadable(type(error).__name__) from None
    return dataset


def _complete(dataset: FileDataset) -> None:
    """Give a file that lacks them the UIDs by which it is filed: its own of the meta header, or of its study."""
    meta = dataset.file_meta
    if not meta.get("TransferSyntaxUID"):  # a file without a preamble: by the encoding that was found
        meta.TransferSyntaxUID = layout_of(dataset, Path("file")).syntax
    for name, other in (("SOPClassUID", "MediaStorageSOPClassUID"), ("SOPInstanceUID", "MediaStorageSOPInstanceUID")):
        if not dataset.get(name):
            setattr(dataset, name, meta.get(other) or "")
    if not dataset.get("SeriesInstanceUID"):
        dataset.SeriesInstanceUID = _series_of(dataset)
    if not dataset.SOPClassUID or not dataset.SOPInstanceUID or not meta.get("TransferSyntaxUID"):
        raise _unreadable("no class or instance UID, or no transfer syntax")


def _series_of(dataset: FileDataset) -> str:
    told = "\0".join(str(dataset.get(name) or "") for name in ("StudyInstanceUID", "SeriesNumber", "SeriesDescription"))
    return str(generate_uid(entropy_srcs=[told]))


def _unreadable(got: str) -> ReadError:
    return ReadError("R022", "not a readable DICOM file", got=got, remedy="export it again")


def _refuse_other_objects(dataset: Dataset) -> None:
    if not any(name in dataset for name in _PIXELS) or "EncapsulatedDocument" in dataset:
        raise WriteError(
            "W031",
            "only images are exported",
            got=f"modality {str(dataset.get('Modality') or '')[:2] or 'unknown'}, without pixels",
            remedy="leave reports, documents, plans and presentation states out: no table can clean their text",
        )


def _untouchable(dataset: FileDataset) -> dict[str, object]:
    """What must be the same afterwards."""
    found: dict[str, object] = {name: bytes(dataset[name].value) for name in _PIXELS if name in dataset}
    found |= {name: str(dataset.get(name)) for name in _GRID}
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for number, item in enumerate(dataset.get(group) or []):
            for part in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
                found[f"{group} {number} {part}"] = str(item.get(part))
    found["syntax"] = str(dataset.file_meta.TransferSyntaxUID)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        found["encapsulated"] = True
    return found


def _cut_behind_pixels(dataset: FileDataset) -> None:
    """Take away what stands behind the last pixel, where anything may be written."""
    if "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    samples = int(dataset.get("SamplesPerPixel") or 1)
    pixels = int(dataset.get("NumberOfFrames") or 1) * int(dataset.Rows) * int(dataset.Columns)
    bits = pixels * samples * int(dataset.BitsAllocated)
    if str(dataset.get("PhotometricInterpretation")) == "YBR_FULL_422":
        bits = bits * 2 // 3
    size = -(-bits // 8)
    if len(dataset.PixelData) > size + size % 2:
        dataset.PixelData = dataset.PixelData[:size] + b"\0" * (size % 2)


def _texts_in_jpeg(dataset: FileDataset) -> bool:
    """Whether a JPEG frame has segments for text: EXIF and XMP (APP1), IPTC (APP13) or a comment."""
    frames = generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    return any(marker in (0xE1, 0xED, 0xFE) for frame in frames for marker in _jpeg_markers(frame))


def _jpeg_markers(frame: bytes) -> Iterator[int]:
    """Markers of a JPEG's segments up to its first scan; none for another codec."""
    place = 2 if frame[:2] == b"\xff\xd8" else len(frame)
    while place + 4 <= len(frame) and frame[place] == 0xFF and frame[place + 1] != 0xDA:
        yield frame[place + 1]
        place += 2 + int.from_bytes(frame[place + 2 : place + 4], "big")


def _names_in_stream(dataset: FileDataset, cleaning: Cleaning) -> bool:
    """Whether legible text among compressed pixels, such as a JPEG comment, names the patient."""
    return "PixelData" in dataset and cleaning.who.is_in_bytes(bytes(dataset.PixelData))
