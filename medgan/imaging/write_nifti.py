"""Write a NIfTI volume with its source's header."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np

from medgan.errors import WriteError
from medgan.imaging.image import Image
from medgan.imaging.nifti import rescale_of
from medgan.imaging.nifti_bytes import read_nifti_head
from medgan.imaging.nifti_header import RGB24, layout_of, parse_header
from medgan.imaging.nifti_stream import GZIP_LEVEL, gzip_writer
from medgan.imaging.quantize import to_stored

_OF_SEVERAL_VALUES = (1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 2001, 2002, 2003, 2004, 2005)
"""Intent codes that describe the axes beyond the third, which one volume has not."""


def write_nifti(image: Image, path: Path, like: Image) -> int:
    """Write a volume; header and extensions are the source's, byte by byte, where type and axes are.

    So the file says what the source says, its free text too (``descrip``, ``aux_file``, ``db_name``, extensions),
    which some converters fill with the patient's name: deidentify the source, and its results are. Nothing of it goes
    anywhere else. One volume of several is written with three axes, a pair as one file, RGBA as RGB.

    Args:
        image: (1, D, H, W), or (3, D, H, W) of uint8, on the source's grid.
        path: Where to; compressed if it ends in .gz, with no time or name in the gzip header.
        like: The source; without a file a new header is made from its geometry.

    Returns:
        How many values were clipped.

    Raises:
        WriteError: W004, if the number of channels or the type is not NIfTI's.
    """
    if image.channels != 1 and (image.channels, image.stored.dtype) != (3, "uint8"):
        raise WriteError(
            "W004",
            "a NIfTI volume has one channel, or three of uint8",
            where=str(path),
            got=f"{image.channels} of {image.stored.dtype}",
        )
    source = like.path if like.path is not None and like.path.is_file() else None
    head = _new_head(image) if source is None else _head_of(source, image)
    header = parse_header(head, where=str(path))
    slope, intercept = (1.0, 0.0) if image.channels > 1 else rescale_of(header, where=str(path))
    dtype, clipped = layout_of(header, where=str(path)).dtype, 0
    with path.open("wb") as file, _packed(file, path) as stream:
        stream.write(head)
        for plane in range(image.pixels.shape[1]):
            values = image.pixels[:, plane]
            numbers, beyond = to_stored(values, image.stored.dtype, slope=slope, intercept=intercept)
            stream.write(np.moveaxis(numbers, 0, -1).astype(dtype, copy=False).tobytes())
            clipped += beyond
    return clipped


def _packed(file: BinaryIO, path: Path) -> AbstractContextManager[Any]:
    """The file, or a gzip stream into it: packed by isal, files are as large and written ten times as fast."""
    if not path.name.lower().endswith(".gz"):
        return nullcontext(file)
    return gzip_writer("", "wb", GZIP_LEVEL, fileobj=file, mtime=0)


def _head_of(source: Path, image: Image) -> bytes:
    """The source's bytes before its voxels, changed only where the result's type, rescale or axes differ."""
    header, head = read_nifti_head(source)
    layout = layout_of(header, where=str(source))
    shape = tuple(int(n) for n in image.pixels.shape[:0:-1])
    if layout.volumes != 1 or layout.shape != shape:
        header.set_data_shape(shape)
        if int(header["intent_code"]) in _OF_SEVERAL_VALUES:
            header.set_intent("none")
    if image.channels > 1:
        header["datatype"], header["bitpix"] = RGB24, 24
    elif layout.channels > 1 or layout.dtype.newbyteorder("=") != np.dtype(image.stored.dtype):
        _set_type(header, image)
    if image.channels == 1 and rescale_of(header, where=str(source)) != (image.stored.slope, image.stored.intercept):
        _set_rescale(header, image)
    rest = head[len(header.binaryblock) :]
    return _single(header, rest) if layout.pair else bytes(header.binaryblock) + rest


def _single(header: Any, rest: bytes) -> bytes:
    """The head of a pair as that of one file; ``rest`` are the four bytes that announce extensions, and these."""
    rest = rest if len(rest) >= 4 else bytes(4)
    rest += bytes(-(len(header.binaryblock) + len(rest)) % 16)
    header["magic"] = header.single_magic
    header["vox_offset"] = len(header.binaryblock) + len(rest)
    return bytes(header.binaryblock) + rest


def _new_head(image: Image) -> bytes:
    if image.geometry is None:
        raise WriteError("W002", "a NIfTI volume needs a grid", expected="a geometry")
    header = nib.Nifti1Header()
    _set_type(header, image)
    if image.channels > 1:
        header["datatype"], header["bitpix"] = RGB24, 24
    header.set_data_shape(image.pixels.shape[:0:-1])
    affine = image.geometry.affine[:, [2, 1, 0, 3]]
    header.set_sform(affine, code="scanner")
    header.set_qform(affine, code="scanner")
    header.set_xyzt_units("mm")
    header["magic"] = header.single_magic
    header["vox_offset"] = 352
    _set_rescale(header, image)
    return bytes(header.binaryblock) + b"\0\0\0\0"


def _set_type(header: Any, image: Image) -> None:
    try:
        header.set_data_dtype(image.stored.dtype)
    except nib.spatialimages.HeaderDataError as error:
        raise WriteError("W004", "NIfTI has no such voxel type", got=image.stored.dtype) from error


def _set_rescale(header: Any, image: Image) -> None:
    header["scl_slope"], header["scl_inter"] = image.stored.slope, image.stored.intercept
