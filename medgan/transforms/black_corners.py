"""The dark corners of a dermoscopy picture, where the instrument's round tube cuts it off."""

import numpy as np
from PIL import Image as Pillow

from medgan.imaging.image import Pixels
from medgan.imaging.photograph_field import Mask, brightness, grown, hull, largest_piece, shrunk, upper_quartile

_DARK_SHARE = 0.45
_LEAST_SKIN = 0.2
_LEAST_FIELD = 0.35
_LEAST_CORNERS = 3
_MOST_WITHIN_HULL = 0.06
_LEAST_AREA = 0.0005
_ENDS = (slice(None, 3), slice(-3, None))


def find_lit_field(pixels: Pixels) -> Mask:
    """Find what a skin photograph shows beside dark corners.

    A corner is dark where it has less than 45 % of the brightness of the skin. Corners are taken for the instrument's
    only where three of the four are dark and what is left is convex, as a disc or a rounded rectangle is: the
    background beside an arm, or a dark lesion that touches the rim, is neither.

    Args:
        pixels: (C, H, W), any integer type.

    Returns:
        Mask (H, W); all true where there are no such corners.
    """
    height, width = pixels.shape[1:]
    level = brightness(pixels)
    skin = upper_quartile(level)
    corners = _dark_corners(level < _DARK_SHARE * skin)
    whole = np.ones((height, width), dtype=bool)
    if skin < _LEAST_SKIN or corners is None:
        return whole
    field = hull(largest_piece(~corners))
    within = float((field & corners).sum())
    enough = field.mean() >= _LEAST_FIELD and corners.mean() >= _LEAST_AREA
    if not enough or within > _MOST_WITHIN_HULL * field.sum() or within > 0.5 * corners.sum():
        return whole
    small = Pillow.fromarray(field.astype(np.uint8))
    return np.asarray(small.resize((width, height), Pillow.Resampling.NEAREST)) > 0


def _dark_corners(dark: Mask) -> Mask | None:
    """The dark pieces that reach a corner, if at least three corners are dark."""
    if sum(bool(dark[row, column].any()) for row in _ENDS for column in _ENDS) < _LEAST_CORNERS:
        return None
    from scipy import ndimage

    dark = shrunk(grown(np.pad(dark, 2, mode="edge"), times=1))[2:-2, 2:-2]
    pieces = np.asarray(ndimage.label(dark)[0])
    at_corners = [int(pieces[row, column]) for row in (0, -1) for column in (0, -1)]
    if sum(piece > 0 for piece in at_corners) < _LEAST_CORNERS:
        return None
    return np.isin(pieces, [piece for piece in at_corners if piece])
