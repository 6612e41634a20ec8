"""A volume prepared and put back a few slices at a time, so that no float copy of it is ever whole."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError
from medgan.imaging.geometry import Geometry, turn_back_view
from medgan.imaging.image import Image, Pixels, StoredAs
from medgan.imaging.intensity import Window
from medgan.imaging.quantize import round_to
from medgan.transforms.trace import Trace

Floats = npt.NDArray[np.float32]

SLAB_VOXELS = 2**21
"""About how many voxels are handled at a time: 16 MiB in float64."""

_FEWEST_LEVELS = 128


def slabs(shape: tuple[int, int, int]) -> Iterator[slice]:
    """Slices of a volume (D, H, W), so many at a time that they are about :data:`SLAB_VOXELS`.

    Example:
        >>> [(part.start, part.stop) for part in slabs((5, 1024, 1024))]
        [(0, 2), (2, 4), (4, 5)]
    """
    depth, height, width = shape
    thick = max(1, SLAB_VOXELS // max(1, height * width))
    for start in range(0, depth, thick):
        yield slice(start, min(start + thick, depth))


class Restoring:
    """Puts a translated volume back on its source's grid slab by slab; see :func:`~.volume.restore_volume`.

    Args:
        source: The image as read.
        trace: How it was prepared, without resampling.
        window: Window of the result, where it is not the trace's.
    """

    def __init__(self, source: Image, trace: Trace, *, window: Window | None) -> None:
        self._window = window or trace.window
        self._same = self._window == trace.window
        self._source = source if self._same else able_to_hold(source, self._window)
        self._pixels = np.empty(source.pixels.shape, dtype=np.dtype(self._source.pixels.dtype))
        prepared, own = traced(trace)
        self._result = turn_back_view(self._pixels, own, to=prepared)
        self._original = turn_back_view(source.pixels, own, to=prepared)

    def put(self, start: int, pixels: Floats, *, before: Floats | None = None) -> None:
        """Put back slices from ``start`` on.

        Args:
            start: First slice, on the prepared grid.
            pixels: (1, n, H, W) in [-1, 1], as translated.
            before: The same slices as prepared; made again from the source if None.
        """
        place = slice(start, start + pixels.shape[1])
        result = to_type(self._window.from_unit(pixels), self._pixels.dtype)
        if self._same:
            original = self._original[:, place]
            prepared = self._window.to_unit(original) if before is None else before
            result = np.where(pixels == prepared, original, result)
        self._result[:, place] = result

    def image(self) -> Image:
        """The whole image, once every slice is there."""
        return self._source.with_pixels(self._pixels)


def traced(trace: Trace) -> tuple[Geometry, Geometry]:
    """The prepared and the source's grid.

    Raises:
        GeometryError: G021, if the trace is not a volume's.
    """
    prepared, source = trace.prepared_geometry, trace.source_geometry
    if prepared is None or source is None:
        raise GeometryError("G021", "the trace is not a volume's", got=f"preset {trace.preset}")
    return prepared, source


def able_to_hold(source: Image, window: Window) -> Image:
    """The source, or its like in float32 where its type is too small or too coarse for a window.

    Of the like's pixels only shape and type count: they are zeros that take no memory.
    """
    if window.unit == "HU" and source.stored.unit != "HU":  # an MR made into a CT is written as one
        source = replace(source, stored=replace(source.stored, unit="HU"))
    stored = source.stored
    if np.dtype(stored.dtype).kind == "f":
        return source
    limits = np.iinfo(stored.dtype)
    ends = sorted((stored.slope * limits.min + stored.intercept, stored.slope * limits.max + stored.intercept))
    fine = (window.high - window.low) / abs(stored.slope) >= _FEWEST_LEVELS
    if fine and ends[0] <= window.low and window.high <= ends[1]:
        return source
    note = f"stored anew: {stored.dtype} cannot hold [{window.low:g}, {window.high:g}] in {_FEWEST_LEVELS} steps"
    anew = StoredAs(format=stored.format, dtype="float32", unit=window.unit, notes=(*stored.notes, note))
    if stored.format == "dicom":  # which has no floats for CT and MR: a rescale that spreads the window over 16 bits
        anew = replace(anew, dtype="uint16", slope=_sixteen_bits(window), intercept=float(f"{window.low:.10g}"))
    return replace(source, pixels=np.broadcast_to(np.float32(0), source.pixels.shape), stored=anew)


def to_type(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Values in units in the type of an image's pixels."""
    if dtype.kind == "f":
        return values.astype(dtype)
    return round_to(values, dtype.name)[0]


def _sixteen_bits(window: Window) -> float:
    return float(f"{(window.high - window.low) / (2**16 - 2):.10g}")
