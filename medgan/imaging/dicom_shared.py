"""Header elements that the files of a series have in common, turned into values once and not once a file."""

from collections.abc import Sequence

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag, Tag

from medgan.imaging.dicom_values import PARSE_ERRORS

_VALUE_KINDS = frozenset({"AS", "CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI", "US", "PN"})
_LONGEST = 256
_CHARACTER_SET = Tag("SpecificCharacterSet")


class SharedElements:
    """Values by the bytes that they stand in, for the files of one series.

    Elements are read, never changed, while a series is read; where one is written anew, it is parsed anew.

    Args:
        tags: Elements that may be shared. Those whose kind depends on other elements are not.
    """

    def __init__(self, tags: Sequence[BaseTag]) -> None:
        # the same objects as keys in every file: a lookup by another, equal one asks Python code whether it is
        self._tags = {tag: tag for tag in tags}
        self._fixed = frozenset(tag for tag in tags if dictionary_VR(tag) in _VALUE_KINDS)
        self._known: dict[tuple[object, ...], DataElement | None] = {}

    def put_into(self, dataset: FileDataset) -> None:
        """Replace a file's elements by equal ones of files before it."""
        elements = dataset._dict  # noqa: SLF001, RUF100 - no public way to exchange an element for an equal one
        characters = elements.get(_CHARACTER_SET)
        encoding = characters.value if isinstance(characters, RawDataElement) else str(characters)
        shared = {self._tags.get(tag, tag): element for tag, element in elements.items()}
        for tag, element in shared.items():
            if isinstance(element, RawDataElement) and tag in self._fixed and element.length <= _LONGEST:
                key = (tag, element.VR, element.value, element.is_little_endian, encoding)
                if key not in self._known:
                    self._known[key] = None  # a value that no other file has is better left alone
                    continue
                known = self._known[key] or self._converted(dataset, tag)
                if known is not None:
                    self._known[key] = shared[tag] = known
        dataset._dict = shared  # noqa: SLF001, RUF100

    @staticmethod
    def _converted(dataset: FileDataset, tag: BaseTag) -> DataElement | None:
        """An element with its value; None where it has no readable one, which whoever asks for it will find."""
        try:
            return dataset[tag]
        except PARSE_ERRORS:
            return None
