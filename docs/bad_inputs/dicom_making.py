"""Tiny DICOM series with a true geometry, of the standard's classes."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

ROOT = "1.2.826.0.1.3680043.8.498.7"
"""Below it lie all identifiers made here."""


def stored(seed: int = 0, slices: int = 6) -> np.ndarray:
    """Numbers of a CT as stored: (D, H, W), 12 bit."""
    return np.random.default_rng(seed).integers(0, 4096, size=(slices, 10, 8)).astype(np.uint16)


def series(
    folder: Path, array: np.ndarray | None = None, *, number: int = 1, skip: tuple[int, ...] = (), **elements: Any
) -> Path:
    """Write a CT series, one file a slice, 2 mm apart.

    Args:
        folder: Where.
        array: Stored numbers, (D, H, W).
        number: Of the series; part of its UID and of the files' names.
        skip: Slices that are not written.
        elements: Laid over those of every slice; None takes one out.
    """
    array = stored(number) if array is None else array
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(len(array)):
        if index not in skip:
            dataset = ct_slice(array[index], index, number=number, **elements)
            save(dataset, folder / f"{number}_{len(array) - index:03d}.dcm")  # names run against the order in space
    return folder


def ct_slice(array: np.ndarray, index: int, *, number: int = 1, **elements: Any) -> FileDataset:
    """One slice of a CT."""
    dataset = blank(CTImageStorage, f"{ROOT}.{number}.{index + 1}", modality="CT", number=number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = index + 1
    dataset.FrameOfReferenceUID = f"{ROOT}.9"
    dataset.ImagePositionPatient = [-10.0, 20.0, 100.0 + 2.0 * index]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.8, 0.7], 2
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    put_pixels(dataset, array, bits=12)
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def blank(kind: UID, uid: str, *, modality: str, number: int = 1) -> FileDataset:
    """A file of a class with its identifiers, still without an image."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = kind, UID(uid), modality
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.0", f"{ROOT}.{number}"
    dataset.SeriesNumber, dataset.SeriesDescription = number, f"series {number}"
    dataset.PatientName, dataset.PatientID = "Test^Phantom", "P1"
    return dataset


def put_pixels(dataset: Dataset, array: np.ndarray, *, bits: int) -> None:
    """Lay grey pixels (H, W) or (frames, H, W), or colour ones (H, W, 3) of 8 bit, into a file."""
    colour = array.shape[-1] == 3 and array.dtype == np.uint8
    dataset.Rows, dataset.Columns = array.shape[:2] if colour else array.shape[-2:]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * array.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = raw + bytes(len(raw) % 2)
    dataset["PixelData"].VR = "OW" if array.itemsize > 1 else "OB"


def enhanced(path: Path, array: np.ndarray) -> Path:
    """An enhanced MR: all slices (D, H, W) in one file, placed by its functional groups."""
    dataset = blank(EnhancedMRImageStorage, f"{ROOT}.5.1", modality="MR", number=5)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    put_pixels(dataset, array, bits=12)
    dataset.NumberOfFrames = len(array)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 2
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        _frame_at([-10.0, 20.0, 100.0 + 2.0 * index]) for index in range(len(array))
    )
    return save(dataset, path)


def directory(path: Path, file_ids: list[list[str]]) -> Path:
    """A DICOMDIR whose records name files by their parts, whatever these are."""
    dataset = blank(MediaStorageDirectoryStorage, f"{ROOT}.6.1", modality="OT")
    for keyword in ("Modality", "PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        delattr(dataset, keyword)
    records = [
        _record("PATIENT", PatientName="Test^Phantom", PatientID="P1"),
        _record("STUDY", StudyInstanceUID=f"{ROOT}.0"),
        _record("SERIES", Modality="CT", SeriesInstanceUID=f"{ROOT}.1", SeriesNumber=1),
        *(_record("IMAGE", ReferencedFileID=parts, InstanceNumber=index) for index, parts in enumerate(file_ids)),
    ]
    dataset.DirectoryRecordSequence = Sequence(records)
    return save(dataset, path)


def save(dataset: FileDataset, path: Path) -> Path:
    """Write a file with its preamble."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return path


def _frame_at(position: list[float]) -> Dataset:
    place, frame = Dataset(), Dataset()
    place.ImagePositionPatient = position
    frame.PlanePositionSequence = Sequence([place])
    return frame


def _record(kind: str, **elements: Any) -> Dataset:
    record = Dataset()
    record.DirectoryRecordType = kind
    record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.RecordInUseFlag = 0xFFFF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of names that the standard does not allow
        for keyword, value in elements.items():
            setattr(record, keyword, value)
    return record
