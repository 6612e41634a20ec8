"""What every source does: find the dataset's folder, read its table, and place its paths below the data root."""

from collections.abc import Sequence
from pathlib import Path

from medgan.errors import ManifestError
from medgan.manifests.manifest import relative_path
from medgan.manifests.table import Row, read_table

TABLE = "manifest.csv"
_UNKNOWN = frozenset({"", "nan", "unknown"})


def read_layout(root: Path, folder: str, *, columns: Sequence[str]) -> list[Row]:
    """Read the table of a dataset's folder.

    Args:
        root: Data root: the folder that holds the datasets.
        folder: The dataset's folder in it.
        columns: Columns that the source reads.

    Raises:
        ManifestError: M030 no folder, M031 no table in it, M032 a column is missing, and as of read_table.
    """
    place = root / folder
    if not place.is_dir():
        raise ManifestError(
            "M030",
            f"no folder {folder}",
            where=str(root),
            remedy="name the folder that holds the datasets as the data root, and keep the dataset's folder name",
        )
    table = place / TABLE
    if not table.is_file():
        raise ManifestError(
            "M031", f"no {TABLE}", where=f"{folder}/", remedy="copy the dataset's table beside its files"
        )
    rows = read_table(table, required=())
    missing = [column for column in columns if column not in rows[0].values]
    if missing:
        raise ManifestError(
            "M032",
            "the table has another layout",
            where=f"{folder}/{TABLE}",
            got="columns " + ", ".join(rows[0].values),
            expected=", ".join(missing),
            remedy="use the release that the source was written for",
        )
    return rows


def placed(row: Row, column: str, *, folder: str) -> str:
    """A path of the table, relative to the data root; blank stays blank.

    Raises:
        ManifestError: M006, if it leaves the dataset's folder.
    """
    text = row.values[column].strip()
    return f"{folder}/{relative_path(text, column, where=f'{folder}/{row.where}')}" if text else ""


def required(row: Row, column: str, *, folder: str) -> str:
    """A value that must be there.

    Raises:
        ManifestError: M033, if it is blank.
    """
    text = row.values[column].strip()
    if not text:
        raise ManifestError("M033", f"{column} is blank", where=f"{folder}/{row.where}")
    return text


def number(row: Row, column: str, *, folder: str) -> int | None:
    """A whole number, or None where the field is blank.

    Raises:
        ManifestError: M034, if it is something else.
    """
    text = row.values[column].strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ManifestError("M034", f"{column} is not a whole number", where=f"{folder}/{row.where}", got=repr(text))
    return int(text)


def known(row: Row, column: str) -> str:
    """A free value; ``nan`` and ``unknown`` become blank, as the manifest writes what is not known."""
    text = row.values[column].strip()
    return "" if text.lower() in _UNKNOWN else text
