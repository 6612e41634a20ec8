"""The round field of view of a fundus photograph."""

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage
from scipy.spatial import ConvexHull

from medgan.imaging.image import Pixels

Mask = npt.NDArray[np.bool_]

_WORKING_PX = 384
_RELATIVE_THRESHOLD = 0.12
_LEAST_CONTRAST = 0.02
_LEAST_SHARE = 0.1


def find_field(pixels: Pixels) -> Mask:
    """Find where a fundus photograph shows the eye.

    The brightest channel is compared with the corners; what differs by more than 12 % of the picture's own contrast is
    field. The largest such piece, its holes filled, is extended to its convex hull: a retinal field is a disc, cut
    straight at most, so that a shadow at its rim still belongs to it.

    Args:
        pixels: (C, H, W), any integer type.

    Returns:
        Mask (H, W); all true where no border between field and background is found.
    """
    height, width = pixels.shape[1:]
    level = _brightness(pixels)
    contrast = np.abs(level - _corner_level(level))
    high = float(np.percentile(contrast, 75))
    candidate = ndimage.binary_opening(contrast > max(_LEAST_CONTRAST, _RELATIVE_THRESHOLD * high), iterations=2)
    piece = _largest_piece(candidate)
    if high < 2 * _LEAST_CONTRAST or piece.mean() < _LEAST_SHARE:
        return np.ones((height, width), dtype=bool)
    small = Pillow.fromarray(_hull(piece).astype(np.uint8))
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


def _brightness(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Brightest channel in [0, 1], smoothed, its longer side at most 384."""
    brightest = pixels.max(axis=0).astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    height, width = brightest.shape
    scale = min(1.0, _WORKING_PX / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        brightest = np.asarray(Pillow.fromarray(brightest).resize(size, Pillow.Resampling.BOX))
    return np.asarray(ndimage.uniform_filter(brightest, 3), dtype=np.float32)


def _corner_level(level: npt.NDArray[np.float32]) -> float:
    side = max(2, min(level.shape) // 25)
    ends = (slice(None, side), slice(-side, None))
    return float(np.median(np.concatenate([level[rows, columns].ravel() for rows in ends for columns in ends])))


def _largest_piece(mask: Mask) -> Mask:
    pieces, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(pieces == largest), dtype=bool)


def _hull(mask: Mask) -> Mask:
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.concatenate([np.stack([rows, first], axis=1), np.stack([rows, last], axis=1)])
    if np.ptp(points, axis=0).min() == 0:
        return mask
    corners = points[ConvexHull(points).vertices]
    canvas = Pillow.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for y, x in corners], fill=1, outline=1)
    return np.asarray(canvas) > 0
