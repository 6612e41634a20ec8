"""Slices of a volume for 2D networks: neighbours in the channels, sizes that a network takes, and back."""

import numpy as np

from medgan.errors import GeometryError
from medgan.imaging.image import Pixels

Margins = tuple[tuple[int, int], tuple[int, int]]


def neighbour_stack(volume: Pixels, index: int, *, neighbours: int) -> Pixels:
    """One slice with its neighbours in the channels, for 2.5D.

    Copies these slices and no others, so that the volume can be a memory map.

    Args:
        volume: (C, D, H, W).
        index: Slice in the middle, from 0.
        neighbours: Slices in all, odd. Beyond the first or last slice that slice is repeated.

    Returns:
        (C * neighbours, H, W): all channels of slice ``index - neighbours // 2`` first, then of the next.

    Raises:
        GeometryError: G030, if ``neighbours`` is even or the index is outside.

    Example:
        >>> neighbour_stack(np.arange(3).reshape(1, 3, 1, 1), 0, neighbours=3).ravel()
        array([0, 0, 1])
    """
    channels, depth, height, width = volume.shape
    if neighbours < 1 or neighbours % 2 == 0 or not 0 <= index < depth:
        raise GeometryError(
            "G030",
            "no such stack of slices",
            got=f"slice {index} with {neighbours} slices in all, of {depth}",
            expected=f"an odd number of slices and an index in 0 to {depth - 1}",
        )
    stack = np.empty((neighbours, channels, height, width), dtype=volume.dtype)
    for place, offset in enumerate(range(-(neighbours // 2), neighbours // 2 + 1)):
        stack[place] = volume[:, min(max(index + offset, 0), depth - 1)]
    return stack.reshape(channels * neighbours, height, width)


def pad_to_multiple(array: Pixels, multiple: int) -> tuple[Pixels, Margins]:
    """Pad height and width, evenly on both sides, to multiples of a number.

    Args:
        array: (..., H, W).
        multiple: What the network's depth asks for.

    Returns:
        The padded array, reflected at the edges (repeated where it is too small to reflect), and the margins
        ((top, bottom), (left, right)) for :func:`crop_back`.

    Example:
        >>> pad_to_multiple(np.zeros((1, 5, 8)), 4)[0].shape
        (1, 8, 8)
    """
    height, width = array.shape[-2:]
    margins = (_evenly(-height % multiple), _evenly(-width % multiple))
    for axis, margin in ((-2, margins[0]), (-1, margins[1])):
        if max(margin) > 0:
            around = [(0, 0)] * array.ndim
            around[axis] = margin
            array = np.pad(array, around, mode="reflect" if max(margin) < array.shape[axis] else "edge")
    return array, margins


def crop_back(array: Pixels, margins: Margins) -> Pixels:
    """Undo :func:`pad_to_multiple`; also for another number of channels."""
    (top, bottom), (left, right) = margins
    return array[..., top : array.shape[-2] - bottom, left : array.shape[-1] - right]


def fit_square(array: Pixels, size_px: int, *, fill: float = -1.0) -> tuple[Pixels, Margins]:
    """Pad or crop round the centre to a square.

    Args:
        array: (..., H, W).
        size_px: Side wanted.
        fill: What is put round a smaller array.

    Returns:
        (..., size_px, size_px), and the margins for :func:`unfit_square`; negative where it was cropped.

    Example:
        >>> fit_square(np.zeros((1, 2)), 2)[0]
        array([[ 0.,  0.],
               [-1., -1.]])
    """
    height, width = array.shape[-2:]
    margins = (_evenly(size_px - height), _evenly(size_px - width))
    return _moved(array, margins, fill), margins


def unfit_square(array: Pixels, margins: Margins, *, fill: float = -1.0) -> Pixels:
    """Undo :func:`fit_square`; what was cropped away comes back as ``fill``."""
    (top, bottom), (left, right) = margins
    return _moved(array, ((-top, -bottom), (-left, -right)), fill)


def _evenly(total: int) -> tuple[int, int]:
    return total // 2, total - total // 2


def _moved(array: Pixels, margins: Margins, fill: float) -> Pixels:
    for axis, (before, after) in ((-2, margins[0]), (-1, margins[1])):
        kept = [slice(None)] * array.ndim
        kept[axis] = slice(max(0, -before), array.shape[axis] - max(0, -after))
        around = [(0, 0)] * array.ndim
        around[axis] = (max(0, before), max(0, after))
        array = np.pad(array[tuple(kept)], around, constant_values=fill)
    return array
