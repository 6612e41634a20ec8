"""Two rows with the same image: what is wrong with that, by whose they are and what they are labelled."""

from collections.abc import Iterator, Sequence

from medgan.errors import if_shown
from medgan.manifests.case import Case
from medgan.manifests.findings import Finding

_LABELS = ("grade", "quality")


def twins(first: Case, second: Case, *, what: str, allowed: bool, differing: Sequence[str] = ()) -> Iterator[Finding]:
    """Findings of two rows whose images are the same.

    Args:
        first: The earlier row.
        second: The later row.
        what: What is the same: ``"bytes"`` or ``"pixels"``.
        allowed: Turn the error of two subjects into a warning that records the override.
        differing: Further labels that differ, such as ``"their masks differ"``.

    Yields:
        M024 under two subjects or M028 in one; M054 where the labels contradict one another.
    """
    files = if_shown(f": {first.image} and {second.image}")
    two = first.subject_id != second.subject_id
    override = "; allowed by the study's override" if two and allowed else ""
    yield Finding(
        code="M024" if two else "M028",
        severity="error" if two and not allowed else "warning",
        where=f"{first.where} and {second.where}",
        message=f"the same {what} {'under two subjects' if two else 'twice in one subject'}{files}{override}",
        remedy="give both rows one subject_id, or take one out: else a test image is trained on"
        if two
        else "keep one of them, or it counts double",
    )
    yield from conflict(first, second, what=what, differing=differing)


def conflict(
    first: Case, second: Case, *, what: str, columns: Sequence[str] = _LABELS, differing: Sequence[str] = ()
) -> Iterator[Finding]:
    """The error of one image with two labels, M054; a blank label contradicts none."""
    told = [
        f"their {column} differs: {getattr(first, column)} and {getattr(second, column)}"
        for column in columns
        if None not in (getattr(first, column), getattr(second, column))
        and getattr(first, column) != getattr(second, column)
    ]
    if told or differing:
        yield Finding(
            code="M054",
            severity="error",
            where=f"{first.where} and {second.where}",
            message=f"the same {what} with labels that contradict one another: {'; '.join([*told, *differing])}",
            remedy="find out which label is right and keep one row",
        )
