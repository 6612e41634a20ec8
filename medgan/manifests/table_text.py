"""The text of a table's file: UTF-8 or an error that names the byte and the row."""

from pathlib import Path

from medgan.errors import ManifestError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LARGEST_BYTES = 2**28
_OFTEN = 0.1


def decode(path: Path) -> str:
    """Read a file as UTF-8; a byte-order mark is taken off.

    Raises:
        ManifestError: M000 no such file, M001 not UTF-8, M016 more than 256 MiB.
    """
    if not path.is_file():
        got = "a folder" if path.is_dir() else ""
        remedy = "check the path; a study names it at manifest:"
        raise ManifestError("M000", "no such table", where=str(path), got=got, remedy=remedy)
    size = path.stat().st_size
    if size > _LARGEST_BYTES:
        got, expected = f"{size / 2**20:.0f} MiB", f"at most {_LARGEST_BYTES // 2**20} MiB"
        raise ManifestError(
            "M016",
            "too large for a table",
            where=path.name,
            got=got,
            expected=expected,
            remedy="name the table, not an image",
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ManifestError(
            "M000", "the table cannot be read", where=path.name, got=error.strerror or "", remedy="check its rights"
        ) from error
    wide = _wide(raw)
    if wide:
        raise ManifestError(
            "M001", "not UTF-8", where=f"{path.name} row 1", got=wide, remedy="save the table as CSV UTF-8"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind the byte-order mark.
        start = error.start + (len(_BYTE_ORDER_MARK) if raw.startswith(_BYTE_ORDER_MARK) else 0)
        row = raw[:start].count(b"\n") + 1
        raise ManifestError(
            "M001",
            "not UTF-8",
            where=f"{path.name} row {row}",
            got=f"byte 0x{raw[start]:02x} at offset {start}",
            remedy="save the table as CSV UTF-8",
        ) from error


def _wide(raw: bytes) -> str:
    """What shows that the text has two or four bytes a character, or nothing."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"the mark of UTF-16, bytes 0x{raw[:2].hex()}"
    nuls = raw.count(0)
    if nuls > _OFTEN * len(raw):
        return f"{nuls} NUL bytes among {len(raw)}, as in UTF-16 or in a file that is no text"
    return ""
