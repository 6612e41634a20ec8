"""DICOM pictures: grey, RGB, and what turns into RGB."""

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, frame_count
from medgan.imaging.dicom_parse import parse_with_pixels, parsing
from medgan.imaging.dicom_pixels import check_native_bytes, stored_stack
from medgan.imaging.image import Pixels

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422", "YBR_PARTIAL_420")


def picture_of(frame: Frame) -> tuple[Pixels, list[str]]:
    """Decode one picture.

    Returns:
        (1, H, W) grey as stored, or (1, H, W, 3) RGB in 8, 16 or 32 bits; and notes.

    Raises:
        ReadError: R004 truncated, R010 a colour space or depth that is not supported, R030 no decoder, R041 longer
            than announced.
    """
    layout = frame.file.layout
    space, samples = layout.space, layout.samples
    if samples == 1 and space in _GREY:
        notes: list[str] = []
        return stored_stack([frame], notes), notes
    if samples == 1 and space == "PALETTE COLOR":
        return _palette(frame), ["PALETTE COLOR expanded to RGB"]
    if samples != 3 or space not in _COLOUR:
        raise _unsupported(frame, f"{samples} samples of an unknown colour space")
    pixels = _colour(frame, space)
    return pixels[None], [] if space == "RGB" else [f"{space} converted to RGB"]


def _palette(frame: Frame) -> Pixels:
    indices = stored_stack([frame])
    with parsing(frame.path):
        return np.asarray(apply_color_lut(indices, frame.dataset))[..., :3]


def _colour(frame: Frame, space: str) -> Pixels:
    layout = frame.file.layout
    allocated, stored, high = layout.allocated, layout.bits, layout.high
    lossless_transform = space in ("RGB", "YBR_ICT", "YBR_RCT")
    if allocated not in (8, 16, 32) or (allocated != 8 and not lossless_transform):
        raise _unsupported(frame, f"{space} of {allocated} bits")
    if high != stored - 1:
        raise _unsupported(frame, f"colours of {stored} bits up to bit {high}")
    if space.startswith("YBR_PARTIAL"):
        raise _unsupported(frame, space)
    if layout.compressed:
        from medgan.imaging.dicom_codecs import decompressed

        return decompressed(frame.file, [frame.index])[0]
    _check_bytes(frame, space, allocated)
    with parsing(frame.path):
        whole = parse_with_pixels(frame.file)
        array, _ = next(get_decoder(whole.layout.syntax).iter_array(whole.dataset, indices=[frame.index]))
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_bytes(frame: Frame, space: str, allocated: int) -> None:
    samples = 2 if space == "YBR_FULL_422" else 3
    layout = frame.file.layout
    shape = (frame_count(frame.file), layout.rows, layout.columns)
    check_native_bytes(frame.file, shape, pixel_bits=samples * allocated, space=space)


def _unsupported(frame: Frame, got: str) -> ReadError:
    return ReadError(
        "R010",
        "this kind of DICOM picture is not supported",
        where=str(frame.path),
        got=got,
        expected="MONOCHROME1 or 2, PALETTE COLOR, RGB or YBR colours of 8 bits, RGB of 16 bits",
        remedy="convert it to RGB",
    )
