"""Values of an image -> the pixel module of a derived DICOM file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset

from medgan.errors import WriteError
from medgan.imaging.dicom_files import Frame
from medgan.imaging.dicom_pixels import stored_limits
from medgan.imaging.image import Image, Pixels, StoredAs
from medgan.imaging.write_dicom_clean import keep_lossy
from medgan.imaging.write_dicom_target import ENHANCED, Target
from medgan.imaging.write_dicom_values import Packed, decimal_text, pack_anew, pack_by_source

_RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")
_NO_RESCALE = ("MR", "US", "XC", "OP", "ES", "GM", "SM", "OT", "SC")
_COLOUR_BITS = {"uint8": 8, "uint16": 16}


def pack(image: Image, like: Image, *, frames: Sequence[Frame], target: Target, dtype: np.dtype[Any]) -> Packed:
    """Turn values into the numbers to store: by the source's rescale where it holds them all, else by a new one.

    Args:
        image: The result.
        like: Its source.
        frames: Of the source, one for each slice.
        target: What the result becomes.
        dtype: Type of the source's numbers.

    Raises:
        WriteError: W008, if a picture cannot hold the values; W009, if no rescale of 16 bits can.
    """
    if image.channels != like.channels:
        raise WriteError(
            "W008",
            "the result has another number of channels than its source",
            where=str(like.path),
            got=str(image.channels),
            expected=str(like.channels),
        )
    if image.channels != 1:
        return _pack_colour(image)
    values = image.pixels[0] if image.is_volume else image.pixels
    own = image.stored if _scale(image.stored) != _scale(like.stored) and image.stored.dtype == "uint16" else None
    same_unit = image.stored.unit == like.stored.unit
    kept = None if own or target.crossed or not same_unit else _by_source(values, frames, dtype)
    if kept is not None:
        return kept
    if not image.is_volume and "ModalityLUTSequence" not in frames[0].dataset:
        raise _too_large(values, like)
    packed = pack_anew(values, own, unit=image.stored.unit, about_zero=target.modality == "PT")
    return replace(packed, unit=image.stored.unit, window=None if same_unit else _window(values))


def set_pixels(
    header: Dataset, frames: Sequence[Frame], packed: Packed, places: Sequence[int], *, target: Target
) -> None:
    """Put numbers into a header, with all that describes them.

    Args:
        header: Changed in place.
        frames: Of the source, those that the file holds, in its order.
        packed: Numbers of the whole series.
        places: Which of them are the file's.
        target: What the file becomes.
    """
    source = frames[0].dataset
    numbers = packed.numbers[list(places)]
    header.Rows, header.Columns = numbers.shape[1:3]
    _describe(header, source, packed, target)
    raw = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()
    header.PixelData = raw + b"\0" * (len(raw) % 2)
    header["PixelData"].VR = "OB" if packed.allocated == 8 else "OW"
    if target.sop_class in ENHANCED and "PerFrameFunctionalGroupsSequence" in header:
        _rescale_groups(header, packed)
    elif not packed.is_colour:
        _rescale(header, frames[0], packed, places[0], target)
    _show(header, source, packed)
    keep_lossy(header, source, pixel_bytes=_size(source))


def _scale(stored: StoredAs) -> tuple[str, float, float]:
    return stored.dtype, stored.slope, stored.intercept


def _by_source(values: Pixels, frames: Sequence[Frame], dtype: np.dtype[Any]) -> Packed | None:
    """By the source's rescale, in its BitsStored or, where that is too few, in all that it allocates."""
    first = frames[0].dataset
    if "ModalityLUTSequence" in first:
        return None
    slopes, intercepts = [frame.slope for frame in frames], [frame.intercept for frame in frames]
    all_bits = np.iinfo(dtype)
    for limits, bits in (
        (stored_limits(first), int(first.get("BitsStored") or first.BitsAllocated)),
        ((int(all_bits.min), int(all_bits.max)), int(all_bits.bits)),
    ):
        numbers = pack_by_source(values, slopes, intercepts, limits=limits, dtype=dtype)
        if numbers is not None:
            return Packed(numbers=numbers, bits=bits, rescale=None)
    return None


def _pack_colour(image: Image) -> Packed:
    bits = _COLOUR_BITS.get(image.stored.dtype, 0)
    numbers = np.moveaxis(np.rint(image.pixels), 0, -1)
    numbers = numbers if image.is_volume else numbers[None]
    if image.channels != 3 or not bits or numbers.min() < 0 or numbers.max() >= 2**bits:
        raise WriteError(
            "W008",
            "a colour picture cannot hold the values",
            where=str(image.path),
            got=f"{image.channels} channels, {image.stored.dtype}, {numbers.min():g} to {numbers.max():g}",
            expected="3 channels of 8 or 16 bits without a sign",
        )
    return Packed(numbers=numbers.astype(image.stored.dtype), bits=bits, rescale=None)


def _too_large(values: Pixels, like: Image) -> WriteError:
    return WriteError(
        "W008",
        "a grey picture cannot hold the values",
        where=str(like.path),
        got=f"{values.min():g} to {values.max():g}",
        expected=f"what {like.stored.dtype} holds",
        remedy="scale the result into the source's range first",
    )


def _window(values: Pixels) -> tuple[str, str]:
    """Centre and width of a window that shows all but the darkest and the brightest 1 % of the values."""
    low, high = (float(value) for value in np.percentile(values, (1, 99)))
    return f"{(low + high) / 2:.6g}", f"{max(high - low, 1.0):.6g}"


def _describe(header: Dataset, source: FileDataset, packed: Packed, target: Target) -> None:
    shown = str(source.get("PhotometricInterpretation") or "")
    grey = shown if shown == "MONOCHROME1" and not target.crossed else "MONOCHROME2"
    header.PhotometricInterpretation = "RGB" if packed.is_colour else grey
    header.SamplesPerPixel = 3 if packed.is_colour else 1
    header.pop("PlanarConfiguration", None)
    if packed.is_colour:
        header.PlanarConfiguration = 0
        header.pop("PresentationLUTShape", None)
    header.BitsAllocated, header.BitsStored, header.HighBit = packed.allocated, packed.bits, packed.bits - 1
    header.PixelRepresentation = int(packed.signed)


def _rescale(header: Dataset, frame: Frame, packed: Packed, place: int, target: Target) -> None:
    told = "RescaleSlope" in header and "RescaleIntercept" in header
    kept = (decimal_text(frame.slope), decimal_text(frame.intercept))
    slope, intercept = packed.rescale[place] if packed.rescale else kept
    needed = target.modality in ("CT", "PT") or (slope, intercept) != ("1", "0")
    if packed.rescale or not told:
        kind = header.get("RescaleType")
        for keyword in _RESCALE:
            header.pop(keyword, None)
        if needed or target.modality not in _NO_RESCALE:
            header.RescaleSlope, header.RescaleIntercept = slope, intercept
            header.RescaleType = _type_of(packed, str(kind or "US"))
    if target.modality == "CT" and str(header.get("RescaleType") or "US") == "US":
        header.RescaleType = "HU"  # as values of a CT are read
    if target.modality == "PT":
        header.pop("RescaleType", None)  # Units say it


def _rescale_groups(header: Dataset, packed: Packed) -> None:
    """One rescale for all frames of an enhanced file, where the source's does not stay."""
    if packed.rescale is None:
        return
    kind = "US"
    for group in (*header.PerFrameFunctionalGroupsSequence, *header.SharedFunctionalGroupsSequence):
        for item in group.pop("PixelValueTransformationSequence", None) or []:
            kind = str(item.get("RescaleType") or kind)
    transformation = Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept = packed.rescale[0]
    transformation.RescaleType = _type_of(packed, kind)
    header.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [transformation]


def _type_of(packed: Packed, kind: str) -> str:
    return "HU" if packed.unit == "HU" else "US" if kind == "HU" else kind


def _show(header: Dataset, source: FileDataset, packed: Packed) -> None:
    """The source's windows are in units and stay; a table goes where the numbers have another sign than its entries."""
    if "VOILUTSequence" in header and bool(source.get("PixelRepresentation")) != packed.signed:
        del header.VOILUTSequence
    if packed.window is not None:
        header.WindowCenter, header.WindowWidth = packed.window


def _size(source: FileDataset) -> int:
    sides = int(source.Rows) * int(source.Columns) * int(source.get("NumberOfFrames") or 1)
    return sides * int(source.get("SamplesPerPixel") or 1) * int(source.BitsAllocated) // 8
