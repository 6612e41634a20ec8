"""What PS3.15 Table E.1-1 asks for each DICOM element, applied at every depth of a dataset."""

import functools
from dataclasses import dataclass, field

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from medgan.errors import WriteError
from medgan.imaging.deidentify_codes import is_of_the_standard
from medgan.imaging.deidentify_names import Pseudonyms
from medgan.imaging.deidentify_words import Identity, text_of

TABLE = "2026c"
"""Edition of the standard whose table is applied."""

_ACTIONS = {
    "D_TAGS": "dummy",
    "Z_D_TAGS": "dummy",
    "X_D_TAGS": "remove or dummy",
    "X_Z_D_TAGS": "remove or dummy",
    "Z_TAGS": "empty",
    "X_Z_TAGS": "remove or empty",
    "X_TAGS": "remove",
    "U_TAGS": "uid",
    "X_Z_U_STAR_TAGS": "look inside",
}
_TEXT = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT", "UR"})
_DUMMIES = dict.fromkeys(_TEXT - {"UR"}, "ANONYMIZED") | {
    "UR": "http://anonymized.invalid",
    "PN": "ANONYMIZED",
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "DS": "0",
    "IS": "0",
    "OB": b"\0\0",
    "OW": b"\0\0",
    "UN": b"\0\0",
}
_BINARY = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})
_BINARY_KEPT = frozenset(
    """
    PixelData FloatPixelData DoubleFloatPixelData ExtendedOffsetTable ExtendedOffsetTableLengths ICCProfile LUTData
    RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
    AlphaPaletteColorLookupTableData SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
    SegmentedBluePaletteColorLookupTableData SegmentedAlphaPaletteColorLookupTableData
    """.split()  # noqa: SIM905
)
"""Bytes without which pixels would be read as others, or shown in other colours."""
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass
class Cleaning:
    """The state of one file's cleaning: new names, words that tell who the patient is, and what was done.

    Args:
        names: New identifiers.
        who: The patient's names and numbers; text that holds one is emptied wherever it stands.
        done: How many elements were treated, by what was done.
    """

    names: Pseudonyms
    who: Identity
    done: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Count one element."""
        self.done[what] = self.done.get(what, 0) + 1


def clean(dataset: Dataset, cleaning: Cleaning) -> None:
    """Apply the table to a dataset and to all its sequences, in place.

    Beyond the table: private elements and those that the dictionary does not know go; names of persons, dates, times
    and long free text that the table does not name are emptied; every UID is replaced unless it names something of
    the standard's own; short text that holds the patient's name or number is emptied, unless it is a word of the
    standard's; bytes go, but for pixels, their tables of colours and a colour profile that does not name the patient.

    Raises:
        WriteError: W035, if the tables are not installed.
    """
    for tag in list(dataset.keys()):
        overlay = 0x6000 <= tag.group <= 0x60FF  # drawn or written over the pixels
        if overlay or tag.is_private or tag.element == 0 or tag.group < 8 or not keyword_for_tag(tag):
            del dataset[tag]
            cleaning.count("overlay, removed" if overlay else "private or unknown, removed")
            continue
        _clean_element(dataset, dataset[tag], cleaning)


def _clean_element(dataset: Dataset, element: DataElement, cleaning: Cleaning) -> None:
    action = _action_for(element)
    if action == "remove":
        del dataset[element.tag]
        cleaning.count("removed")
    elif action in ("keep", "empty") and _is_needless(element, cleaning):
        del dataset[element.tag]
        cleaning.count("bytes that no image needs, removed")
    elif action == "empty":
        element.value = [] if element.VR == "SQ" else None
        cleaning.count("emptied")
    elif action == "uid":
        _new_uid(element, cleaning)
    elif element.VR == "SQ":
        for item in element.value:
            clean(item, cleaning)
    elif action == "dummy":
        _dummy(element, cleaning)
    else:
        _empty_where_named(element, cleaning)


def _action_for(element: DataElement) -> str:
    action = _action(element.tag) or _default(element)
    if action == "remove or dummy":
        # Dates, times and sequences of these kinds are optional in images; the rest may be required.
        return "remove" if element.VR in ("SQ", "DA", "TM") else "dummy"
    if action == "remove or empty":
        return "remove" if element.VR == "SQ" and element.keyword != "AcquisitionContextSequence" else "empty"
    return action


def _empty_where_named(element: DataElement, cleaning: Cleaning) -> None:
    if element.VR not in _TEXT or is_of_the_standard(element):
        return
    if cleaning.who.is_in(text_of(element), is_free=element.VR != "CS"):
        element.value = None
        cleaning.count("emptied, for it held the name or number of a person")


def _is_needless(element: DataElement, cleaning: Cleaning) -> bool:
    """Whether bytes that the table does not name are of no use to an image, or name the patient."""
    if element.VR not in _BINARY or element.keyword in _PIXELS:
        return False
    if element.keyword not in _BINARY_KEPT:
        return True
    return isinstance(element.value, bytes) and cleaning.who.is_in_bytes(element.value)


def _default(element: DataElement) -> str:
    """What happens to an element that the table does not name."""
    if element.VR == "UI":
        return "keep" if element.keyword.endswith("ClassUID") else "uid"
    return "empty" if element.VR in ("PN", "DA", "DT", "TM", "LT", "ST", "UT", "UR", "UN") else "keep"


def _new_uid(element: DataElement, cleaning: Cleaning) -> None:
    if not element.value:
        return
    many = element.VM > 1
    element.value = (
        [cleaning.names.uid(str(uid)) for uid in element.value] if many else cleaning.names.uid(str(element.value))
    )
    cleaning.count("UID, replaced")


def _dummy(element: DataElement, cleaning: Cleaning) -> None:
    if element.VR == "UI":
        _new_uid(element, cleaning)
        return
    if not text_of(element):
        return  # nothing is made up where nothing was
    element.value = _DUMMIES.get(str(element.VR), 0)
    cleaning.count("given a neutral value")


def _action(tag: BaseTag) -> str | None:
    exact, masked = _table()
    found = exact.get((tag.group, tag.element))
    if found is None:
        hits = (action for g, e, gm, em, action in masked if tag.group & gm == g & gm and tag.element & em == e & em)
        found = next(hits, None)
    return found


@functools.cache
def _table() -> tuple[dict[tuple[int, int], str], tuple[tuple[int, int, int, int, str], ...]]:
    """Actions by tag, and those of repeating groups as (group, element, masks, action)."""
    try:
        from dicomanonymizer.dicomfields_selector import (
            dicom_anonymization_database_selector,
        )

        lists = dicom_anonymization_database_selector(f"dicomfields_{TABLE}")
    except (ImportError, ValueError) as error:
        raise WriteError(
            "W035",
            f"the tables of DICOM PS3.15 {TABLE} are not installed",
            remedy='pip install "medgan[deidentify]"',
        ) from error
    exact: dict[tuple[int, int], str] = {}
    masked: list[tuple[int, int, int, int, str]] = []
    for name, action in _ACTIONS.items():
        for tag in lists[name]:
            if len(tag) == 2:
                exact[tag[0], tag[1]] = action
            else:
                masked.append((*tag, action))
    return exact, tuple(masked)
