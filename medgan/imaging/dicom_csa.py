"""The private header that Siemens scanners write, as far as a mosaic's geometry needs it."""

import struct

_MAGIC = b"SV10\x04\x03\x02\x01"
_MAX_TAGS = 1000
_MAX_ITEMS = 1000
_TAG = struct.Struct("<64si4siii")
_ITEM = struct.Struct("<4i")


def csa_numbers(raw: bytes, name: str) -> list[float]:
    """Numbers of one tag of a CSA header of the second kind.

    Args:
        raw: Value of the private element that holds the header.
        name: Tag, such as ``"SliceNormalVector"``.

    Returns:
        Its numbers; empty where the tag is absent.

    Raises:
        ValueError: If the bytes are no such header, or end or point beyond their end.

    Source:
        The layout is described in NiBabel's documentation, "Siemens format DICOM with CSA header".
    """
    if raw[:8] != _MAGIC:
        raise ValueError("not a CSA header of the second kind")
    try:
        return _numbers(raw, name.encode())
    except struct.error as error:
        raise ValueError("the CSA header is truncated") from error


def _numbers(raw: bytes, wanted: bytes) -> list[float]:
    count, _ = struct.unpack_from("<2I", raw, 8)
    if not 0 < count <= _MAX_TAGS:
        raise ValueError("the CSA header announces an absurd number of tags")
    place = 16
    for _ in range(count):
        name, _, _, _, items, _ = _TAG.unpack_from(raw, place)
        place += _TAG.size
        if not 0 <= items <= _MAX_ITEMS:
            raise ValueError("the CSA header announces an absurd number of items")
        values = []
        for _ in range(items):
            length = _ITEM.unpack_from(raw, place)[1]
            place += _ITEM.size
            if not 0 <= length <= len(raw) - place:
                raise ValueError("the CSA header points beyond its end")
            values.append(raw[place : place + length].split(b"\0")[0].strip())
            place += -(-length // 4) * 4
        if name.split(b"\0")[0] == wanted:
            return [float(value) for value in values if value]
    return []
