"""Values of a DICOM header, in whatever state they are."""

import struct
import zlib
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

PARSE_ERRORS = (
    InvalidDicomError, BytesLengthException, EOFError, ValueError, KeyError, IndexError, NotImplementedError, OSError,
    TypeError, AttributeError, OverflowError, struct.error, zlib.error, LookupError, AssertionError,
)  # fmt: skip
_LONGEST_NUMBER = 19


def text(dataset: Dataset, keyword: str) -> str:
    """A header's text, whatever its character set; empty where it is absent or no text at all."""
    try:
        value = dataset.get(keyword)
    except PARSE_ERRORS:
        return ""
    return "" if value is None else "".join(char for char in str(value) if char.isprintable()).strip()


def whole_number(dataset: Dataset, keyword: str) -> int | None:
    """A header's whole number, or None where it is absent, empty or no number."""
    value = text(dataset, keyword)
    return int(value) if value.lstrip("+-").isdigit() and len(value) <= _LONGEST_NUMBER else None


def number(value: Any, default: float) -> float:
    """A DICOM number, or a default where it is absent or empty."""
    return default if value is None or value == "" else float(value)


def words(dataset: Dataset, keyword: str) -> list[str]:
    """The parts of a header's text of several values."""
    value = dataset.get(keyword)
    return [] if value is None else [value] if isinstance(value, str) else [str(item).strip() for item in value]
