"""A CSV table read strictly: UTF-8, commas, decimal points, as many fields as the header, every value kept as text."""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medgan.errors import ManifestError

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_OTHER_SEPARATORS = {";": "';' separators", "\t": "tab separators", "|": "'|' separators"}


class Row(NamedTuple):
    """One row of a table.

    Args:
        number: Row in the file as a spreadsheet counts it; the header is row 1.
        where: File name and row, for messages.
        values: Text by column; nothing is turned into a number.
    """

    number: int
    where: str
    values: dict[str, str]


def read_table(path: Path, *, required: Sequence[str]) -> list[Row]:
    """Read every row of a CSV file, or none.

    Args:
        path: The file. A byte-order mark is accepted.
        required: Columns that must be there.

    Raises:
        ManifestError: M000 no such file, M001 not UTF-8, M002 not a comma-separated table with these columns.
    """
    if not path.is_file():
        raise ManifestError(
            "M000", "no such table", where=str(path), remedy="check the path; a study names it at manifest:"
        )
    records = _records(_decode(path), path.name)
    try:
        _, header = next(records)
    except StopIteration:
        raise ManifestError("M002", "the table is empty", where=path.name) from None
    _check_header(header, required, path.name)
    rows = [_row(number, fields, header, path.name) for number, fields in records]
    if not rows:
        raise ManifestError("M002", "no rows", where=path.name, expected="a header and at least one row")
    return rows


def replace_text(path: Path, text: str) -> None:
    """Write a file beside and rename it, so that no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    temporary.replace(path)


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError(
            "M001",
            "not UTF-8",
            where=f"{path.name} row 1",
            got=f"the mark of UTF-16, bytes 0x{raw[:2].hex()}",
            remedy="save the table as CSV UTF-8",
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind the byte-order mark.
        start = error.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        row = raw[:start].count(b"\n") + 1
        raise ManifestError(
            "M001",
            "not UTF-8",
            where=f"{path.name} row {row}",
            got=f"byte 0x{raw[start]:02x} at offset {start}",
            remedy="save the table as CSV UTF-8",
        ) from error


def _records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their number; blank lines count but hold nothing."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ManifestError(
                "M002",
                "not readable as CSV",
                where=f"{name} row {number}",
                got=str(error),
                remedy="a quotation mark inside a field must be doubled, and every quoted field closed",
            ) from error
        if fields:
            yield number, fields


def _check_header(header: list[str], required: Sequence[str], name: str) -> None:
    missing = [column for column in required if column not in header]
    if missing:
        raise ManifestError(
            "M002",
            "required columns are missing: " + ", ".join(missing),
            where=name,
            got=_detected(header),
            expected="a header row with commas",
            remedy="save with commas and decimal points",
        )
    twice = [column for column, times in Counter(header).items() if times > 1]
    if twice:
        raise ManifestError("M002", "a column stands twice", where=name, got=", ".join(map(repr, twice)))


def _detected(header: list[str]) -> str:
    for separator, words in _OTHER_SEPARATORS.items():
        if any(separator in column for column in header):
            return f"{words} in {','.join(header)!r}"
    return "columns " + ", ".join(map(repr, header))


def _row(number: int, fields: list[str], header: list[str], name: str) -> Row:
    where = f"{name} row {number}"
    if len(fields) != len(header):
        raise ManifestError(
            "M002",
            "row has another number of fields than the header",
            where=where,
            got=f"{len(fields)}: {','.join(fields)[:80]!r}",
            expected=str(len(header)),
            remedy="a decimal comma splits a number in two: save with decimal points, or quote fields that hold commas",
        )
    for column, value in zip(header, fields, strict=True):
        if _DECIMAL_COMMA.fullmatch(value.strip()):
            raise ManifestError(
                "M002",
                f"decimal comma in column {column!r}",
                where=where,
                got=repr(value),
                expected=repr(value.replace(",", ".")),
                remedy="save the table with decimal points",
            )
    return Row(number, where, dict(zip(header, fields, strict=True)))
