"""Forest plot: paired differences with their intervals against zero and the margin."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medgan.reports.names import metric_name
from medgan.reports.rows import ComparisonRow
from medgan.reports.svg import COLOURS, FAINT, INK, inline, page_style, stacked
from medgan.reports.wording import cases_label, contrast, estimate, in_order, outcome, swept_tasks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS_IN, _AXES_IN, _NUMBERS_IN = 3.0, 4.1, 4.3
_N_IN, _OUTCOME_IN = 2.5, 3.25
_HEADING_IN, _PADDING_IN, _LINE_IN, _FOOT_IN, _TOP_IN = 0.36, 0.15, 0.165, 0.62, 0.04
_LABEL_LETTERS, _BOLD_LETTERS = 40, 35


class Line(NamedTuple):
    """A line of the plot: a comparison, or the heading of a group; its height is in inches."""

    row: ComparisonRow | None
    label: tuple[str, ...]
    height: float


def is_drawable(rows: Sequence[ComparisonRow]) -> bool:
    """Whether there is any difference to draw."""
    return any(math.isfinite(row.difference) for row in rows)


def forest(rows: Sequence[ComparisonRow], *, confidence: float, prefix: str) -> str:
    """Draw paired differences with intervals against zero and the margin.

    Args:
        rows: Comparisons of one task and one metric; grouped under headings where the number of target cases varies.
        confidence: Level of the intervals, in (0, 1).
        prefix: Put before every id.

    Returns:
        An ``<svg>`` element; each row is labelled with its numbers and its n.
    """
    from matplotlib.figure import Figure

    lines = list(_lines(rows))
    total = sum(line.height for line in lines)
    width, height = _LABELS_IN + _AXES_IN + _NUMBERS_IN, _TOP_IN + total + _FOOT_IN
    with page_style():
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((_LABELS_IN / width, _FOOT_IN / height, _AXES_IN / width, total / height))
        axes.set_ylim(total, 0)
        axes.set_yticks([])
        top = 0.0
        for line in lines:
            _draw(axes, line, top=top)
            top += line.height
        axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"difference in {metric_name(rows[0].metric)}, {confidence:.0%} interval", labelpad=18)
        left, right = ("← worse", "better →") if rows[0].higher_is_better else ("← better", "worse →")
        for x, side, anchor in ((0.0, left, "left"), (1.0, right, "right")):
            axes.annotate(
                side, (x, 0), (0, -24), xycoords="axes fraction", textcoords="offset points", ha=anchor, va="center"
            )
    return inline(figure, alt=_alt(rows), prefix=prefix)


def _lines(rows: Sequence[ComparisonRow]) -> Iterator[Line]:
    swept = bool(swept_tasks(rows))
    for cases in in_order(row.target_cases for row in rows):
        if swept:
            yield Line(None, (cases_label(cases, swept=True),), _HEADING_IN)
        for row in rows:
            if row.target_cases == cases:
                letters = _BOLD_LETTERS if row.primary else _LABEL_LETTERS
                wrapped = textwrap.wrap(contrast(row), letters, break_on_hyphens=False) or [contrast(row)]
                yield Line(row, tuple(wrapped), _PADDING_IN + _LINE_IN * len(wrapped))


def _draw(axes: "Axes", line: Line, *, top: float) -> None:
    middle, row = top + line.height / 2, line.row
    beside = axes.get_yaxis_transform()
    if row is None:
        stacked(axes, (-0.03, top + 0.22), line.label, xycoords=beside, ha="right", fontstyle="italic")
        return
    weight = "bold" if row.primary else "normal"
    stacked(axes, (-0.03, middle), line.label, xycoords=beside, ha="right", fontweight=weight)
    texts = ((0.13, _difference(row)), (_N_IN, f"n = {row.n_subjects}"), (_OUTCOME_IN, outcome(row)))
    for at, text in texts:
        axes.text(1 + at / _AXES_IN, middle, text, transform=beside, va="center", fontweight=weight)
    if np.isfinite(row.margin):
        band = [top, top + line.height]
        axes.fill_betweenx(band, -row.margin, row.margin, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    if not np.isfinite(row.difference):
        return
    colour = COLOURS[0] if row.primary else INK
    if np.isfinite(row.low) and np.isfinite(row.high):
        axes.plot([row.low, row.high], [middle, middle], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
    axes.plot([row.difference], [middle], marker="D" if row.primary else "o", color=colour, markersize=5.5, zorder=3)


def _difference(row: ComparisonRow) -> str:
    return estimate(row.difference, row.low, row.high, n=row.n_subjects, sign=True)


def _alt(rows: Sequence[ComparisonRow]) -> str:
    swept = bool(swept_tasks(rows))
    return f"Forest plot of paired differences in {metric_name(rows[0].metric)}, {rows[0].task}. " + "; ".join(
        f"{contrast(row, swept=swept)}: {_difference(row)}, n = {row.n_subjects}" for row in rows
    )
