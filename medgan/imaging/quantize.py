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
    limits = np.iinfo(dtype)
    whole = np.rint(numbers)
    clipped = int(((whole < limits.min) | (whole > limits.max)).sum())
    return np.clip(whole, limits.min, limits.max).astype(dtype), clipped
