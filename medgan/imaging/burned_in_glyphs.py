"""Lines of glyphs on the dark ground round a photograph's field."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from medgan.imaging.image import Pixels
from medgan.imaging.photograph_field import Mask, brightness, field_piece, grown

Levels = npt.NDArray[np.uint8]

_LEAST_GROUND = 0.02
"""Share of the picture that must be ground."""
_PLAIN = 8
_DARK, _BRIGHT = 64, 230
"""Ground is nearly black or nearly white: what lies between is skin or a room."""
_CONTRAST = 40
_LEAST_PX = 6
_MOST_SHARE = 0.09
"""Largest height of a glyph as a share of the picture's longer side."""
_LEAST_STROKES = 4


class _Line(NamedTuple):
    top: int
    left: int
    bottom: int
    right: int


def text_on_ground(pixels: Pixels) -> bool:
    """Whether something that looks like a line of text stands on the plain ground round the field.

    Args:
        pixels: (C, H, W), uint8 or uint16.

    Returns:
        False also where the picture has no plain ground: text inside the field is not looked for.
    """
    level = _levels(pixels)
    field = _field(level)
    if field is None:
        return False
    ink = _ink(level, field)
    return ink is not None and any(_is_text(ink, line) for line in _lines(ink))


def _levels(pixels: Pixels) -> Levels:
    level = pixels.max(axis=0) if pixels.shape[0] > 1 else pixels[0]
    return level if level.dtype == np.uint8 else (level >> 8).astype(np.uint8)


def _field(level: Levels) -> Mask | None:
    """The field, a little enlarged, at the size of :func:`brightness`."""
    piece = field_piece(brightness(level[None]))
    if piece is None:
        return None
    field = grown(piece, times=max(2, max(piece.shape) // 60))
    return field if (~field).mean() >= _LEAST_GROUND else None


def _ink(level: Levels, field: Mask) -> Mask | None:
    """What stands out from the ground, in full size; None where the ground is not plain."""
    size = (level.shape[1], level.shape[0])
    ground = np.asarray(Pillow.fromarray((~field).astype(np.uint8)).resize(size, Pillow.Resampling.NEAREST)) > 0
    values = level[ground][:: max(1, level.size // 200_000)]
    usual = int(np.median(values))
    plain = np.percentile(np.abs(values.astype(np.int16) - usual), 75) <= _PLAIN
    if not plain or _DARK < usual < _BRIGHT:
        return None
    ink = (level > min(usual + _CONTRAST, 255)) | (level < max(usual - _CONTRAST, 0))
    ink &= ground
    return ink


def _lines(ink: Mask) -> list[_Line]:
    """Boxes of what stands side by side: glyphs joined over gaps of up to their height."""
    from scipy import ndimage

    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if rows.size == 0:
        return []
    top, left = int(rows[0]), int(columns[0])
    cut = ink[top : rows[-1] + 1, left : columns[-1] + 1]
    most = _MOST_SHARE * max(ink.shape)
    found = []
    for gap in (4, 12, 32):
        if 2 * gap > max(cut.shape):
            continue
        joined = ndimage.maximum_filter1d(cut.view(np.uint8), 2 * (gap // 2) + 1, axis=1)
        pieces, _ = ndimage.label(joined)
        for box in ndimage.find_objects(pieces):
            high, wide = box[0].stop - box[0].start, box[1].stop - box[1].start
            if _LEAST_PX <= high <= most and wide >= 1.8 * high and gap <= 2.5 * high:
                found.append(_Line(top + box[0].start, left + box[1].start, top + box[0].stop, left + box[1].stop))
    return found


def _is_text(ink: Mask, line: _Line) -> bool:
    """Whether a box holds upright strokes side by side, neither a bar nor specks."""
    cut = ink[line.top : line.bottom, line.left : line.right]
    share = float(cut.mean())
    if not 0.08 <= share <= 0.8:
        return False
    starts = (np.diff(cut.astype(np.int8), axis=1, prepend=0) == 1).sum(axis=1)
    return bool(np.median(starts[len(starts) // 6 : -(len(starts) // 6) or None]) >= _LEAST_STROKES)
