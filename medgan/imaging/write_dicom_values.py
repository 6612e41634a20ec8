"""Values in units -> the whole numbers that a DICOM file stores, with a rescale that gives them back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medgan.errors import WriteError
from medgan.imaging.image import Pixels, StoredAs

_LONGEST = 16
_SIXTEEN_BITS = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Numbers as they will stand in the files.

    Args:
        numbers: (D, H, W) for grey frames, (D, H, W, 3) for colour.
        bits: BitsStored.
        rescale: RescaleSlope and RescaleIntercept of each frame as DICOM text, or None where the source's stay.
        window: WindowCenter and WindowWidth to show them by, or None where the source's stay.
        unit: Of the values that the rescale gives.
    """

    numbers: Pixels
    bits: int
    rescale: tuple[tuple[str, str], ...] | None
    window: tuple[str, str] | None = None
    unit: str = ""

    @property
    def is_colour(self) -> bool:
        """Whether there are three numbers for a pixel."""
        return self.numbers.ndim == 4

    @property
    def signed(self) -> bool:
        """Whether the numbers carry a sign: PixelRepresentation."""
        return self.numbers.dtype.kind == "i"

    @property
    def allocated(self) -> int:
        """BitsAllocated."""
        return self.numbers.dtype.itemsize * 8


def decimal_text(value: float) -> str:
    """A number as a DICOM decimal string: the shortest that reads back the same, or the closest in 16 characters.

    Raises:
        WriteError: W009, if 16 characters cannot hold it to 9 digits.

    Example:
        >>> decimal_text(0.5), decimal_text(-1024.0), decimal_text(0.666666686534882)
        ('0.5', '-1024', '0.66666668653488')
    """
    text = repr(float(value)).removesuffix(".0")
    if len(text) <= _LONGEST:
        return text
    for digits in range(16, 8, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= _LONGEST:
            return text
    raise WriteError("W009", "a number does not fit into a DICOM decimal string", got=repr(value))


def pack_by_source(
    values: Pixels, slopes: Sequence[float], intercepts: Sequence[float], *, limits: tuple[int, int], dtype: np.dtype
) -> Pixels | None:
    """Numbers by the source's own rescale, rounded to its step; None where one does not fit.

    Args:
        values: (D, H, W) in units.
        slopes: RescaleSlope of each frame.
        intercepts: RescaleIntercept of each frame.
        limits: The least and the greatest number that the source's BitsStored holds.
        dtype: Type of the source's numbers.
    """
    out = np.empty(values.shape, dtype=dtype)
    for index, (slope, intercept) in enumerate(zip(slopes, intercepts, strict=True)):
        numbers = _frame_numbers(values[index], slope, intercept)
        if numbers.min() < limits[0] or numbers.max() > limits[1]:
            return None
        out[index] = numbers
    return out


def pack_anew(values: Pixels, wanted: StoredAs | None, *, unit: str, about_zero: bool = False) -> Packed:
    """Numbers of 16 bits by a rescale of their own, one for the whole series, in which every value has room.

    Whole numbers stay exact while they span less than 65,536: by a slope of 1 and, for HU, an intercept of -1024
    where that holds them, as scanners write CT. Other values are spread over 16 bits, so that none is further from
    its own than half of 1/65,534 of their range.

    Args:
        values: (D, H, W) in units.
        wanted: Slope and intercept to use where all values fit by them.
        unit: Of the values.
        about_zero: Keep the intercept at 0, as PET must.

    Raises:
        WriteError: W009, if no decimal string is fine enough.
    """
    if wanted is not None and wanted.slope > 0:
        slope, intercept = decimal_text(wanted.slope), decimal_text(wanted.intercept)
        numbers = _numbers(values, slope, intercept)
        if numbers.min() >= 0 and numbers.max() <= _SIXTEEN_BITS:
            return _packed(numbers, slope, intercept, signed=False)
    if about_zero:
        return _about_zero(values)
    if _are_whole(values) and float(values.max()) - float(values.min()) <= _SIXTEEN_BITS:
        intercept, signed = _whole_intercept(int(values.min()), int(values.max()), unit=unit)
        return _packed(_numbers(values, "1", intercept), "1", intercept, signed=signed)
    bottom, top = float(values.min()), float(values.max())
    slope = f"{(top - bottom) / (_SIXTEEN_BITS - 1):.10g}"
    return _packed(_numbers(values, slope, f"{bottom:.10g}"), slope, f"{bottom:.10g}", signed=False)


def _frame_numbers(values: Pixels, slope: float, intercept: float) -> Pixels:
    if values.dtype.kind in "iu" and slope == 1 and float(intercept).is_integer():
        return values.astype(np.int64) - int(intercept)
    return np.rint((values.astype(np.float64) - intercept) / slope)


def _are_whole(values: Pixels) -> bool:
    return values.dtype.kind in "iu" or bool((np.rint(values) == values).all())


def _whole_intercept(low: int, high: int, *, unit: str) -> tuple[str, bool]:
    usual = -1024 if unit == "HU" else 0
    if usual <= low and high <= usual + _SIXTEEN_BITS:
        return str(usual), False
    if low >= -(2**15) and high < 2**15:
        return "0", True
    return str(low), False


def _about_zero(values: Pixels) -> Packed:
    slope = f"{max(float(np.abs(values).max()), 1e-30) / (2**15 - 2):.10g}"
    return _packed(_numbers(values, slope, "0"), slope, "0", signed=True)


def _numbers(values: Pixels, slope: str, intercept: str) -> Pixels:
    step = float(slope) or 1.0
    return np.rint((values.astype(np.float64) - float(intercept)) / step)


def _packed(numbers: Pixels, slope: str, intercept: str, *, signed: bool) -> Packed:
    low, high = (-(2**15), 2**15 - 1) if signed else (0, _SIXTEEN_BITS)
    if not (low <= numbers.min() and numbers.max() <= high) or len(slope) > _LONGEST or len(intercept) > _LONGEST:
        raise WriteError(
            "W009",
            "no rescale of 16 bits holds the values",
            got=f"slope {slope}, intercept {intercept}, numbers {numbers.min():.0f} to {numbers.max():.0f}",
            remedy="the values span too little for their size, or too much: look at them before writing",
        )
    kind = np.int16 if signed else np.uint16
    return Packed(numbers=numbers.astype(kind), bits=16, rescale=((slope, intercept),) * len(numbers))
