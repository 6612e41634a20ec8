"""Values in units -> stored numbers of a type, counting what does not fit."""

import numpy as np

from medgan.imaging.image import Pixels


def to_stored(values: Pixels, dtype: str, *, slope: float = 1.0, intercept: float = 0.0) -> tuple[Pixels, int]:
    """Undo a rescale, round and clip.

    Args:
        values: In units, any shape.
        dtype: NumPy name of the stored type.
        slope: Units per stored step.
        intercept: Units at stored zero.

    Returns:
        Stored numbers, and how many values were beyond the type's range.

    Example:
        >>> to_stored(np.array([-5.0, 2.4, 300.0]), "uint8")
        (array([  0,   2, 255], dtype=uint8), 2)
    """
    plain = (slope, intercept) == (1.0, 0.0)
    if plain and values.dtype == np.dtype(dtype):
        return values, 0
    numbers = values if plain else (values.astype(np.float64) - intercept) / slope
    if np.dtype(dtype).kind == "f":
        return numbers.astype(dtype), 0
    return round_to(numbers, dtype)


def round_to(numbers: Pixels, dtype: str) -> tuple[Pixels, int]:
    """Round to whole numbers and clip to an integer type's range.

    Args:
        numbers: Integers or floats, any shape.
        dtype: NumPy name of an integer type.

    Returns:
        The numbers in that type, and how many were beyond its range.

    Example:
        >>> round_to(np.float32([3e9, -1.5]), "int32")
        (array([2147483647,         -2], dtype=int32), 1)
    """
    limits = np.iinfo(dtype)
    if numbers.dtype.kind in "iu":
        below, above = numbers < limits.min, numbers > limits.max
        kept = np.where(below | above, 0, numbers).astype(dtype)
    else:  # the largest 32- and 64-bit integers are no floats: clipping to them would wrap round
        whole = np.rint(numbers.astype(np.float64, copy=False))
        below, above = whole < float(limits.min), whole >= float(limits.max) + 1.0
        kept = np.where(below | above, 0, whole).astype(dtype)
    kept[below], kept[above] = limits.min, limits.max
    return kept, int(below.sum()) + int(above.sum())
