"""Scores and differences sorted for reading: by task, then by metric, the main metric first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from medgan.reports.content import ReportContent
from medgan.reports.forest import forest, is_drawable
from medgan.reports.names import metric_name
from medgan.reports.rows import ComparisonRow, ScoreRow
from medgan.reports.sweep import score_by_cases
from medgan.reports.wording import cases_label, in_order, swept_tasks, tally

OPEN_ROWS = 8
"""Tables of more rows than this start folded."""


class _Counted(Protocol):
    @property
    def target_cases(self) -> int | None: ...


class _Made(Protocol):
    @property
    def method(self) -> str: ...


Row = TypeVar("Row", bound=_Counted)


class Drawing(NamedTuple):
    """A figure on the page: its heading and its ``<svg>``."""

    heading: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """One metric of one task.

    Args:
        name: Display name of the metric.
        differences: Its comparisons.
        scores: Its scores.
        forest: Forest plot of the comparisons; empty where there is nothing to draw.
        lines: Score against target cases, one figure per test set; empty where the study does not vary them.
        swept: Whether the task varies the number of target cases.
    """

    name: str
    differences: tuple[ComparisonRow, ...]
    scores: tuple[ScoreRow, ...]
    forest: str
    lines: tuple[Drawing, ...]
    swept: bool

    @property
    def summary(self) -> str:
        """What is in it, in words."""
        counted = len(self.differences)
        if not counted:
            return f"{len(self.scores)} score{'s' * (len(self.scores) != 1)}"
        return f"{counted} difference{'s' * (counted != 1)}: {tally(self.differences)}"

    @property
    def has_margin(self) -> bool:
        """Whether a margin was declared for any of its comparisons."""
        return any(row.margin == row.margin for row in self.differences)


@dataclass(frozen=True, kw_only=True)
class TaskBoards:
    """The metrics of one task: the main one, which is shown, and the others, which are folded away."""

    task: str
    main: Board
    others: tuple[Board, ...]


def boards(content: ReportContent, *, numbers: Iterator[int]) -> list[TaskBoards]:
    """Sort and draw a study's scores and comparisons.

    The task of the primary comparison comes first; within a task its metric, elsewhere the first one.

    Args:
        content: The study.
        numbers: Numbers for the figures' ids, each used once.
    """
    rows: tuple[ScoreRow | ComparisonRow, ...] = (*content.scores, *content.comparisons)
    first = [(row.task, row.metric) for row in content.primary]
    metrics: dict[str, dict[str, None]] = {}
    for task, metric in (*first, *((row.task, row.metric) for row in rows)):
        metrics.setdefault(task, {})[metric] = None
    drawn = {task: [_board(content, task, metric, numbers) for metric in names] for task, names in metrics.items()}
    return [TaskBoards(task=task, main=main, others=tuple(others)) for task, (main, *others) in drawn.items()]


def by_cases(rows: Sequence[Row], *, swept: bool) -> list[tuple[str, list[Row]]]:
    """Part rows by their number of target cases: heading -> rows; one part without heading where it does not vary."""
    if not swept:
        return [("", list(rows))]
    counts = in_order(row.target_cases for row in rows)
    return [(cases_label(count, swept=True), [row for row in rows if row.target_cases == count]) for count in counts]


def common_method(rows: Iterable[_Made]) -> str:
    """The method that all rows share; empty where they differ."""
    methods = {row.method for row in rows}
    return methods.pop() if len(methods) == 1 else ""


def _board(content: ReportContent, task: str, metric: str, numbers: Iterator[int]) -> Board:
    differences = tuple(row for row in content.comparisons if (row.task, row.metric) == (task, metric))
    scores = tuple(row for row in content.scores if (row.task, row.metric) == (task, metric))
    drawable = is_drawable(differences)
    return Board(
        name=metric_name(metric),
        differences=differences,
        scores=scores,
        forest=forest(differences, confidence=content.confidence, prefix=f"f{next(numbers)}") if drawable else "",
        lines=tuple(_lines(content, scores, numbers)),
        swept=task in swept_tasks((*content.scores, *content.comparisons)),
    )


def _lines(content: ReportContent, scores: Sequence[ScoreRow], numbers: Iterator[int]) -> Iterator[Drawing]:
    if not swept_tasks(scores):
        return
    for tested_on in dict.fromkeys(row.tested_on for row in scores):
        rows = [row for row in scores if row.tested_on == tested_on]
        counts = {row.target_cases for row in rows if row.value == row.value}
        if len(counts) > 1:
            svg = score_by_cases(rows, confidence=content.confidence, prefix=f"f{next(numbers)}")
            yield Drawing(f"Score against labelled target cases, tested on {tested_on}", svg)
