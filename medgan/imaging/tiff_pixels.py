"""Pixels of a TIFF with their full depth, as stored, before its orientation is applied."""

from pathlib import Path
from typing import Any

import numpy as np

from medgan.errors import ReadError
from medgan.imaging.image import Pixels


def tiff_pixels(path: Path) -> Pixels | None:
    """Decode a one-page grey or RGB TIFF.

    Pillow cuts 16-bit colour to 8 bit, and scrambles an uncompressed picture that has an orientation (Pillow 13.0).

    Args:
        path: TIFF that holds one picture.

    Returns:
        (H, W) or (H, W, 3) uint8 or uint16, not turned; None where another decoder is needed: LZW, JPEG, palette, CMYK.

    Raises:
        ReadError: R004, if a strip lies beyond the file's end; R010 for 16-bit colour in an unknown compression.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return _pixels(file.pages[0], path)
    except tifffile.TiffFileError as error:
        raise ReadError(
            "R005", "the picture is damaged", where=str(path), got=str(error)[:120], remedy="copy it again"
        ) from error


def _pixels(page: Any, path: Path) -> Pixels | None:
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > path.stat().st_size or min(page.databytecounts) == 0:
        raise ReadError(
            "R004",
            "the picture is truncated",
            where=str(path),
            got=f"{path.stat().st_size} bytes",
            expected=f"{max(ends, default=0)} bytes",
            remedy="copy it again",
        )
    plain = page.photometric.name in ("MINISBLACK", "RGB") and page.samplesperpixel in (1, 3)
    if not plain or str(page.dtype) not in ("uint8", "uint16"):
        return None
    try:
        array = page.asarray()
    except (ValueError, ImportError) as error:  # a codec that tifffile does not carry
        if page.bitspersample == 8 or page.samplesperpixel == 1:
            return None
        raise ReadError(
            "R010",
            "16-bit colour TIFF in this compression cannot be decoded",
            where=str(path),
            got=str(error)[:120],
            remedy="save it uncompressed, deflated or as PNG",
        ) from error
    if array.ndim == 3 and page.planarconfig.name == "SEPARATE":
        array = array.transpose(1, 2, 0)
    return np.asarray(array)
