"""Column names of a table: those that are another one misspelt."""

import difflib
from collections.abc import Iterable, Iterator, Sequence

from medgan.errors import ManifestError

_ALIKE = 0.8
_SHORTEST_STEM = 3


def same_but_for_case(name: str, wanted: str) -> bool:
    """Whether two names differ only in capitals, spaces, hyphens and underscores.

    Example:
        >>> same_but_for_case(" Case-ID ", "case_id")
        True
    """
    return _bare(name) == _bare(wanted)


def misspelt(header: Iterable[str], *, wanted: str) -> str | None:
    """The column that is most likely meant for another one that the header lacks.

    Args:
        header: Names as the file has them.
        wanted: The name that is missing.

    Returns:
        A name of the header: equal but for capitals and spaces, a plural, a beginning such as ``vol`` for ``volume``,
        or one that is alike by at least 80 % of its letters; None where there is none.

    Example:
        >>> misspelt(["id", "masks"], wanted="mask")
        'masks'
    """
    bare = {_bare(name): name for name in reversed(list(header)) if _bare(name)}
    target = _bare(wanted)
    for name in (target, target + "s"):
        if name in bare:
            return bare[name]
    stems = [name for name in bare if len(name) >= _SHORTEST_STEM and target.startswith(name)]
    near = stems or difflib.get_close_matches(target, bare, n=1, cutoff=_ALIKE)
    return bare[near[0]] if near else None


def refuse_other_spelling(header: Sequence[str], *, known: Iterable[str], where: str) -> None:
    """Refuse a known column under another spelling: its values would be left out in silence.

    Raises:
        ManifestError: M013, naming the column and its right name.
    """
    for wanted in known:
        wrong = [name for name in header if name != wanted and same_but_for_case(name, wanted)]
        if wrong and wanted not in header:
            raise ManifestError(
                "M013",
                "a column is spelt another way than medgan reads it",
                where=where,
                got=", ".join(map(repr, wrong)),
                expected=repr(wanted),
                remedy=f"rename it to {wanted}",
            )


def likely_misspelt(
    header: Sequence[str], *, known: Sequence[str], named: Iterable[str] = ()
) -> Iterator[ManifestError]:
    """Free columns that look like a known one that the table lacks, as error M014.

    Args:
        header: Names as the file has them.
        known: Names that mean something.
        named: Free columns that the study reads on purpose.
    """
    free = [name for name in header if name not in known and name not in set(named)]
    for wanted in known:
        found = None if wanted in header else misspelt(free, wanted=wanted)
        if found is not None:
            yield ManifestError(
                "M014",
                f"column {found!r} is kept but not read",
                expected=f"{wanted!r}, if that is what is meant",
                remedy=f"rename it to {wanted}, or leave it as a column of your own",
            )


def _bare(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
