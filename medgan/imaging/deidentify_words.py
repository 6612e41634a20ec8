"""Words that tell who the patient is, and where they stand in other texts of the file."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_IDENTIFIERS = (
    "PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "AdmissionID", "PatientAddress",
    "InstitutionName", "PatientTelephoneNumbers", "MedicalRecordLocator", "StationName",
)  # fmt: skip
_SHORT = 2
_LONG = 4
_GLUED = 6
_LONG_NUMBER = 5
_LETTER = r"[^\W\d_]"
_WORDLESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")  # scripts without spaces
_APART = re.compile(r"[\^=\\\s,;.]+")


class Identity:
    """What tells who a file's patient is: parts of every person's name, ids, numbers.

    How a part is looked for depends on how likely it stands in a text by chance: six letters or more wherever they
    stand, four or five as a word, two or three as a word of free text alone. What is no letter ends a word, so that
    ``T1_DOE`` holds ``DOE``. Ideographic and Hangul parts of two signs or more count wherever they stand, since their
    texts have no spaces. Accents do not matter; family and given name count written together, too.

    Args:
        dataset: The whole header, with its sequences.

    Example:
        >>> header = Dataset()
        >>> header.PatientName = "Li^Mei=李^美"
        >>> who = Identity(header)
        >>> who.is_in("seen by Dr Li"), who.is_in("lipid"), who.is_in("LIMEI T1"), who.is_in_bytes(b"xx Li xx")
        (True, False, True, False)
    """

    def __init__(self, dataset: Dataset) -> None:
        words, numbers = _parts(dataset)
        spaceless = {word for word in words if _WORDLESS.search(word) and len(word) >= _SHORT}
        single = {word for word in words if _WORDLESS.search(word) and len(word) < _SHORT}
        letters = words - spaceless - single
        glued = {word for word in letters if len(word) >= _GLUED}
        longer = {word for word in letters if _LONG <= len(word) < _GLUED}
        short = {word for word in letters if _SHORT <= len(word) < _LONG}
        alone = _pattern(longer, before=rf"(?<!{_LETTER})", after=rf"(?!{_LETTER})")
        counted = _pattern(numbers, before=r"(?<![^\W_])", after=r"(?![^\W_])")
        self._likely = [found for found in (_pattern(glued | spaceless), alone, counted) if found]
        self._short = [
            found for found in (_pattern(short | single, before=r"(?<![^\W_])", after=r"(?![^\W_])"),) if found
        ]

    def is_in(self, text: str, *, is_free: bool = True) -> bool:
        """Whether a text names the patient.

        Args:
            text: Value of an element.
            is_free: Whether a person may have typed it; a code is looked at for long parts alone.
        """
        patterns = self._likely + self._short if is_free else self._likely
        return any(pattern.search(form) for pattern in patterns for form in {text, _plain(text)})

    def is_in_bytes(self, raw: bytes) -> bool:
        """Whether legible runs of eight signs or more name the patient, in one byte or two for each sign."""
        runs = [run.decode("ascii") for run in re.findall(rb"[\x20-\x7e]{8,}", raw)]
        runs += [run.decode("utf-16-le") for run in re.findall(rb"(?:[\x20-\x7e]\x00){8,}", raw)]
        return any(self.is_in(run, is_free=False) for run in runs)


def text_of(element: DataElement) -> str:
    """An element's value as text, several values joined by a backslash."""
    value = element.value
    if value is None:
        return ""
    return "\\".join(map(str, value)) if element.VM > 1 and not isinstance(value, str | bytes) else str(value)


def _parts(dataset: Dataset) -> tuple[set[str], set[str]]:
    """Parts of names, and ids and numbers, of a header and all that is nested in it."""
    words: set[str] = set()
    numbers: set[str] = set()
    for element in _all_elements(dataset):
        if element.VR == "PN":
            for group in re.split(r"[=\\]", text_of(element)):  # alphabetic, ideographic, phonetic
                parts = [part for part in _APART.split(group) if part]
                words.update(parts)
                if len(parts) > 1:
                    words.update(
                        joined for joined in (parts[0] + parts[1], parts[1] + parts[0]) if len(joined) >= _LONG
                    )
                    words.update(_ideographic_whole(parts))
        elif element.keyword in _IDENTIFIERS:
            found = {part.strip() for part in text_of(element).split("\\") if len(part.strip()) >= _LONG}
            numbers.update(part for part in found if not part.isdigit() or len(part) >= _LONG_NUMBER)
    plain = {_plain(word) for word in words}
    return {word.casefold() for word in words | plain if not word.isdigit()}, numbers


def _ideographic_whole(parts: list[str]) -> Iterator[str]:
    if all(_WORDLESS.search(part) for part in parts[:2]):
        yield parts[0] + parts[1]


def _all_elements(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _all_elements(item)
        else:
            yield element


def _plain(text: str) -> str:
    """Without accents: Müller as Muller."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def _pattern(words: Iterable[str], *, before: str = "", after: str = "") -> re.Pattern[str] | None:
    escaped = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"{before}(?:{'|'.join(escaped)}){after}", re.IGNORECASE) if escaped else None
