"""A JPEG: its picture alone is decoded, whole or at a part of its size."""

import io
from pathlib import Path

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from medgan.errors import ReadError
from medgan.imaging.image import Pixels
from medgan.imaging.photograph_decoded import DecodedPhotograph
from medgan.imaging.photograph_errors import several_pictures, truncated
from medgan.imaging.photograph_jpeg_parts import JpegParts, jpeg_parts

_FILLED = 128
"""What libjpeg shows where data are missing: every coefficient zero."""
_MOST_BEHIND = 32


def decode_jpeg(raw: bytes, path: Path, *, max_megapixels: float, at_least_px: int | None = None) -> DecodedPhotograph:
    """Decode a baseline or progressive JPEG.

    A JPEG has no checksum, so that a flipped bit can go unnoticed; a picture that is cut off does not, even where an
    end has been put behind the cut.

    Args:
        raw: The whole file.
        path: For messages.
        max_megapixels: As for :func:`medgan.imaging.photograph.read_photograph`.
        at_least_px: The same.

    Raises:
        ReadError: R004, R005, R006, R010, R012.
    """
    parts = jpeg_parts(raw, path, max_megapixels=max_megapixels)
    notes = _what_follows(raw, parts, path)
    step = 1 if at_least_px is None else _step(parts, at_least_px)
    array = _decode(parts.essential, step)
    if (parts.progressive or _looks_filled(array, step)) and not _is_whole(parts, step):
        raise truncated(path, "picture data that end too early")
    if parts.components == 4:
        array = _rgb_of_cmyk(array)
        notes.append("CMYK converted to RGB without a colour profile")
    shape = (parts.height, parts.width)
    profile = None if parts.components == 4 else parts.profile
    return DecodedPhotograph(array, tuple(notes), parts.turn, profile, None if step == 1 else shape)


def jpeg_profile(raw: bytes, path: Path) -> bytes | None:
    """The colour profile of a JPEG that has been read before."""
    parts = jpeg_parts(raw, path, max_megapixels=float("inf"))
    return None if parts.components == 4 else parts.profile


def _step(parts: JpegParts, at_least_px: int) -> int:
    """How many pixels of the picture become one: the most that libjpeg can without falling short of the wish.

    The last row and column may stand for fewer. Turned, they would be the first and shift the picture by a part of a
    pixel, so that then only whole steps are taken.
    """
    longer, turned = max(parts.width, parts.height), parts.turn not in (None, 1)
    for step in (8, 4, 2):
        whole = parts.width % step == 0 and parts.height % step == 0
        if longer // step >= at_least_px and (whole or not turned):
            return step
    return 1


def _decode(data: bytes, step: int) -> Pixels:
    with JpegImageFile(io.BytesIO(data)) as opened:
        if step > 1:
            opened.draft(None, (max(1, opened.width // step), max(1, opened.height // step)))
        opened.load()
        return np.asarray(opened)


def _rgb_of_cmyk(array: Pixels) -> Pixels:
    from PIL import Image as Pillow

    return np.asarray(Pillow.fromarray(array, mode="CMYK").convert("RGB"))


def _looks_filled(array: Pixels, step: int) -> bool:
    """Whether the last block is grey; a progressive picture would be blurred instead."""
    last = array[-(8 // step) :, -(8 // step) :]
    return bool((np.abs(last.astype(np.int16) - _FILLED) <= 1).all())


def _is_whole(parts: JpegParts, step: int) -> bool:
    """Whether more data behind each scan would change nothing: only what was incomplete takes them up."""
    longer, before = bytearray(), 0
    for end in parts.scan_ends:
        longer += parts.essential[before:end] + bytes(range(1, 255, 3)) * 4
        before = end
    longer += parts.essential[before:]
    return bool(np.array_equal(_decode(parts.essential, step), _decode(bytes(longer), step)))


def _what_follows(raw: bytes, parts: JpegParts, path: Path) -> list[str]:
    """Tell smaller pictures behind the first (previews, gain maps of phones) from a second one of its kind."""
    rest = len(raw) - parts.end
    if rest == 0 or not raw[parts.end :].strip(b"\0"):
        return []
    at, previews = parts.end, 0
    for _ in range(_MOST_BEHIND):
        at = raw.find(b"\xff\xd8\xff", at)
        if at < 0:
            break
        following = _following(raw[at:], path)
        if following is None:
            at += 3
            continue
        if following.width >= parts.width and following.height >= parts.height:
            raise several_pictures(path, "a second picture as large as the first, such as a stereo pair")
        previews, at = previews + 1, at + following.end
    if previews:
        return [f"first picture taken, {previews} smaller behind it ignored"]
    return [f"{rest} bytes after the picture's end ignored"]


def _following(raw: bytes, path: Path) -> JpegParts | None:
    try:
        return jpeg_parts(raw, path, max_megapixels=float("inf"))
    except ReadError:
        return None
