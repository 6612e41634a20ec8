"""The structure of a JPEG: its segments, its scans, and where its picture ends."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from medgan.imaging.photograph_errors import check_size, damaged, pixel_type, truncated
from medgan.imaging.photograph_orientation import exif_orientation

_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_OTHER_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} - set(_FRAMES)
_KEPT = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xEE}
"""Frame, Huffman tables, quantisation, restart interval, and Adobe's word on the colours."""
_NEXT = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_RESTART = re.compile(rb"\xff[\xd0-\xd7]", re.DOTALL)
_FILL = re.compile(rb"\xff+")
_MOST_SCANS = 128
_ERASED = bytes(64)


@dataclass
class JpegParts:
    """What a JPEG holds.

    Args:
        width: Columns.
        height: Rows.
        components: 1 grey, 3 colour, 4 CMYK.
        progressive: Whether it is told in several passes of growing precision.
        essential: The picture alone: no EXIF, no text, no preview, nothing after its end.
        end: Where the picture ends in the file.
        scan_ends: Where in ``essential`` each scan's data end.
        turn: EXIF orientation, or None.
        profile: ICC profile, or None.
    """

    width: int = 0
    height: int = 0
    components: int = 0
    progressive: bool = False
    essential: bytes = b""
    end: int = 0
    scan_ends: list[int] = field(default_factory=list)
    turn: int | None = None
    profile: bytes | None = None


@dataclass
class _Walk:
    """State of the walk through one file."""

    raw: bytes
    path: Path
    max_megapixels: float
    parts: JpegParts = field(default_factory=JpegParts)
    kept: bytearray = field(default_factory=lambda: bytearray(b"\xff\xd8"))
    profile: dict[int, bytes] = field(default_factory=dict)
    missing: dict[tuple[int, int], int] = field(default_factory=dict)
    """Progressive: for each component and coefficient, how many of its bits are still to come; absent is all."""
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    interval: int = 0
    empties: set[int] = field(default_factory=set)
    """Tables whose all-zero code ends a block, so that a flat part of the picture may be all zeros."""


def jpeg_parts(raw: bytes, path: Path, *, max_megapixels: float) -> JpegParts:
    """Walk through a JPEG's segments to the end of its first picture.

    Args:
        raw: The whole file.
        path: For messages.
        max_megapixels: A larger picture is refused.

    Raises:
        ReadError: R004 without its end, or without its last scans; R005; R006; R010 arithmetic coding, lossless,
            12 bit.
    """
    walk = _Walk(raw, path, max_megapixels)
    at = 2
    while True:
        at = _marker(walk, at)
        marker = raw[at + 1]
        if marker == 0xD9:
            break
        at = _segment(walk, at, marker)
    parts = walk.parts
    if not parts.scan_ends:
        raise damaged(path, "no picture data")
    if parts.progressive:
        _check_passes(walk)
    parts.essential, parts.end = bytes(walk.kept + b"\xff\xd9"), at + 2
    if walk.profile:
        parts.profile = b"".join(walk.profile[index] for index in sorted(walk.profile))
    return parts


def _marker(walk: _Walk, at: int) -> int:
    filled = _FILL.match(walk.raw, at)
    if filled is not None:
        at = filled.end() - 1
    if at + 2 > len(walk.raw):
        raise truncated(walk.path, f"{len(walk.raw)} bytes, without the end of the picture")
    if walk.raw[at] != 0xFF or walk.raw[at + 1] in (0x00, 0xD8):
        raise damaged(walk.path, f"no segment at byte {at}")
    return at


def _segment(walk: _Walk, at: int, marker: int) -> int:
    """Take in one segment; returns where the next begins."""
    length = int.from_bytes(walk.raw[at + 2 : at + 4], "big")
    end = at + 2 + length
    content = walk.raw[at + 4 : end]
    if length < 2 or end > len(walk.raw):
        raise truncated(walk.path, f"{len(walk.raw)} bytes, without the end of the picture")
    if marker in _OTHER_FRAMES:
        raise pixel_type(walk.path, "a JPEG with arithmetic coding or without loss")
    _take_in(walk, marker, content)
    if marker in _KEPT or (marker == 0xE0 and content.startswith(b"JFIF\0")):
        walk.kept += walk.raw[at:end]
    return _scan(walk, at, end, content) if marker == 0xDA else end


def _take_in(walk: _Walk, marker: int, content: bytes) -> None:
    if marker in _FRAMES:
        _frame(walk, content, marker)
    elif marker == 0xC4:
        _tables(walk, content)
    elif marker == 0xDD:
        walk.interval = int.from_bytes(content[:2], "big")
    elif marker == 0xE1 and content.startswith(b"Exif\0"):
        walk.parts.turn = walk.parts.turn or exif_orientation(content[6:])
    elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0"):
        walk.profile.setdefault(content[12] if len(content) > 13 else 0, content[14:])


def _frame(walk: _Walk, content: bytes, marker: int) -> None:
    parts = walk.parts
    if parts.components or len(content) < 6 or len(content) != 6 + 3 * content[5]:
        raise damaged(walk.path, "an impossible header")
    if content[0] != 8:
        raise pixel_type(walk.path, f"a JPEG of {content[0]} bits")
    parts.height, parts.width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    parts.components, parts.progressive = content[5], _FRAMES[marker] == "progressive"
    if parts.components not in (1, 3, 4):
        raise pixel_type(walk.path, f"a JPEG of {parts.components} channels")
    check_size(walk.path, parts.width, parts.height, max_megapixels=walk.max_megapixels)
    for start in range(6, len(content), 3):
        walk.sampling[content[start]] = content[start + 1] >> 4, content[start + 1] & 15
    if any(not 1 <= step <= 4 for steps in walk.sampling.values() for step in steps):
        raise damaged(walk.path, "an impossible header")


def _tables(walk: _Walk, content: bytes) -> None:
    at = 0
    while at + 17 <= len(content):
        size = sum(content[at + 1 : at + 17])
        if content[at] >> 4 == 1:
            ends = content[at + 17 : at + 18] == b"\0"
            (walk.empties.add if ends else walk.empties.discard)(content[at] & 15)
        at += 17 + size


def _scan(walk: _Walk, at: int, start: int, content: bytes) -> int:
    found = _NEXT.search(walk.raw, start)
    if found is None:
        raise truncated(walk.path, f"{len(walk.raw)} bytes, without the end of the picture")
    count = content[0] if content else 0
    if not walk.parts.components or count == 0 or len(content) != 4 + 2 * count:
        raise damaged(walk.path, "an impossible header")
    components = [content[1 + 2 * index] for index in range(count)]
    first, last, low = content[-3], content[-2], content[-1] & 15
    for component in components:
        for coefficient in range(first, min(last, 63) + 1):
            walk.missing[component, coefficient] = low
    if walk.interval and len(components) == len(walk.sampling):
        _check_restarts(walk, start, found.start())
    brightness = components[0] == next(iter(walk.sampling)) and content[2] & 15 not in walk.empties
    if brightness and not walk.parts.progressive and walk.raw.find(_ERASED, start, found.start()) >= 0:
        raise damaged(walk.path, "a stretch of zeros in the picture data, as an erased sector leaves")
    walk.kept += walk.raw[at : found.start()]
    walk.parts.scan_ends.append(len(walk.kept))
    if len(walk.parts.scan_ends) > _MOST_SCANS:
        raise damaged(walk.path, f"more than {_MOST_SCANS} scans")
    return found.start()


def _check_restarts(walk: _Walk, start: int, end: int) -> None:
    """Between restart markers the picture stands in known portions: a lost one would be filled with grey."""
    wide = 8 * max(across for across, _ in walk.sampling.values()) if len(walk.sampling) > 1 else 8
    tall = 8 * max(down for _, down in walk.sampling.values()) if len(walk.sampling) > 1 else 8
    units = -(-walk.parts.width // wide) * -(-walk.parts.height // tall)
    expected = -(-units // walk.interval) - 1
    markers = [found[0][1] - 0xD0 for found in _RESTART.finditer(walk.raw, start, end)]
    # some encoders set one more marker after the last portion
    if len(markers) not in (expected, expected + 1) or markers != [index % 8 for index in range(len(markers))]:
        raise damaged(walk.path, f"{len(markers)} of {expected} portions of the picture follow in order")


def _check_passes(walk: _Walk) -> None:
    wanted = [(component, coefficient) for component in walk.sampling for coefficient in range(64)]
    rest = sum(walk.missing.get(key, 1) > 0 for key in wanted)
    if rest:
        raise truncated(walk.path, f"a progressive JPEG whose last scans are missing, {rest} of {len(wanted)} bands")
