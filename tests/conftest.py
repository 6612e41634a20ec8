"""Fixtures of every test: tiny images with known geometry, real data where it is, one thread."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

LONGEST = ("workflow", "contracts", "fuzz", "training")
"""Folders whose files take minutes: begun first, they leave no process without work at the end."""

SERIES_UID = "1.2.826.0.1.3680043.8.498.1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of :data:`LONGEST` first; the rest keeps its order."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    """Keep torch on one thread, without importing it for tests that do not."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Begin every test with the same global random numbers, whatever ran before it: what fails once fails again."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries that draw from NumPy's global generator
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of real images, named by MEDGAN_DATA."""
    name = os.environ.get("MEDGAN_DATA")
    if not name:
        pytest.skip("MEDGAN_DATA is not set: it names the folder of real images")
    if not Path(name).is_dir():
        pytest.skip(f"MEDGAN_DATA names {name}, which is no folder")
    return Path(name)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture
def make_photograph(tmp_path: Path) -> Callable[..., Path]:
    """Write pixels (H, W) or (H, W, 3) to a picture and return its path."""

    def make(array: np.ndarray, name: str = "picture.png", **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(array).save(path, **options)
        return path

    return make


@pytest.fixture
def fundus(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A disc of 70 px radius, cut at the top, on a black ground of 160 x 200: picture (H, W, 3) and disc (H, W)."""
    rows, columns = np.mgrid[:160, :200]
    disc = (rows - 66) ** 2 + (columns - 104) ** 2 <= 70**2
    shade = 90 + 60 * np.cos((rows + columns) / 25.0)
    picture = np.stack([shade * 1.4, shade * 0.7, shade * 0.4], axis=-1) * disc[..., None]
    noise = rng.integers(0, 3, size=picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), disc


@pytest.fixture
def make_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write an array (i, j, k) with its affine as NIfTI; both codes are 1, the spacing is the affine's."""

    def make(
        array: np.ndarray,
        affine: np.ndarray | None = None,
        name: str = "volume.nii.gz",
        qform: np.ndarray | None = None,
    ) -> Path:
        affine = np.eye(4) if affine is None else affine
        image = nib.Nifti1Image(array, affine)
        image.header.set_data_dtype(array.dtype)
        image.set_sform(affine, code=1)
        image.set_qform(affine if qform is None else qform, code=1)
        image.header.set_xyzt_units("mm")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, path)
        return path

    return make


@pytest.fixture
def make_dicom_series(tmp_path: Path) -> Callable[..., Path]:
    """Write (D, H, W) stored numbers as a CT series with a rescale of 1, -1024; axial, spacing (3, 0.8, 0.7) mm."""

    def make(
        array: np.ndarray,
        name: str = "series",
        spacing_mm: tuple[float, float, float] = (3.0, 0.8, 0.7),
        skip: tuple[int, ...] = (),
        uid: str = SERIES_UID,
        **elements: object,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(len(array)):
            if index in skip:
                continue
            dataset = _ct_slice(array[index], index, spacing_mm, uid)
            for keyword, value in elements.items():
                setattr(dataset, keyword, value)
            # names run against the order in space, which alone may count
            dataset.save_as(folder / f"{uid[-1]}_{len(array) - index:03d}.dcm", enforce_file_format=True)
        return folder

    return make


def _ct_slice(array: np.ndarray, index: int, spacing_mm: tuple[float, float, float], uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{uid}.{index + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = SERIES_UID + ".0", uid
    dataset.PatientID, dataset.PatientName, dataset.Modality = "P1", "Test^Phantom", "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SeriesNumber, dataset.InstanceNumber = 1, index + 1
    dataset.ImagePositionPatient = [-10.0, 20.0, 100.0 + spacing_mm[0] * index]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = list(spacing_mm[1:]), spacing_mm[0]
    dataset.Rows, dataset.Columns = array.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.PixelData = array.astype("<i2" if array.dtype.kind == "i" else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    assert isinstance(dataset, pydicom.Dataset)
    return dataset
