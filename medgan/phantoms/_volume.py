"""Writing an invented volume as NIfTI and as a DICOM series of real CT or MR slices."""

import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from medgan.imaging.geometry import Geometry

_STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage}
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def axial_geometry(
    shape: tuple[int, int, int], *, spacing_mm: tuple[float, float, float], centre_mm: npt.NDArray[np.float64]
) -> Geometry:
    """Grid of an axial volume (D, H, W): slices upward, rows to the back, columns to the left ("SPL").

    Args:
        shape: (D, H, W).
        spacing_mm: Along (D, H, W).
        centre_mm: RAS+ millimetres of the middle of the volume.
    """
    affine = np.eye(4)
    affine[:3, 0] = [0.0, 0.0, spacing_mm[0]]
    affine[:3, 1] = [0.0, -spacing_mm[1], 0.0]
    affine[:3, 2] = [-spacing_mm[2], 0.0, 0.0]
    affine[:3, 3] = centre_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    return Geometry(affine)


def write_nifti(root: Path, stem: str, *, array: npt.NDArray[np.generic], geometry: Geometry) -> str:
    """Write (D, H, W) as ``.nii.gz`` with array axes (W, H, D), as scanners' converters do; path below ``root``."""
    path = root / (stem + ".nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = geometry.affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path.relative_to(root).as_posix()


def write_dicom(
    root: Path,
    stem: str,
    *,
    array: npt.NDArray[np.int16],
    geometry: Geometry,
    modality: str,
    subject: str,
    description: str,
    contrast_agent: str | None = None,
) -> str:
    """Write (D, H, W) as a series of single slices in a folder of its own; path of the folder below ``root``.

    CT is stored as HU + 1024, unsigned, with Rescale Intercept -1024, as most scanners do; MR as it is.

    Args:
        root: Study folder.
        stem: Series folder below it; also what the UIDs are made from, so that they are the same every time.
        array: HU or arbitrary units.
        geometry: Grid of the volume.
        modality: ``"CT"`` or ``"MR"``.
        subject: Patient ID; subjects share a frame of reference, so that their series lie over each other.
        description: Series Description (0008,103E).
        contrast_agent: Contrast/Bolus Agent (0018,0010), where one was given.
    """
    folder = root / stem
    folder.mkdir(parents=True, exist_ok=True)
    intercept = -1024 if modality == "CT" else 0
    stored = np.clip(array.astype(np.int32) - intercept, 0, 4095 if modality == "CT" else 32767).astype(np.uint16)
    for place, pixels in enumerate(stored):
        slice_file = _slice_file(modality, subject=subject, stem=stem, number=place + 1)
        slice_file.SeriesDescription = description
        slice_file.SeriesNumber = 1 + sum(stem.encode()) % 900
        if contrast_agent:
            slice_file.ContrastBolusAgent = contrast_agent
        _place(slice_file, geometry, index=place)
        slice_file.Rows, slice_file.Columns = pixels.shape
        if modality == "CT":
            slice_file.RescaleIntercept, slice_file.RescaleSlope, slice_file.RescaleType = intercept, 1, "HU"
        slice_file.PixelData = pixels.tobytes()
        slice_file.save_as(folder / f"IM{place + 1:04d}.dcm", enforce_file_format=True)
    return folder.relative_to(root).as_posix()


def _slice_file(modality: str, *, subject: str, stem: str, number: int) -> FileDataset:
    """A slice with everything but its pixels and its place."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _STORAGE[modality]
    meta.MediaStorageSOPInstanceUID = _uid("instance", subject, stem, str(number))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = _uid("study", subject)
    data.FrameOfReferenceUID = _uid("frame", subject)
    data.SeriesInstanceUID = _uid("series", subject, stem)
    data.PatientID, data.PatientName, data.PatientSex, data.PatientBirthDate = subject, f"Phantom^{subject}", "O", ""
    data.StudyDate = data.SeriesDate = data.ContentDate = datetime.date(2020, 1, 1).strftime("%Y%m%d")
    data.StudyTime = data.SeriesTime = data.ContentTime = "120000"
    data.AccessionNumber = data.ReferringPhysicianName = data.StudyID = data.PositionReferenceIndicator = ""
    data.Modality, data.Manufacturer, data.PatientPosition = modality, "medgan phantom", "HFS"
    data.AcquisitionNumber, data.InstanceNumber = 1, number
    if modality == "CT":
        data.ImageType, data.KVP, data.XRayTubeCurrent = ["ORIGINAL", "PRIMARY", "AXIAL"], 120, 200
    else:
        data.ImageType, data.MRAcquisitionType = ["ORIGINAL", "PRIMARY", "OTHER"], "3D"
        data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "RM", "NONE", ""
        data.EchoTime, data.RepetitionTime, data.EchoTrainLength = "", "", ""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.PixelRepresentation = 16, 0
    data.BitsStored, data.HighBit = (12, 11) if modality == "CT" else (16, 15)
    return data


def _place(data: FileDataset, geometry: Geometry, *, index: int) -> None:
    """Image plane module (PS3.3 C.7.6.2): DICOM's axes run left, posterior, superior."""
    columns = _RAS_TO_LPS @ geometry.affine[:3, :3]
    depth, height, width = geometry.spacing_mm
    origin = _RAS_TO_LPS @ (geometry.affine[:3, :3] @ [index, 0, 0] + geometry.affine[:3, 3])
    along_row, along_column = columns[:, 2] / width, columns[:, 1] / height
    data.ImageOrientationPatient = [_decimal(value) for value in (*along_row, *along_column)]
    data.ImagePositionPatient = [_decimal(value) for value in origin]
    data.PixelSpacing = [_decimal(height), _decimal(width)]
    data.SliceThickness = data.SpacingBetweenSlices = _decimal(depth)
    data.SliceLocation = _decimal(float(origin @ np.cross(along_row, along_column)))


def _decimal(value: float) -> pydicom.valuerep.DSfloat:
    return pydicom.valuerep.DSfloat(float(value) + 0.0, auto_format=True)


def _uid(*parts: str) -> pydicom.uid.UID:
    return generate_uid(entropy_srcs=["medgan phantom", *parts])
