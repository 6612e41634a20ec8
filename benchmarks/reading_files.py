"""The images that benchmarks/reading.py reads, made from a seed."""

from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy import ndimage

ROOT = "1.2.826.0.1.3680043.8.498.8"


def ct_series(folder: Path, rng: np.random.Generator, *, slices: int, size_px: int) -> Path:
    """Write a CT of signed 16-bit numbers, 1 mm apart, uncompressed, one file a slice."""
    folder.mkdir()
    ground = ndimage.gaussian_filter(rng.normal(0, 4000, size=(size_px, size_px)), 4)
    for index in range(slices):
        array = (ground + rng.normal(0, 20, size=ground.shape) + index).astype(np.int16)
        _ct_slice(array, index).save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)
    return folder


def nifti(path: Path, rng: np.random.Generator, *, size: int) -> Path:
    """Write a cube of smooth noise, 1 mm, int16."""
    coarse = rng.normal(0, 300, size=(size // 8,) * 3)
    array = ndimage.zoom(coarse, 8, order=1) + rng.normal(500, 10, size=(size,) * 3)
    image = nib.Nifti1Image(array.astype(np.int16), np.eye(4))
    image.set_sform(np.eye(4), code=1)
    nib.save(image, path)
    return path


def jpeg(path: Path, rng: np.random.Generator, sides: tuple[int, int]) -> Path:
    """Write a colour photograph of smooth noise with grain, quality 90."""
    width, height = sides
    coarse = rng.normal(128, 60, size=(height // 16, width // 16, 3))
    array = ndimage.zoom(coarse, (16, 16, 1), order=1) + rng.normal(0, 6, size=(height, width, 3))
    Image.fromarray(np.clip(array, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def _ct_slice(array: np.ndarray, index: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, f"{ROOT}.1.{index + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.0", f"{ROOT}.1"
    dataset.FrameOfReferenceUID = f"{ROOT}.2"
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "P1", "Test^Phantom"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber, dataset.InstanceNumber = 1, index + 1
    dataset.ImagePositionPatient = [-200.0, -200.0, float(index)]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.8, 0.8], 1
    dataset.Rows, dataset.Columns = array.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
    dataset.PixelData = array.astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset
