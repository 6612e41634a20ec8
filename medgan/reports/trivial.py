"""How translation fares against baselines that learn nothing, such as identity and histogram matching."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from medgan.reports.names import metric_name
from medgan.reports.rows import ComparisonRow, SimilarityRow
from medgan.reports.wording import cases_label, estimate, outcome, swept_tasks

_SHORTFALLS = {
    "worse": "lost to",
    "equivalent": "did no better than",
    "inconclusive": "could not be shown to beat",
    "undefined": "could not be compared with",
}
_PRIMARY_SENTENCES = 2
_NAMED_METRICS = 4

Key = tuple[str, str, int | None]


class Remark(NamedTuple):
    """A sentence beside the verdict, and whether it speaks for the translation."""

    favourable: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class TrivialLine:
    """All comparisons with trivial baselines in one metric of one task, with one number of target cases.

    Args:
        task: Task.
        metric: Display name.
        cases: Number of target cases in words; empty where the study does not vary them.
        lost: Arms and what they lost to, in words.
        open: Arms and what they were not shown to beat, or equal.
        won: Arms and what they beat.
    """

    task: str
    metric: str
    cases: str
    lost: tuple[str, ...]
    open: tuple[str, ...]
    won: tuple[str, ...]


def trivial_remarks(comparisons: Sequence[ComparisonRow]) -> list[Remark]:
    """Say in at most three sentences how translation fares against baselines that learn nothing.

    First the arms of the primary comparisons, on their own task and metric, then all comparisons together.

    Args:
        comparisons: All of the study's; where none is against a trivial baseline, that is said.
    """
    if not comparisons:
        return []
    rows = trivial_rows(comparisons)
    if not rows:
        none = "No arm was compared with a baseline that learns nothing (identity, histogram matching)."
        return [Remark(favourable=False, words=none)]
    return [*_of_primary(comparisons, rows), _of_all(rows)]


def trivial_rows(comparisons: Iterable[ComparisonRow]) -> list[ComparisonRow]:
    """Comparisons with a trivial baseline, without those of one trivial baseline with another."""
    rows = [row for row in comparisons if row.trivial_baseline]
    trivial = {(row.task, row.baseline) for row in rows}
    return [row for row in rows if (row.task, row.arm) not in trivial]


def trivial_lines(comparisons: Iterable[ComparisonRow]) -> list[TrivialLine]:
    """List all comparisons with trivial baselines, one line for each task, metric and number of target cases."""
    listed = list(comparisons)
    swept = swept_tasks(listed)
    groups: dict[Key, list[ComparisonRow]] = {}
    for row in trivial_rows(listed):
        groups.setdefault((row.task, row.metric, row.target_cases), []).append(row)
    return [
        TrivialLine(
            task=task,
            metric=metric_name(metric),
            cases=cases_label(cases, swept=task in swept),
            lost=tuple(_by_arm(rows, "to", outcomes=("worse",))),
            open=tuple(_by_arm(rows, "against", outcomes=("equivalent", "inconclusive", "undefined"))),
            won=tuple(_by_arm(rows, "over", outcomes=("better",))),
        )
        for (task, metric, cases), rows in groups.items()
    ]


def trivial_similarity_sentences(rows: Iterable[SimilarityRow]) -> list[str]:
    """Name the translators whose similarity is no better than a trivial baseline's.

    Args:
        rows: Similarity of all translators; only rows of the same metric are compared, by their estimates.
    """
    listed = list(rows)
    return [
        f"{row.translator} is no better than {other.translator} on {metric_name(row.metric)}: "
        f"{estimate(row.value, row.low, row.high, n=row.n_subjects)} against "
        f"{estimate(other.value, other.low, other.high, n=other.n_subjects)}, n = {row.n_subjects} and "
        f"{other.n_subjects} subjects (estimates side by side, not a paired test)."
        for row in listed
        if not row.trivial
        for other in listed
        if other.trivial and other.metric == row.metric and _falls_short(row, other)
    ]


def _of_primary(comparisons: Sequence[ComparisonRow], rows: Sequence[ComparisonRow]) -> Iterator[Remark]:
    swept = swept_tasks(comparisons)
    primary = [row for row in comparisons if row.primary]
    arms = list(dict.fromkeys((row.task, row.metric, row.arm) for row in primary))
    for task, metric, arm in arms[:_PRIMARY_SENTENCES]:
        counts = [row.target_cases for row in primary if (row.task, row.metric, row.arm) == (task, metric, arm)]
        own = [
            row for row in rows if (row.task, row.metric, row.arm) == (task, metric, arm) and row.target_cases in counts
        ]
        where = f"On {metric_name(metric)} in the {task} task"
        if len(counts) == 1 and task in swept:
            where += f" with {cases_label(counts[0], swept=True)}"
        claims = _claims(own, count=len(counts) > 1) or "was compared with no such baseline"
        favourable = bool(own) and all(outcome(row) == "better" for row in own)
        yield Remark(favourable=favourable, words=f"{where}, {arm} {claims}.")


def _claims(rows: Sequence[ComparisonRow], *, count: bool) -> str:
    """What an arm beat, then what it did not."""

    def baselines(name: str) -> str:
        return _listed(
            [
                row.baseline + (f" ({cases_label(row.target_cases, swept=True)})" if count else "")
                for row in rows
                if outcome(row) == name
            ]
        )

    won = f"beat {baselines('better')}" if baselines("better") else ""
    short = " and ".join(f"{claim} {baselines(name)}" for name, claim in _SHORTFALLS.items() if baselines(name))
    return " but ".join(part for part in (won, short) if part)


def _of_all(rows: Sequence[ComparisonRow]) -> Remark:
    found = [outcome(row) for row in rows]
    lost = list(dict.fromkeys(metric_name(row.metric) for row in rows if outcome(row) == "worse"))
    more = ", ..." if len(lost) > _NAMED_METRICS else ""
    parts = [
        f"{found.count('better')} won",
        f"{found.count('worse')} lost" + (f" (on {', '.join(lost[:_NAMED_METRICS])}{more})" if lost else ""),
        f"{found.count('equivalent')} equivalent",
        f"{found.count('inconclusive') + found.count('undefined')} open or undefined",
    ]
    kept = [part for part in parts if not part.startswith("0 ")]
    noun = "comparison" if len(rows) == 1 else "comparisons"
    words = f"Over all tasks and metrics, {len(rows)} {noun} with such baselines: {', '.join(kept)}."
    return Remark(favourable=not lost, words=words)


def _by_arm(rows: Sequence[ComparisonRow], joint: str, *, outcomes: Sequence[str]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if outcome(row) in outcomes:
            note = f" ({outcome(row)})" if outcome(row) in ("equivalent", "undefined") else ""
            groups.setdefault((row.arm, note), []).append(row.baseline)
    yield from (f"{arm} {joint} {', '.join(baselines)}{note}" for (arm, note), baselines in groups.items())


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _falls_short(row: SimilarityRow, trivial: SimilarityRow) -> bool:
    if math.isnan(row.value) or math.isnan(trivial.value):
        return False
    return row.value <= trivial.value if row.higher_is_better else row.value >= trivial.value
