"""The other readers that benchmarks/reading.py stands beside."""

import logging
from pathlib import Path
from typing import Any

import numpy as np


def by_simpleitk(path: Path) -> Any:
    """A DICOM series, as SimpleITK's image."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
    return reader.Execute()


def array_of_simpleitk(image: Any) -> np.ndarray:
    """The pixels of that image, copied."""
    import SimpleITK

    return np.asarray(SimpleITK.GetArrayFromImage(image))


def by_nibabel(path: Path) -> np.ndarray:
    """A NIfTI volume; an uncompressed one is only mapped."""
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)


def copied_by_nibabel(path: Path) -> np.ndarray:
    """A NIfTI volume, read for certain."""
    return by_nibabel(path).copy(order="K")


def by_pillow(path: Path) -> np.ndarray:
    """A JPEG brought to 256 pixels, decoded smaller where that is enough."""
    from PIL import Image

    with Image.open(path) as opened:
        opened.draft("RGB", (256, 256))
        return np.asarray(opened.resize((256, round(256 * opened.height / opened.width))))


def by_monai(path: Path) -> np.ndarray:
    """Any image."""
    import warnings

    from monai.transforms import LoadImage

    logging.getLogger("monai").setLevel(logging.ERROR)  # else it speaks of nvImageCodec at every call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(LoadImage(image_only=True)(path))
