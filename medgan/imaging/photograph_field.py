"""The part of a photograph that shows something, told from the dark round it."""

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw

from medgan.imaging.image import Pixels

Mask = npt.NDArray[np.bool_]

_WORKING_PX = 384
_RELATIVE_THRESHOLD = 0.12
_LEAST_CONTRAST = 0.02
_LEAST_SHARE = 0.1


def field_piece(level: npt.NDArray[np.float32]) -> Mask | None:
    """Find the field in a small picture's brightness.

    What differs from the corners by more than 12 % of the picture's own contrast is field. The largest such piece is
    extended to its convex hull: a retinal field is a disc, cut straight at most, so that a shadow at
    its rim still belongs to it.

    Args:
        level: What :func:`brightness` gives, (h, w) in [0, 1].

    Returns:
        Mask (h, w), or None where no border between field and background is found.
    """
    contrast = np.abs(level - _corner_level(level))
    high = upper_quartile(contrast)
    candidate = contrast > max(_LEAST_CONTRAST, _RELATIVE_THRESHOLD * high)
    piece = largest_piece(grown(shrunk(shrunk(candidate)), times=2))
    if high < 2 * _LEAST_CONTRAST or piece.mean() < _LEAST_SHARE:
        return None
    return hull(piece)


def brightness(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Brightest channel (H, W) in [0, 1], smoothed, its longer side at most 384."""
    brightest = pixels.max(axis=0)
    height, width = brightest.shape
    scale = min(1.0, _WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Pillow.fromarray(brightest if brightest.dtype == np.uint8 else brightest.astype(np.float32))
    if scale < 1:
        # bytes are averaged several times faster than floats, and first by whole steps
        picture = picture.reduce(max(1, int(0.5 / scale))).convert("F").resize(size, Pillow.Resampling.BOX)
    from scipy import ndimage

    level = np.asarray(picture, dtype=np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return np.asarray(ndimage.uniform_filter(level, 3), dtype=np.float32)


def largest_piece(mask: Mask) -> Mask:
    """The largest connected piece of a mask; the mask itself where it is empty."""
    from scipy import ndimage

    pieces, count = ndimage.label(mask)
    if count == 0:
        return mask
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(pieces == largest, dtype=bool)


def upper_quartile(values: npt.NDArray[np.float32]) -> float:
    """The value that a quarter of all exceed."""
    return float(np.partition(values.ravel(), values.size * 3 // 4)[values.size * 3 // 4])


def hull(mask: Mask) -> Mask:
    """The smallest convex area round a mask."""
    from scipy.spatial import ConvexHull

    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    points = np.concatenate([np.stack([rows, first], axis=1), np.stack([rows, last], axis=1)])
    if np.ptp(points, axis=0).min() == 0:
        return mask
    corners = points[ConvexHull(points).vertices]
    canvas = Pillow.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for y, x in corners], fill=1, outline=1)
    return np.asarray(canvas) > 0


def shrunk(mask: Mask) -> Mask:
    """Take off what touches the outside with one of its four sides; the picture's rim is outside."""
    out = np.zeros_like(mask)
    inner = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    out[1:-1, 1:-1] = inner
    return out


def grown(mask: Mask, *, times: int) -> Mask:
    """Add what touches the mask with one of its four sides, several times."""
    for _ in range(times):
        out = mask.copy()
        out[1:] |= mask[:-1]
        out[:-1] |= mask[1:]
        out[:, 1:] |= mask[:, :-1]
        out[:, :-1] |= mask[:, 1:]
        mask = out
    return mask


def _corner_level(level: npt.NDArray[np.float32]) -> float:
    side = max(2, min(level.shape) // 25)
    ends = (slice(None, side), slice(-side, None))
    return float(np.median(np.concatenate([level[rows, columns].ravel() for rows in ends for columns in ends])))
