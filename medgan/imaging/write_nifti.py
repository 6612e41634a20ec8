"""Write a NIfTI volume with its source's header."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medgan.errors import WriteError
from medgan.imaging.image import Image
from medgan.imaging.nifti import rescale_of
from medgan.imaging.nifti_bytes import parse_header, read_nifti_head
from medgan.imaging.quantize import to_stored


def write_nifti(image: Image, path: Path, like: Image) -> int:
    """Write a volume; header and extensions are the source's, byte by byte, where type and axes are.

    Args:
        image: (1, D, H, W) on the source's grid.
        path: Where to; compressed if it ends in .gz.
        like: The source; without a file a new header is made from its geometry.

    Returns:
        How many values were clipped.

    Raises:
        WriteError: W004, if there is more than one channel.
    """
    if image.channels != 1:
        raise WriteError("W004", "a NIfTI volume has one channel", where=str(path), got=str(image.channels))
    stored = image.stored
    numbers, clipped = to_stored(image.pixels[0], stored.dtype, slope=stored.slope, intercept=stored.intercept)
    source = like.path if like.path is not None and like.path.is_file() else None
    head = _new_head(image) if source is None else _head_of(source, image)
    header = parse_header(head, where=str(path))
    voxels = numbers.transpose(2, 1, 0).astype(header.get_data_dtype(), copy=False).tobytes(order="F")
    if path.suffix == ".gz":
        with path.open("wb") as file, gzip.GzipFile("", "wb", 6, fileobj=file, mtime=0) as stream:
            stream.write(head)
            stream.write(voxels)
    else:
        path.write_bytes(head + voxels)
    return clipped


def _head_of(source: Path, image: Image) -> bytes:
    """The source's bytes before its voxels, changed only where the result's type, rescale or axes differ."""
    header, head = read_nifti_head(source)
    shape = tuple(int(n) for n in image.pixels.shape[:0:-1])
    dims = tuple(int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1])
    if dims != shape and int(np.prod(dims[3:], dtype=object)) != 1:
        header.set_data_shape(shape)
    if header.get_data_dtype() != np.dtype(image.stored.dtype):
        header.set_data_dtype(image.stored.dtype)
    if rescale_of(header) != (image.stored.slope, image.stored.intercept):
        _set_rescale(header, image)
    return bytes(header.binaryblock) + head[len(header.binaryblock) :]


def _new_head(image: Image) -> bytes:
    if image.geometry is None:
        raise WriteError("W002", "a NIfTI volume needs a grid", expected="a geometry")
    header = nib.Nifti1Header()
    header.set_data_dtype(image.stored.dtype)
    header.set_data_shape(image.pixels.shape[:0:-1])
    affine = image.geometry.affine[:, [2, 1, 0, 3]]
    header.set_sform(affine, code="scanner")
    header.set_qform(affine, code="scanner")
    header.set_xyzt_units("mm")
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    _set_rescale(header, image)
    return bytes(header.binaryblock) + b"\0\0\0\0"


def _set_rescale(header: Any, image: Image) -> None:
    header["scl_slope"], header["scl_inter"] = image.stored.slope, image.stored.intercept
