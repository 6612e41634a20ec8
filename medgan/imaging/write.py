"""Write an image the way its source is stored: format, type, geometry, header."""

import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from medgan.errors import WriteError
from medgan.imaging.derivation import Derivation
from medgan.imaging.image import Image, StoredAs

_log = logging.getLogger(__name__)

_SUFFIXES = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "tiff": (".tif", ".tiff"),
    "nifti": (".nii.gz", ".nii"),
    "dicom": ("",),
}


def write_image(image: Image, path: Path | str, *, like: Image, derivation: Derivation | None = None) -> int:
    """Write an image as its source is stored, completely or not at all.

    PNG and TIFF lose nothing; JPEG is written at quality 95 without chroma subsampling. NIfTI keeps the source's
    header and extensions, DICOM its geometry, patient and study, as a new derived series. Values are rounded to the
    stored type; what it cannot hold is clipped, counted and logged.

    Args:
        image: What to write; ``image.stored`` says in which type and scale.
        path: File to write or replace, with a suffix of the format; a folder for DICOM.
        like: The source, whose header is taken from ``like.path`` where that is still there.
        derivation: What made the image, for a derived DICOM series.

    Returns:
        How many values were clipped.

    Raises:
        WriteError: W001 the disk refused, W002 another grid than the source's, W003 suffix, W005 values not finite.
    """
    path = Path(path)
    _check(image, path, like)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        clipped = _writer(image.stored.format, derivation)(image, temporary, like)
        _put_in_place(temporary, path)
    except OSError as error:
        raise WriteError(
            "W001", "cannot write", where=str(path), got=str(error), remedy="free space or choose another folder"
        ) from error
    finally:
        _remove(temporary)
    if clipped:
        _log.warning("clipped %d of %d values to %s", clipped, image.pixels.size, image.stored.dtype)
    return clipped


def suffix_of(stored: StoredAs) -> str:
    """The usual suffix of a format, with its dot; empty for DICOM, which is a folder."""
    return _SUFFIXES[stored.format][0]


def _writer(name: str, derivation: Derivation | None) -> Callable[[Image, Path, Image], int]:
    if name == "nifti":
        from medgan.imaging.write_nifti import write_nifti

        return write_nifti
    if name == "dicom":
        from medgan.imaging.write_dicom import write_dicom

        return partial(write_dicom, derivation=derivation)
    from medgan.imaging.write_photograph import write_photograph

    return write_photograph


def _check(image: Image, path: Path, like: Image) -> None:
    if not path.name.lower().endswith(_SUFFIXES[image.stored.format]):
        raise WriteError(
            "W003",
            "the name does not fit the format",
            where=str(path),
            got=image.stored.format,
            expected=" or ".join(_SUFFIXES[image.stored.format]),
        )
    same = image.pixels.shape[1:] == like.grid_shape and image.geometry == like.geometry
    if not same or image.stored.format != like.stored.format:
        raise WriteError(
            "W002",
            "the image does not lie on its source's grid",
            where=str(path),
            got=f"{image.stored.format} {image.pixels.shape}",
            expected=f"{like.stored.format} {like.pixels.shape} and the same affine",
            remedy="restore() it on the source's grid first",
        )
    if image.pixels.dtype.kind == "f" and not np.isfinite(image.pixels).all():
        count = int((~np.isfinite(image.pixels)).sum())
        raise WriteError("W005", "values are not finite", where=str(path), got=f"{count} of {image.pixels.size}")


def _put_in_place(temporary: Path, path: Path) -> None:
    if temporary.is_dir() and path.exists():
        old = path.with_name(f".{os.getpid()}.old.{path.name}")
        path.replace(old)
        temporary.replace(path)
        _remove(old)
    else:
        temporary.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
