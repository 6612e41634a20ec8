"""What reading did beside decoding, told once a kind: a qform set aside, a CMYK picture converted, slices dropped."""

import re
from collections.abc import Iterable, Iterator, Sequence

from medgan.manifests.case import Case
from medgan.manifests.findings import Finding

_NUMBER = re.compile(r"[-+]?\d[\d.:]*(e[-+]?\d+)?")
_NO_NEWS = re.compile(r"(volume|picture) \d|kept in float64|float64 read|1 bit read|stored with white|palette expanded")
"""Notes on what the row itself asks for, or on a representation that changes no value."""


def note_findings(noted: Sequence[tuple[Case, Iterable[str]]]) -> Iterator[Finding]:
    """One warning R060 for each kind of note, with how many cases have it and the first of them.

    Args:
        noted: Each case that was read, and the notes of its image.
    """
    kinds: dict[str, list[tuple[Case, str]]] = {}
    for case, notes in noted:
        for note in dict.fromkeys(notes):
            if not _NO_NEWS.match(note):
                kinds.setdefault(kind_of_note(note), []).append((case, note))
    for cases in kinds.values():
        case, note = cases[0]
        more = f"; so have {len(cases) - 1} more" if len(cases) > 1 else ""
        yield Finding(
            code="R060",
            severity="warning",
            where=case.where,
            message=f"read with a remark: {note}{more}",
            remedy="look whether that is meant; it stops nothing",
        )


def kind_of_note(note: str) -> str:
    """A note without its numbers, by which it is counted.

    Example:
        >>> kind_of_note("qform and sform differ by up to 2.5; sform taken")
        'qform and sform differ by up to ...; sform taken'
    """
    return _NUMBER.sub("...", note)
