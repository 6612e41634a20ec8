"""Values of a DICOM header, in whatever state they are."""

import functools
import struct
import zlib
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag, Tag

PARSE_ERRORS = (
    InvalidDicomError, BytesLengthException, EOFError, ValueError, KeyError, IndexError, NotImplementedError, OSError,
    TypeError, AttributeError, OverflowError, struct.error, zlib.error, LookupError, AssertionError,
)  # fmt: skip
_LONGEST_NUMBER = 19


def element_value(dataset: Dataset, keyword: str) -> Any:
    """What ``dataset.get(keyword)`` gives, several times as fast for what has been asked before."""
    tag = tag_of(keyword)
    element = None if tag is None else dataset.get_item(tag, keep_deferred=True)
    if type(element) is DataElement:
        return element.value
    return dataset.get(keyword) if tag is None or element is not None else None


def text(dataset: Dataset, keyword: str) -> str:
    """A header's text, whatever its character set; empty where it is absent or no text at all."""
    try:
        value = element_value(dataset, keyword)
    except PARSE_ERRORS:
        return ""
    if value is None:
        return ""
    found = str(value)
    return (found if found.isprintable() else "".join(char for char in found if char.isprintable())).strip()


def whole_number(dataset: Dataset, keyword: str) -> int | None:
    """A header's whole number, or None where it is absent, empty or no number."""
    value = text(dataset, keyword)
    return int(value) if value.lstrip("+-").isdigit() and len(value) <= _LONGEST_NUMBER else None


@functools.cache
def tag_of(keyword: str) -> BaseTag | None:
    """The tag of a keyword, always the same object: as a key it is found without asking whether it is equal."""
    tag = tag_for_keyword(keyword)
    return None if tag is None else Tag(tag)


def number(value: Any, default: float) -> float:
    """A DICOM number, or a default where it is absent or empty."""
    return default if value is None or value == "" else float(value)


def words(dataset: Dataset, keyword: str) -> list[str]:
    """The parts of a header's text of several values."""
    value = element_value(dataset, keyword)
    return [] if value is None else [value] if isinstance(value, str) else [str(item).strip() for item in value]
