"""A case: one row of a manifest, and its reading, row by row."""

import re
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from medgan.errors import ManifestError, if_shown
from medgan.manifests.columns import refuse_other_spelling
from medgan.manifests.ids import refuse_unseen, wrong_ids
from medgan.manifests.table import Row, scan_table

OWN_COLUMNS = ("case_id", "subject_id", "domain", "image", "mask", "grade", "quality", "pair_id", "split")
RARE_COLUMNS = ("volume", "series", "reviewed")  # written only where a case fills them
_REQUIRED = ("case_id", "subject_id", "domain", "image")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of a study.

    Args:
        case_id: Unique in the manifest.
        subject_id: The person. Splits and resampling go by it.
        domain: Name of the image domain, such as ``"dermoscopy"``.
        image: Path relative to the data root.
        mask: Path of the label image, relative to the data root.
        grade: Integer grade, such as 0-4 for diabetic retinopathy.
        quality: Integer quality class.
        pair_id: Cases of two domains with the same pair_id show the same thing on the same grid.
        split: ``"train"``, ``"test"`` or a fold number where the manifest gives one.
        volume: Which volume of a 4D file, from 0.
        series: Which DICOM series of a folder: its UID, a part of its description or a rule.
        reviewed: Whether somebody has looked for text in the pixels, and found none or took it out.
        extra: Free columns.
        row: Row in the file it was read from, the header being row 1; for messages only, never compared or written.
    """

    case_id: str
    subject_id: str
    domain: str
    image: str
    mask: str | None = None
    grade: int | None = None
    quality: int | None = None
    pair_id: str | None = None
    split: str | None = None
    volume: int | None = None
    series: str | None = None
    reviewed: bool = False
    extra: dict[str, str] = field(default_factory=dict, hash=False)
    row: int | None = field(default=None, compare=False, repr=False)

    @property
    def where(self) -> str:
        """The case for a message, such as ``"row 12 (case BR012)"``."""
        return f"case {self.case_id}" if self.row is None else f"row {self.row} (case {self.case_id})"


def parse_manifest(path: Path) -> tuple[tuple[Case, ...], list[ManifestError]]:
    """Read the rows that can be read, with one error for every row that cannot: what the checks list in one pass.

    Raises:
        ManifestError: M000, M001, M002, M013 or M016, if the file is no such table at all.
    """
    table = scan_table(path, required=_REQUIRED)
    refuse_other_spelling(table.header, known=(*OWN_COLUMNS, *RARE_COLUMNS), where=path.name)
    cases: list[Case] = []
    errors = list(table.errors)
    for row in table.rows:
        try:
            cases.append(_case(row))
        except ManifestError as error:
            errors.append(error)
    errors += wrong_ids(cases, path.name)
    return tuple(cases), errors


def relative_path(text: str, name: str, *, where: str) -> str:
    """A path as it may stand in a manifest: relative, and never upward.

    Args:
        text: What the table holds.
        name: Its column, for the message.
        where: File and row, for the message.

    Raises:
        ManifestError: M006, if it is absolute (here or on Windows), climbs with ``..`` or holds a NUL.
    """
    fault = _fault_of_path(text)
    if fault:
        raise ManifestError(
            "M006",
            f"{name} leaves the data root",
            where=where,
            got=fault + if_shown(f", {text!r}"),
            expected="a path below the data root",
        )
    return text


def _fault_of_path(text: str) -> str:
    """What is wrong with a path, without the path, which may be named after a patient; nothing where it is sound."""
    if "\0" in text:
        return "a path with a NUL"
    if PureWindowsPath(text).drive or text.startswith(("/", "\\")):
        return "an absolute path"
    return "a path with .." if _climbs(text) else ""


def _case(row: Row) -> Case:
    values = {name: row.values.get(name, "").strip() for name in (*OWN_COLUMNS, *RARE_COLUMNS)}
    for name in _REQUIRED:
        if not values[name]:
            raise ManifestError("M002", f"{name} is blank", where=row.where, remedy="fill it in or take the row out")
    for name in ("image", "mask"):
        relative_path(values[name], name, where=row.where)
    for name in ("case_id", "subject_id", "domain", "pair_id"):
        _refuse_climbing_id(values[name], name, where=row.where)
    for name in ("case_id", "subject_id", "domain", "pair_id", "image", "mask"):
        refuse_unseen(values[name], name, where=row.where)
    return Case(
        case_id=values["case_id"],
        subject_id=values["subject_id"],
        domain=values["domain"],
        image=str(Path(values["image"])),
        mask=str(Path(values["mask"])) if values["mask"] else None,
        grade=_class(values["grade"], "grade", where=row.where),
        quality=_class(values["quality"], "quality", where=row.where),
        pair_id=values["pair_id"] or None,
        split=values["split"] or None,
        volume=_integer(values["volume"], "volume", where=row.where),
        series=values["series"] or None,
        reviewed=_yes(values["reviewed"], "reviewed", where=row.where),
        extra={name: value for name, value in row.values.items() if name not in (*OWN_COLUMNS, *RARE_COLUMNS)},
        row=row.number,
    )


def _refuse_climbing_id(text: str, name: str, *, where: str) -> None:
    # Ids become parts of the names of results.
    if _climbs(text) or "\0" in text:
        raise ManifestError("M006", f"{name} leaves the folder of results", where=where, got=repr(text))


def _climbs(text: str) -> bool:
    return text.startswith(("/", "\\")) or ".." in PureWindowsPath(text).parts


def _integer(text: str, name: str, *, where: str) -> int | None:
    if not text:
        return None
    if not _WHOLE_NUMBER.fullmatch(text):
        whole = re.fullmatch(r"([+-]?[0-9]{1,9})\.0+", text)
        remedy = f"write {whole[1]}" if whole else ""
        raise ManifestError("M005", f"{name} is not a whole number", where=where, got=repr(text[:40]), remedy=remedy)
    return int(text)


def _class(text: str, name: str, *, where: str) -> int | None:
    found = _integer(text, name, where=where)
    if found is not None and found < 0:
        raise ManifestError(
            "M047",
            f"{name} is out of range",
            where=where,
            got=str(found),
            expected="a whole number from 0",
            remedy="leave it blank where it is not known",
        )
    return found


def _yes(text: str, name: str, *, where: str) -> bool:
    known = {"": False, "no": False, "yes": True}
    if text.lower() not in known:
        raise ManifestError("M009", f"{name} is neither yes nor no", where=where, got=repr(text), remedy="write yes")
    return known[text.lower()]
