"""Square samples: a random crop where the image is larger, padding round it where it is smaller."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class Square:
    """Where a square lies on an image.

    Args:
        top: Its first row on the image; negative where the image is padded.
        left: Its first column.
        size_px: Its side.
    """

    top: int
    left: int
    size_px: int

    def cut(
        self, array: npt.NDArray[Value], *, fill: float, out: npt.NDArray[Value] | None = None
    ) -> npt.NDArray[Value]:
        """Cut the square out of an array.

        Args:
            array: (..., H, W).
            fill: Value outside the image.
            out: Where to put it, such as a place in a batch; a new array by default.

        Returns:
            ``out``, (..., size_px, size_px).
        """
        height, width = array.shape[-2:]
        rows, at_rows = _overlap(self.top, self.size_px, height)
        columns, at_columns = _overlap(self.left, self.size_px, width)
        if out is None:
            out = np.empty((*array.shape[:-2], self.size_px, self.size_px), dtype=array.dtype)
        if rows.stop - rows.start < self.size_px or columns.stop - columns.start < self.size_px:
            out.fill(fill)
        out[..., at_rows, at_columns] = array[..., rows, columns]
        return out


def place_square(shape: tuple[int, ...], size_px: int, rng: np.random.Generator) -> Square:
    """Choose where a square lies: anywhere within a larger side, centred on a smaller one.

    Args:
        shape: Shape of the image, (..., H, W).
        size_px: Side of the square.
        rng: Draws the place; drawn from twice, whatever the shape.
    """
    height, width = shape[-2:]
    top = _start(height, size_px, rng.random())
    return Square(top=top, left=_start(width, size_px, rng.random()), size_px=size_px)


def _start(side: int, size_px: int, chance: float) -> int:
    if side <= size_px:
        return -((size_px - side) // 2)
    return int(chance * (side - size_px + 1))


def _overlap(start: int, length: int, side: int) -> tuple[slice, slice]:
    """The part of an axis that lies on the image, and where it goes."""
    first, last = max(start, 0), min(start + length, side)
    return slice(first, last), slice(first - start, last - start)
