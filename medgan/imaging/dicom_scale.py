"""Stored numbers of DICOM frames -> values in units."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydicom.pixels.processing import apply_modality_lut

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, value_of
from medgan.imaging.dicom_parse import parsing
from medgan.imaging.dicom_pixels import stored_limits
from medgan.imaging.dicom_values import text, words
from medgan.imaging.image import Pixels


def with_lookup(frames: Sequence[Frame], stored: Pixels) -> tuple[list[Frame], Pixels, list[str]]:
    """Apply each frame's Modality LUT, which stands in the place of a rescale.

    Args:
        frames: With their headers.
        stored: Of these frames, (D, H, W).

    Returns:
        The frames, with no rescale where a table was applied; values; a note where there was one.

    Raises:
        ReadError: R010, if some slices have a table and others none.
    """
    tables = [bool(frame.dataset.get("ModalityLUTSequence")) for frame in frames]
    if not any(tables):
        return list(frames), stored, []
    if not all(tables) or len({len(frame.dataset.ModalityLUTSequence) for frame in frames}) != 1:
        raise ReadError(
            "R010",
            "only some slices have a Modality LUT",
            where=str(frames[0].path.parent),
            got=f"{sum(tables)} of {len(frames)}",
            remedy="export the series again",
        )
    with parsing(frames[0].path):
        values = np.stack(
            [apply_modality_lut(array, frame.dataset) for array, frame in zip(stored, frames, strict=True)]
        )
    return [replace(frame, slope=1.0, intercept=0.0) for frame in frames], values, ["Modality LUT applied"]


def scale_of(frames: Sequence[Frame]) -> tuple[float, float, list[str]]:
    """Slope and intercept of all frames; 1 and 0 with a note where each has its own."""
    scales = {(frame.slope, frame.intercept) for frame in frames}
    if len(scales) == 1:
        slope, intercept = scales.pop()
        return slope, intercept, []
    return 1.0, 0.0, [f"{len(scales)} different rescales; each slice by its own"]


def unit_of(frame: Frame) -> str:
    """HU for CT, the stated Units for PET, what the rescale names, else ``"a.u."``."""
    kind = str(value_of(frame.groups, "PixelValueTransformationSequence", "RescaleType") or "").strip()
    is_map = "PERFUSION" in words(frame.dataset, "ImageType")
    if text(frame.dataset, "Modality") == "CT" and (kind == "HU" or (kind in ("", "US") and not is_map)):
        return "HU"
    return kind if kind not in ("", "US") else text(frame.dataset, "Units") or "a.u."


def in_units(frames: Sequence[Frame], stored: Pixels) -> Pixels:
    """Rescale: whole slopes and intercepts keep integers, others make float32.

    Integers of the same size are rescaled in place: the stored numbers are gone afterwards.

    Raises:
        ReadError: R010, if a slope is zero or a rescale not finite.
    """
    for frame in frames:
        if not np.isfinite([frame.slope, frame.intercept]).all() or frame.slope == 0:
            raise ReadError(
                "R010",
                "the rescale loses the values",
                where=str(frame.path),
                got=f"RescaleSlope {frame.slope}, RescaleIntercept {frame.intercept}",
                expected="finite numbers, the slope not zero",
                remedy="export it again",
            )
    scales = {(frame.slope, frame.intercept) for frame in frames}
    if len(scales) == 1:
        slope, intercept = next(iter(scales))
        if (slope, intercept) == (1.0, 0.0):
            return stored
        if slope.is_integer() and intercept.is_integer():
            whole = _whole(frames, stored, int(slope), int(intercept))
            if whole is not None:
                return whole
    values = np.empty(stored.shape, dtype=np.float32)
    for place, frame in enumerate(frames):
        values[place] = stored[place].astype(np.float64) * frame.slope + frame.intercept
    return values


def _whole(frames: Sequence[Frame], stored: Pixels, slope: int, intercept: int) -> Pixels | None:
    """Rescale in integers, in 16 bits where BitsStored says that they suffice."""
    files = {id(frame.dataset): frame.dataset for frame in frames}.values()
    ends = [slope * end + intercept for file in files for end in stored_limits(file)]
    least, most = min(ends), max(ends)
    for kind in (np.int16, np.int32, np.int64):
        limits = np.iinfo(kind)
        if limits.min <= least and most <= limits.max:
            # sums and products that wrap on the way are right again at the end, which fits
            same_size = stored.dtype.itemsize == np.dtype(kind).itemsize
            values: Any = stored.view(kind) if same_size else stored.astype(kind)
            if slope != 1:
                values *= kind(_wrapped(slope, kind))
            values += kind(_wrapped(intercept, kind))
            return np.asarray(values)
    return None


def _wrapped(number: int, kind: type[np.signedinteger]) -> int:
    bits = np.dtype(kind).itemsize * 8
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
