"""A mask and its photograph, where EXIF turns the photograph."""

import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from medgan.errors import GeometryError
from medgan.imaging.container import kind_of
from medgan.imaging.image import Image
from medgan.imaging.photograph_orientation import applied_turn, upright

_log = logging.getLogger(__name__)


def turned_with(label: Image, like: Image, *, own_turn: int | None) -> Image:
    """Turn a mask as its photograph was turned, if it was drawn on the photograph as stored.

    A mask that has an EXIF orientation of its own has been turned by it. Else its shape decides: that of the stored
    picture is turned, that of the upright one stays. Where both have one shape (a square, a mirrored or upside-down
    picture), nobody can tell, unless turning changes nothing, as in an empty mask.

    Args:
        label: The mask as read, (1, H, W).
        like: The photograph as read.
        own_turn: EXIF orientation of the mask's file, or None where it says none.

    Returns:
        The mask, upright; a mask of another shape as it is.

    Raises:
        GeometryError: G074, if it cannot be told whether the mask is to be turned.
    """
    turn = applied_turn(like)
    shape, wanted = label.pixels.shape[1:], like.grid_shape
    as_stored = wanted[::-1] if turn >= 5 else wanted
    if turn == 1 or own_turn is not None or like.is_volume or label.is_volume or shape not in (as_stored, wanted):
        return label
    if shape != as_stored:
        return label
    turned = upright(label.pixels[0], turn)[None]
    if shape == wanted:
        if np.array_equal(turned, label.pixels):
            return label
        raise GeometryError(
            "G074",
            "nobody can tell whether the mask was drawn on the picture as stored or as shown",
            where=str(label.path),
            got=f"a mask without EXIF and a picture that EXIF orientation {turn} turns, both {shape[0]} x {shape[1]}",
            remedy="save the picture upright without EXIF orientation and draw or turn its mask to fit, "
            "or give the mask the picture's EXIF orientation if it was drawn on the picture as stored",
        )
    _log.info("a mask was turned with its picture, EXIF orientation %d", turn)
    return replace(label, pixels=np.ascontiguousarray(turned))


def own_orientation(path: Path) -> int | None:
    """The EXIF orientation that a photograph's file states itself, 1 to 8; None where it states none."""
    kind = kind_of(path)
    if kind == "png":
        from medgan.imaging.photograph_png import png_orientation

        return png_orientation(path.read_bytes())
    if kind == "tiff":
        from medgan.imaging.photograph_tiff_file import tiff_orientation

        return tiff_orientation(path.read_bytes())
    if kind == "jpeg":
        from medgan.imaging.photograph_jpeg_parts import jpeg_parts

        return jpeg_parts(path.read_bytes(), path, max_megapixels=math.inf).turn
    return None
