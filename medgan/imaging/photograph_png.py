"""A PNG, with every checksum compared and its full depth."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngImageFile

from medgan.imaging.image import Pixels
from medgan.imaging.photograph_decoded import DecodedPhotograph
from medgan.imaging.photograph_errors import (
    alpha_channel,
    check_size,
    damaged,
    several_pictures,
    truncated,
)
from medgan.imaging.photograph_orientation import exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_GREY, _COLOUR, _PALETTE = 0, 2, 3
_LARGEST_PROFILE = 1 << 22
_BLOCK = 1 << 16
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, row step and column step of each pass."""


@dataclass
class _Parts:
    """What a PNG holds: its header's numbers, its chunks that bear on pixels, and the blocks beside them."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool
    pixels: bytes
    chunks: dict[bytes, bytes]
    rest: int

    @property
    def bits_per_pixel(self) -> int:
        return self.bits * {_GREY: 1, _COLOUR: 3, _PALETTE: 1, 4: 2, 6: 4}[self.colour]


def decode_png(raw: bytes, path: Path, *, max_megapixels: float, palette: str) -> DecodedPhotograph:
    """Decode a PNG of 1 to 16 bits.

    Pillow alone passes over a wrong checksum, a missing end and missing rows, which it leaves black; and it cuts
    16-bit colour to 8 bit. Text chunks are skipped unread.

    Args:
        raw: The whole file.
        path: For messages.
        max_megapixels: As for :func:`medgan.imaging.photograph.read_photograph`.
        palette: The same.

    Raises:
        ReadError: R004, R005, R006, R011, R012.
    """
    parts = _parts(raw, path, max_megapixels)
    indexed = parts.colour == _PALETTE
    if int.from_bytes(parts.chunks.get(b"acTL", b"")[:4], "big") > 1:
        raise several_pictures(path, "an animation")
    if parts.colour in (4, 6) or (b"tRNS" in parts.chunks and not (indexed and palette == "index")):
        raise alpha_channel(path, "a transparent palette or colour" if b"tRNS" in parts.chunks else "alpha")
    _check_stream(parts, path)
    array, notes = _pixels(parts, path, palette)
    if parts.rest:
        notes.append(f"{parts.rest} bytes after the picture's end ignored")
    return DecodedPhotograph(
        array, tuple(notes), exif_orientation(parts.chunks.get(b"eXIf")), _profile(parts.chunks.get(b"iCCP"))
    )


def png_profile(raw: bytes) -> bytes | None:
    """The colour profile of a PNG that has been read before."""
    return _profile(_first(raw, b"iCCP"))


def png_orientation(raw: bytes) -> int | None:
    """The EXIF orientation of a PNG that has been read before, or None."""
    return exif_orientation(_first(raw, b"eXIf"))


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG: length, kind, content, checksum."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def _first(raw: bytes, wanted: bytes) -> bytes | None:
    at = len(SIGNATURE)
    while at + 12 <= len(raw):
        length, kind = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        if kind == wanted:
            return raw[at + 8 : at + 8 + length]
        at += 12 + length
    return None


def _parts(raw: bytes, path: Path, max_megapixels: float) -> _Parts:
    at, found, pixels, ended = len(SIGNATURE), dict[bytes, bytes](), list[bytes](), False
    view = memoryview(raw)
    while not ended:
        length, kind = int.from_bytes(view[at : at + 4], "big"), bytes(view[at + 4 : at + 8])
        if at + 12 + length > len(raw):
            raise truncated(path, f"{len(raw)} bytes, without the end of the picture")
        content = view[at + 8 : at + 8 + length]
        if zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(view[at + 8 + length : at + 12 + length], "big"):
            raise damaged(path, f"a wrong checksum in chunk {len(found) + len(pixels)}")
        if not found:
            _check_head(kind, bytes(content), path, max_megapixels)
        if kind == b"IDAT":
            pixels.append(bytes(content))
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"eXIf", b"iCCP"):
            found.setdefault(kind, bytes(content))
        at, ended = at + 12 + length, kind == b"IEND"
    head = found[b"IHDR"]
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    return _Parts(width, height, head[8], head[9], head[12] == 1, b"".join(pixels), found, len(raw) - at)


def _check_head(kind: bytes, head: bytes, path: Path, max_megapixels: float) -> None:
    if kind != b"IHDR" or len(head) != 13 or head[8] not in _DEPTHS.get(head[9], ()) or head[12] > 1:
        raise damaged(path, "an impossible header")
    check_size(path, int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big"), max_megapixels=max_megapixels)


def _check_stream(parts: _Parts, path: Path) -> None:
    """Inflate the pixels once without keeping them: all rows must be there, and no more."""
    from isal import isal_zlib

    expected, seen = _stream_bytes(parts), 0
    inflate = isal_zlib.decompressobj()
    try:
        for start in range(0, len(parts.pixels), _BLOCK):
            waiting = parts.pixels[start : start + _BLOCK]
            while waiting and not inflate.eof and seen <= expected:
                seen += len(inflate.decompress(waiting, 1 << 20))
                waiting = inflate.unconsumed_tail
    except isal_zlib.error as error:  # type: ignore[misc]  # the stubs take it for a value
        raise damaged(path, "its compressed pixels do not unpack") from error
    if seen < expected:
        raise truncated(path, f"{seen} of {expected} bytes of pixels")
    if seen > expected or not inflate.eof:
        raise damaged(path, f"more than the {expected} bytes of pixels that its size allows")


def _stream_bytes(parts: _Parts) -> int:
    passes = _ADAM7 if parts.interlaced else ((0, 0, 1, 1),)
    total = 0
    for row, column, row_step, column_step in passes:
        rows = -((row - parts.height) // row_step)
        columns = -((column - parts.width) // column_step)
        if rows > 0 and columns > 0:
            total += rows * (1 + (columns * parts.bits_per_pixel + 7) // 8)
    return total


def _pixels(parts: _Parts, path: Path, palette: str) -> tuple[Pixels, list[str]]:
    if parts.bits == 16 and parts.colour == _COLOUR:
        high, low = _decode(parts, "RGB;16B"), _decode(parts, "RGB;16L")
        return (high.astype(np.uint16) << 8) | low, []
    array = _decode(parts)
    if parts.colour == _PALETTE:
        colours = np.frombuffer(parts.chunks.get(b"PLTE", b""), dtype=np.uint8)
        if colours.size == 0 or colours.size % 3 or int(array.max()) >= colours.size // 3:
            raise damaged(path, f"colour {array.max()} of a palette of {colours.size // 3}")
        if palette == "index":
            return array, []
        return colours.reshape(-1, 3)[array], ["palette expanded to RGB"]
    if parts.bits < 8:
        return array, [f"{parts.bits} bit read as levels 0 to 255"]
    return array, []


def _decode(parts: _Parts, layout: str | None = None) -> Pixels:
    """Decode the chunks that bear on pixels.

    Of 16-bit colour Pillow keeps the byte that its layout calls the higher one. Told that the order is the other, it
    gives the lower one, so that two passes give both.
    """
    head = parts.chunks[b"IHDR"]
    colours = chunk(b"PLTE", parts.chunks[b"PLTE"]) if b"PLTE" in parts.chunks else b""
    plain = SIGNATURE + chunk(b"IHDR", head) + colours + chunk(b"IDAT", parts.pixels) + chunk(b"IEND", b"")
    with PngImageFile(io.BytesIO(plain)) as opened:
        if layout is not None:
            opened.tile = [opened.tile[0]._replace(args=layout)]
        opened.load()
        picture: Pillow.Image = opened.convert("L") if opened.mode == "1" else opened
        array = np.asarray(picture)
    return array.astype(array.dtype.newbyteorder("=")) if array.dtype.itemsize > 1 else array


def _profile(block: bytes | None) -> bytes | None:
    """An iCCP chunk's profile; None where it does not unpack, or to more than 4 MiB."""
    if block is None:
        return None
    try:
        inflate = zlib.decompressobj()
        profile = inflate.decompress(block[block.index(b"\0") + 2 :], _LARGEST_PROFILE)
    except (zlib.error, ValueError):
        return None
    return profile if inflate.eof else None
