"""Prepared arrays that are there twice: the same pixels in other bytes, which no comparison of files finds."""

from collections.abc import Iterable, Iterator

from medgan.manifests.findings import Finding
from medgan.manifests.twins import twins
from medgan.samples.prepared import PreparedCase


def prepared_twins(prepared: Iterable[PreparedCase], *, allowed: bool) -> Iterator[tuple[str, str, list[Finding]]]:
    """Cases whose prepared pixels are equal, bit by bit.

    Args:
        prepared: Cases of one store.
        allowed: Whether the study lets the same image stand under two subjects.

    Yields:
        The earlier case's id, the later one's, and the findings: M024 under two subjects (an error, or the record of
        the override), M028 in one, M054 where labels or masks contradict one another.
    """
    first: dict[str, PreparedCase] = {}
    for one in prepared:
        other = first.setdefault(one.pixels_digest, one)
        if other is one:
            continue
        masks = None not in (one.label_digest, other.label_digest) and one.label_digest != other.label_digest
        differing = ["their masks differ"] if masks else []
        found = twins(other.case, one.case, what="prepared pixels", allowed=allowed, differing=differing)
        yield other.case.case_id, one.case.case_id, list(found)
