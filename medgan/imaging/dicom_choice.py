"""Which series of several: by its UID, a part of its description or a rule."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medgan.errors import ReadError
from medgan.imaging.dicom_kinds import is_localizer, kind_of_object, name_of_object
from medgan.imaging.dicom_parse import DicomFile
from medgan.imaging.dicom_values import text, whole_number

_UID = re.compile(r"[0-9]+(\.[0-9]+){2,}")
_RULE = re.compile(r"(?P<name>[A-Za-z_]+)\s*(?P<sign>[=~])\s*(?P<value>.+)")
_RULES = "description~TEXT, modality=MR, number=3, largest, joined by &"
_MAX_LISTED = 20
_LONGEST_UID = 64
_MAX_DESCRIPTION = 60


@dataclass(frozen=True, eq=False)
class Candidate:
    """The images of one series, localizers left out where there are others.

    Args:
        uid: SeriesInstanceUID.
        files: In order of name.
        localizers: How many files were left out.
    """

    uid: str
    files: tuple[DicomFile, ...]
    localizers: int

    @property
    def modality(self) -> str:
        """DICOM modality, empty where the header has none."""
        return text(self.files[0].dataset, "Modality")

    @property
    def description(self) -> str:
        """SeriesDescription, shortened."""
        return text(self.files[0].dataset, "SeriesDescription")[:_MAX_DESCRIPTION]

    @property
    def only_localizers(self) -> bool:
        """Whether it was made to plan other series by."""
        return all(is_localizer(file.dataset) for file in self.files)

    def __str__(self) -> str:
        words = [word for word in (self.modality, repr(self.description) if self.description else "") if word]
        return f"{self.uid or 'no UID'} ({', '.join([*words, f'{len(self.files)} files'])})"


def choose_series(files: Sequence[DicomFile], series: str | None, where: Path) -> tuple[Candidate, list[str]]:
    """Find the one series that is meant.

    Args:
        files: All DICOM files.
        series: UID, part of a description, or rule, as :func:`medgan.imaging.dicom.read_dicom` describes; empty
            or None where there is only one.
        where: For messages.

    Returns:
        The series and notes on what was left out.

    Raises:
        ReadError: R010 nothing but objects that are no images, R020 several series are left, R033 an unknown rule,
            R034 no such series.
    """
    images = [file for file in files if kind_of_object(file.dataset) in ("volume", "picture")]
    if not images or (series and series not in _uids(images) and series in _uids(files)):
        chosen = [file for file in files if not series or _uid(file) == series] or list(files)
        raise _no_image(chosen, where)
    everything = _candidates(images)
    wanted = [item for item in everything if not item.only_localizers] or everything
    if series:
        exact = [item for item in everything if item.uid == series]
        found = exact or _matching(wanted, series, everything, where)
    else:
        found = wanted
    if len(found) > 1:
        raise _several(found, series, where)
    left = [f"{len(files) - len(images)} objects that are no images left out"] if len(images) < len(files) else []
    localizers = found[0].localizers + sum(len(item.files) for item in everything if item.only_localizers)
    localizers -= len(found[0].files) if found[0].only_localizers else 0
    if localizers:
        left.append(f"{localizers} localizers left out")
    if series and len(wanted) > 1:
        left.append(f"1 series of {len(wanted)}, by the manifest")
    return found[0], left


def _candidates(images: Sequence[DicomFile]) -> list[Candidate]:
    groups: dict[str, list[DicomFile]] = {}
    for file in images:
        groups.setdefault(_uid(file), []).append(file)
    found = []
    for uid in sorted(groups):
        group = groups[uid]
        slices = [file for file in group if not is_localizer(file.dataset)] or group
        found.append(Candidate(uid, tuple(slices), len(group) - len(slices)))
    return found


def _matching(candidates: list[Candidate], series: str, everything: list[Candidate], where: Path) -> list[Candidate]:
    found = candidates
    if not _UID.fullmatch(series):
        for keep in _tests(series, where):
            found = keep(found)
        if found:
            return found
    raise ReadError(
        "R034",
        "no series is the one that series asks for",
        where=str(where),
        got=_listed(everything),
        expected=repr(series),
        remedy="correct the manifest's column series",
    )


def _tests(series: str, where: Path) -> list[Callable[[list[Candidate]], list[Candidate]]]:
    terms = [term.strip() for term in series.split("&")]
    if not any(term == "largest" or _RULE.fullmatch(term) for term in terms):
        return [_described(series)]  # plain text, which may hold an &
    tests, largest = [], False
    for term in terms:
        rule = _RULE.fullmatch(term)
        if term == "largest":
            largest = True
        elif rule is None:
            tests.append(_described(term))
        else:
            tests.append(_test(rule["name"].lower() + rule["sign"], rule["value"].strip(), series, where))
    return [*tests, _largest] if largest else tests


def _test(rule: str, value: str, series: str, where: Path) -> Callable[[list[Candidate]], list[Candidate]]:
    if rule == "description~":
        return _described(value)
    if rule == "modality=":
        return lambda items: [item for item in items if item.modality.upper() == value.upper()]
    if rule == "number=" and value.isdecimal():
        return lambda items: [
            item for item in items if whole_number(item.files[0].dataset, "SeriesNumber") == int(value)
        ]
    raise ReadError(
        "R033",
        "series holds a rule that is not known",
        where=str(where),
        got=repr(series),
        expected=f"a SeriesInstanceUID, a part of the description, or {_RULES}",
        remedy="correct the manifest's column series",
    )


def _described(words: str) -> Callable[[list[Candidate]], list[Candidate]]:
    wanted = words.strip().casefold()

    def keep(items: list[Candidate]) -> list[Candidate]:
        return [i for i in items if wanted in text(i.files[0].dataset, "SeriesDescription").casefold()]

    return keep


def _largest(items: list[Candidate]) -> list[Candidate]:
    sizes = [_images(item) for item in items]
    return [item for item, size in zip(items, sizes, strict=True) if size == max(sizes)]


def _images(item: Candidate) -> int:
    return sum(whole_number(file.dataset, "NumberOfFrames") or 1 for file in item.files)


def _uid(file: DicomFile) -> str:
    """At most the 64 characters of the standard: a damaged length makes a UID of the rest of the header."""
    return text(file.dataset, "SeriesInstanceUID")[:_LONGEST_UID]


def _uids(files: Sequence[DicomFile]) -> set[str]:
    return {_uid(file) for file in files}


def _listed(items: list[Candidate]) -> str:
    shown = "; ".join(str(item) for item in items[:_MAX_LISTED])
    return shown + (f"; and {len(items) - _MAX_LISTED} more" if len(items) > _MAX_LISTED else "")


def _several(found: list[Candidate], series: str | None, where: Path) -> ReadError:
    return ReadError(
        "R020",
        f"several series fit {series!r}" if series else "several series",
        where=str(where),
        got=_listed(found),
        expected="one",
        remedy=f"name one in the manifest's column series: its UID, a part of its description, or {_RULES}",
    )


def _no_image(files: Sequence[DicomFile], where: Path) -> ReadError:
    names = sorted({name_of_object(file.dataset) for file in files})
    return ReadError(
        "R010",
        "this kind of DICOM object cannot be read as an image",
        where=str(where),
        got=", ".join(names[:5]),
        expected="CT, MR, PET or other images",
        remedy="name the images; a mask is read from NIfTI, PNG or TIFF",
    )
