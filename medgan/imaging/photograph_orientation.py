"""Which way up a photograph is held: EXIF's tag 0x0112, applied and told."""

import re
import struct

import numpy as np

from medgan.imaging.image import Image, Pixels

_TAG = 0x0112
_NOTE = "EXIF orientation {} applied"


def exif_orientation(block: bytes | None) -> int | None:
    r"""The orientation in an EXIF block, or None where it holds none that means anything.

    Only this one number is read; names, dates and places in the block stay unseen.

    Args:
        block: A TIFF header and its first directory, as in a JPEG's APP1 or a PNG's eXIf.

    Returns:
        1 to 8, or None.

    Example:
        >>> exif_orientation(b"MM\0*" + bytes([0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]))
        6
    """
    order = {b"II": "<", b"MM": ">"}.get((block or b"")[:2])
    if block is None or order is None:
        return None
    try:
        start = struct.unpack_from(order + "I", block, 4)[0]
        for index in range(struct.unpack_from(order + "H", block, start)[0]):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", block, start + 2 + 12 * index)
            if tag == _TAG:
                return value if kind == 3 and count == 1 and value in range(1, 9) else None
    except struct.error:
        return None
    return None


def upright(array: Pixels, turn: int) -> Pixels:
    """Undo an EXIF orientation; array is (H, W) or (H, W, C).

    Source:
        EXIF 2.32, section 4.6.4, tag 0x0112.
    """
    if turn >= 5:
        array = np.swapaxes(array, 0, 1)
    if turn in (3, 4, 7, 8):
        array = array[::-1]
    if turn in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def turn_note(turn: int) -> str:
    """What a reader notes when it has turned a picture."""
    return _NOTE.format(turn)


def applied_turn(image: Image) -> int:
    """The EXIF orientation that was undone when the image was read; 1 where nothing was turned."""
    for note in image.stored.notes:
        match = re.fullmatch(_NOTE.format("([2-8])"), note)
        if match:
            return int(match[1])
    return 1
