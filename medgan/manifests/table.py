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
from medgan.manifests.columns import misspelt
from medgan.manifests.table_text import decode

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


class Table(NamedTuple):
    """A table with the rows that can be read and what is wrong with the others.

    Args:
        header: Names of its columns.
        rows: Rows that can be read, at least one or an error.
        errors: One for every row that cannot.
    """

    header: list[str]
    rows: list[Row]
    errors: list[ManifestError]


def read_table(path: Path, *, required: Sequence[str]) -> list[Row]:
    """Read every row of a CSV file, or none.

    Args:
        path: The file. A byte-order mark is accepted, and rows that are blank are left out.
        required: Columns that must be there.

    Raises:
        ManifestError: M000 no such file, M001 not UTF-8, M002 not a comma-separated table with these columns, M016
            too large for a table.
    """
    table = scan_table(path, required=required)
    if table.errors:
        raise table.errors[0]
    return table.rows


def scan_table(path: Path, *, required: Sequence[str]) -> Table:
    """Read the rows that can be read, and list all others.

    Args:
        path: The file.
        required: Columns that must be there.

    Raises:
        ManifestError: As of :func:`read_table`, where the file as a whole is no such table.
    """
    records = _records(decode(path), path.name)
    first = next(records, None)
    if first is None:
        raise ManifestError("M002", "the table is empty", where=path.name)
    if isinstance(first, ManifestError):
        raise first
    header = first[1]
    _check_header(header, required, path.name)
    rows: list[Row] = []
    errors: list[ManifestError] = []
    for record in records:
        try:
            rows.append(_row(record, header, path.name))
        except ManifestError as error:
            errors.append(error)
    if not rows and not errors:
        raise ManifestError("M002", "no rows", where=path.name, expected="a header and at least one row")
    return Table([column for column in header if column.strip()], rows, errors)


def replace_text(path: Path, text: str) -> None:
    """Write a file beside and rename it, so that no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except OSError:
        # On a full disk even the pieces count.
        temporary.unlink(missing_ok=True)
        raise


def _records(text: str, name: str) -> Iterator[tuple[int, list[str]] | ManifestError]:
    """Rows with their number; blank ones count but hold nothing, and one that is not CSV is an error in its place."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        begins = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f" in lines {begins} to {reader.line_num}" if reader.line_num > begins else ""
            yield ManifestError(
                "M002",
                "not readable as CSV",
                where=f"{name} row {number}",
                got=f"{error}{lines}",
                remedy="a quotation mark inside a field must be doubled, and every quoted field closed",
            )
            continue
        if any(field.strip() for field in fields):
            yield number, fields


def _check_header(header: list[str], required: Sequence[str], name: str) -> None:
    missing = [column for column in required if column not in header]
    if missing:
        near = {column: misspelt(header, wanted=column) for column in missing}
        renames = [f"rename {found!r} to {column!r}" for column, found in near.items() if found is not None]
        raise ManifestError(
            "M002",
            "required columns are missing: " + ", ".join(missing),
            where=name,
            got=_detected(header),
            expected="a header row with commas",
            remedy="; ".join(renames) or "save with commas and decimal points",
        )
    twice = [column for column, times in Counter(header).items() if times > 1 and column.strip()]
    if twice:
        raise ManifestError("M002", "a column stands twice", where=name, got=", ".join(map(repr, twice)))


def _detected(header: list[str]) -> str:
    for separator, words in _OTHER_SEPARATORS.items():
        if any(separator in column for column in header):
            return f"{words} in {','.join(header)[:200]!r}"
    return "columns " + ", ".join(map(repr, header))[:400]


def _row(record: tuple[int, list[str]] | ManifestError, header: list[str], name: str) -> Row:
    if isinstance(record, ManifestError):
        raise record
    number, fields = record
    where = f"{name} row {number}"
    if len(fields) != len(header):
        raise _other_width(fields, len(header), where)
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
        if value.strip() and not column.strip():
            raise ManifestError("M002", "a value in a column without a name", where=where, got=repr(value[:80]))
    return Row(number, where, {column: value for column, value in zip(header, fields, strict=True) if column.strip()})


def _other_width(fields: list[str], expected: int, where: str) -> ManifestError:
    words = [name for separator, name in _OTHER_SEPARATORS.items() if sum(separator in field for field in fields)]
    found = f" with {words[0]}" if words and len(fields) < expected else ""
    return ManifestError(
        "M002",
        "row has another number of fields than the header",
        where=where,
        got=f"{len(fields)}{found}: {','.join(fields)[:80]!r}",
        expected=str(expected),
        remedy="a decimal comma splits a number in two: save with decimal points, or quote fields that hold commas",
    )
