"""The round field of view of a fundus photograph."""

import numpy as np
from PIL import Image as Pillow

from medgan.imaging.image import Pixels
from medgan.imaging.photograph_field import Mask, brightness, field_piece

__all__ = ["find_field", "square_box"]


def find_field(pixels: Pixels) -> Mask:
    """Find where a fundus photograph shows the eye.

    Args:
        pixels: (C, H, W), any integer type.

    Returns:
        Mask (H, W); all true where no border between field and background is found. See
        :func:`medgan.imaging.photograph_field.field_piece` for how it is found.
    """
    height, width = pixels.shape[1:]
    piece = field_piece(brightness(pixels))
    if piece is None:
        return np.ones((height, width), dtype=bool)
    small = Pillow.fromarray(piece.astype(np.uint8))
    return np.asarray(small.resize((width, height), Pillow.Resampling.NEAREST)) > 0


def square_box(mask: Mask) -> tuple[int, int, int, int]:
    """The square round a mask: (top, left, height, width); reaches beyond the picture where the field is cut.

    Example:
        >>> square_box(np.ones((2, 4), dtype=bool))
        (-1, 0, 4, 4)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    side = max(height, width)
    return int(rows[0]) - (side - height) // 2, int(columns[0]) - (side - width) // 2, side, side
