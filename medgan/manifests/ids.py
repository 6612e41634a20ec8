"""Ids of cases and subjects: those that stand twice, would merge, or have been through a spreadsheet."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from medgan.errors import ManifestError

_NUMBER = re.compile(r"[0-9]+(\.0+)?")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_YEAR = r"(?:19|20)[0-9]{2}"
_MANGLED = {
    "a number that has become a decimal, such as 7.0 for 7": r"[0-9]+\.0+",
    "a long number cut to its first digits": r"[0-9](\.[0-9]+)?E[+-][0-9]{2,}",
    "a date": rf"{_YEAR}([-/.])[0-9]{{1,2}}\1[0-9]{{1,2}}|[0-9]{{1,2}}([-/.])[0-9]{{1,2}}\2{_YEAR}"
    rf"|[0-9]{{1,2}}/[0-9]{{1,2}}/[0-9]{{2}}|[0-9]{{1,2}}-{_MONTH}(-[0-9]+)?|{_MONTH}-[0-9]{{1,4}}",
    "a formula's error": r"#(REF!|NAME\?|VALUE!|N/A|NUM!|DIV/0!|NULL!|#+)",
}
_UNSEEN = "\u00ad\u200b\u200e\u200f\u2060\ufeff\ufffd"
_FIRST_ROWS = 3


class Identified(Protocol):
    """A row with ids, such as :class:`medgan.manifests.case.Case`."""

    @property
    def case_id(self) -> str: ...  # noqa: D102
    @property
    def subject_id(self) -> str: ...  # noqa: D102
    @property
    def domain(self) -> str: ...  # noqa: D102
    @property
    def row(self) -> int | None: ...  # noqa: D102


def wrong_ids(cases: Sequence[Identified], name: str) -> Iterator[ManifestError]:
    """Everything that is wrong with the ids of a table.

    Args:
        cases: Its rows.
        name: Its file name, for messages.

    Yields:
        M003 a case_id that stands twice, M007 ids that are the same but for zeros, capitals, spaces or Unicode form,
        M012 ids that a spreadsheet has changed.
    """
    yield from _duplicates(cases, name)
    for column in ("case_id", "subject_id"):
        yield from _same_number(cases, column, name)
        yield from _mangled(cases, column, name)
    for column in ("case_id", "subject_id", "domain"):
        yield from _same_but_for_form(cases, column, name)


def refuse_unseen(text: str, column: str, *, where: str) -> None:
    """Refuse characters that nobody sees, or that stand for lost ones, in an id or a path.

    Raises:
        ManifestError: M011, for a control character, a zero-width one or the replacement character.
    """
    for char in text:
        if char in _UNSEEN or unicodedata.category(char) in {"Cc", "Zl", "Zp"}:
            raise ManifestError(
                "M011",
                f"{column} holds a character that cannot be seen or was lost",
                where=where,
                got=f"U+{ord(char):04X} {unicodedata.name(char, 'control character').lower()} in {ascii(text)[:80]}",
                remedy="type it again; two ids that look the same would be two people",
            )


def _duplicates(cases: Iterable[Identified], name: str) -> Iterator[ManifestError]:
    seen: dict[str, int | None] = {}
    for case in cases:
        if case.case_id in seen:
            yield ManifestError(
                "M003",
                f"case_id {case.case_id!r} stands twice",
                where=f"{name} rows {seen[case.case_id]} and {case.row}",
                remedy="give every row its own case_id",
            )
        seen.setdefault(case.case_id, case.row)


def _same_number(cases: Iterable[Identified], column: str, name: str) -> Iterator[ManifestError]:
    """Ids such as ``001`` and ``1``: one of them has been through a spreadsheet, and nobody can tell who is who."""
    for first, second in _meetings(cases, column, _number):
        yield ManifestError(
            "M007",
            f"{column} {getattr(first, column)!r} and {getattr(second, column)!r} are the same number",
            where=f"{name} rows {first.row} and {second.row}",
            remedy="write every id of a person in one way; a spreadsheet keeps 001 only in a text column",
        )


def _same_but_for_form(cases: Iterable[Identified], column: str, name: str) -> Iterator[ManifestError]:
    for first, second in _meetings(cases, column, _folded):
        yield ManifestError(
            "M007",
            f"{column} {getattr(first, column)!r} and {getattr(second, column)!r} differ only in capitals, spaces or "
            "the form of their letters",
            where=f"{name} rows {first.row} and {second.row}",
            remedy="write them alike if they are one, or give them names that a person can tell apart",
        )


def _meetings(
    cases: Iterable[Identified], column: str, key_of: Callable[[str], str | None]
) -> Iterator[tuple[Identified, Identified]]:
    """Pairs of rows whose ids differ and have the same key; every spelling is named once."""
    first: dict[str, Identified] = {}
    seen: set[str] = set()
    for case in cases:
        text = getattr(case, column)
        key = None if text in seen else key_of(text)
        seen.add(text)
        if key is None:
            continue
        known = first.setdefault(key, case)
        if known is not case:
            yield known, case


def _number(text: str) -> str | None:
    return text.split(".")[0].lstrip("0") or "0" if _NUMBER.fullmatch(text) else None


def _folded(text: str) -> str | None:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _mangled(cases: Iterable[Identified], column: str, name: str) -> Iterator[ManifestError]:
    found: dict[str, list[Identified]] = defaultdict(list)
    for case in cases:
        for what, pattern in _MANGLED.items():
            if re.fullmatch(pattern, getattr(case, column), re.IGNORECASE if "date" in what else 0):
                found[what].append(case)
    for what, rows in found.items():
        numbers = ", ".join(str(case.row) for case in rows[:_FIRST_ROWS])
        more = f" and {len(rows) - _FIRST_ROWS} more" if len(rows) > _FIRST_ROWS else ""
        yield ManifestError(
            "M012",
            f"{column} has been changed by a spreadsheet: {what}",
            where=f"{name} row{'s' if len(rows) > 1 else ''} {numbers}{more}",
            got=", ".join(repr(getattr(case, column)) for case in rows[:_FIRST_ROWS]),
            remedy="export the table again with this column as text; two different ids may have become one",
        )
