"""Photographs built byte by byte, as no writer at hand would make them."""

import struct
import zlib

import numpy as np

PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    size: tuple[int, int],
    bits: int,
    colour: int,
    rows: bytes,
    *,
    before: bytes = b"",
    after: bytes = b"",
    adam7: int = 0,
) -> bytes:
    """A PNG of (width, height) whose filtered rows are given; other chunks before and after its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, adam7))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def plain_rows(array: np.ndarray) -> bytes:
    """Rows without a filter."""
    return b"".join(b"\0" + row.tobytes() for row in array)


def interlaced_rows(array: np.ndarray) -> bytes:
    """The rows of the seven passes of Adam7."""
    parts = [array[top::down, left::across] for top, left, down, across in PASSES]
    return b"".join(plain_rows(part) for part in parts if part.size)


def exif(turn: int, *, text: bytes = b"DOE^JANE 1961-04-02\0") -> bytes:
    """An EXIF block with an orientation and an artist, little endian."""
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, turn, 0), struct.pack("<HHII", 0x013B, 2, len(text), 38)]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", 0) + text
