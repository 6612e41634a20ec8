"""Score against the number of labelled target cases, each line labelled where it ends."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medgan.reports.names import metric_name
from medgan.reports.rows import ScoreRow
from medgan.reports.svg import COLOURS, INK, MARKERS, inline, page_style
from medgan.reports.wording import cases_label, estimate, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT_IN, _AXES_IN, _LABELS_IN = 0.6, 6.0, 3.2
_FOOT_IN, _TOP_IN, _LEAST_IN, _LABEL_IN = 0.75, 0.3, 2.7, 0.215
_DODGED = 0.42


def score_by_cases(rows: Sequence[ScoreRow], *, confidence: float, prefix: str) -> str:
    """Draw score against the number of labelled target cases, one line per arm, with its name at its end.

    Args:
        rows: Scores of one task, metric and test set; no number of ``target_cases`` means all of them.
        confidence: Level of the intervals, in (0, 1).
        prefix: Put before every id.

    Returns:
        An ``<svg>`` element; arms without any score are named as undefined.
    """
    from matplotlib.figure import Figure

    counts = in_order(row.target_cases for row in rows)
    drawn = list(dict.fromkeys(row.arm for row in rows if math.isfinite(row.value)))
    undefined = list(dict.fromkeys(row.arm for row in rows if row.arm not in drawn))
    tall = max(_LEAST_IN, _LABEL_IN * (len(drawn) + 1))
    width, height = _LEFT_IN + _AXES_IN + _LABELS_IN, _TOP_IN + tall + _FOOT_IN
    with page_style():
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((_LEFT_IN / width, _FOOT_IN / height, _AXES_IN / width, tall / height))
        ends = [
            _draw(axes, [row for row in rows if row.arm == arm], counts=counts, index=index, of=len(drawn))
            for index, arm in enumerate(drawn)
        ]
        axes.set_xticks(range(len(counts)), ["all" if cases is None else str(cases) for cases in counts])
        for x, cases in enumerate(counts):
            axes.annotate(
                _n_label(rows, cases),
                (x, 0),
                (0, -24),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="center",
            )
        axes.set_xlim(-0.4, len(counts) - 0.6)
        axes.set_xlabel("labelled target cases in training (n = subjects scored)", labelpad=18)
        axes.set_title(f"{metric_name(rows[0].metric)}, {confidence:.0%} interval", loc="left", fontsize=9.5)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        _label(axes, drawn, ends, gap=_LABEL_IN / tall)
        if undefined:
            axes.text(0.01, 0.02, f"undefined: {', '.join(undefined)}", transform=axes.transAxes, fontsize=9)
    return inline(figure, alt=_alt(rows), prefix=prefix)


def _draw(
    axes: "Axes", rows: Sequence[ScoreRow], *, counts: Sequence[int | None], index: int, of: int
) -> tuple[float, float]:
    """Draw one arm's line and return where it ends."""
    points = sorted(rows, key=lambda row: counts.index(row.target_cases))
    shift = (index - (of - 1) / 2) * min(0.08, _DODGED / of)
    positions = [counts.index(row.target_cases) + shift for row in points]
    values = np.array([row.value for row in points])
    spans = np.array([[row.value - row.low, row.high - row.value] for row in points]).T
    colour, marker, style = _look(index)
    axes.errorbar(
        positions,
        values,
        yerr=np.where(spans >= 0, spans, np.nan),
        color=colour,
        marker=marker,
        linestyle=style,
        markersize=5,
        linewidth=1.4,
        elinewidth=0.9,
        capsize=2,
    )
    last = int(np.flatnonzero(np.isfinite(values))[-1])
    return positions[last], float(values[last])


def _label(axes: "Axes", names: Sequence[str], ends: Sequence[tuple[float, float]], *, gap: float) -> None:
    """Write each name at the right edge, near its line's end and at least a gap (share of the height) apart."""
    bottom, top = axes.get_ylim()
    right = axes.get_xlim()[1]
    wanted = np.array([(y - bottom) / (top - bottom) for _, y in ends])
    for index, height in enumerate(spread(wanted, gap=gap)):
        colour, marker, _ = _look(index)
        x, y = ends[index]
        axes.plot([x, right], [y, y], color=colour, linewidth=0.7, alpha=0.7, zorder=1)
        axes.plot(
            [1, 1.05], [wanted[index], height], color=colour, linewidth=0.7, transform=axes.transAxes, clip_on=False
        )
        axes.plot([1.06], [height], color=colour, marker=marker, ms=5, transform=axes.transAxes, clip_on=False)
        axes.text(1.075, height, names[index], color=INK, transform=axes.transAxes, va="center")


def _look(index: int) -> tuple[str, str, str]:
    """Colour, marker and line style of an arm."""
    turn = index // len(COLOURS)
    return COLOURS[index % len(COLOURS)], MARKERS[(index + turn) % len(MARKERS)], ("-", "--", ":")[turn % 3]


def spread(wanted: np.ndarray, *, gap: float) -> np.ndarray:
    """Move heights apart, by as little as possible (least squares), inside [0, 1].

    Args:
        wanted: Heights, shape (N,).
        gap: Least distance between two; at most 1 / (N - 1).

    Returns:
        Heights in the order of `wanted`, shape (N,).

    Example:
        >>> spread(np.array([0.5, 0.5, 0.0]), gap=0.2).round(3).tolist()
        [0.4, 0.6, 0.0]
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    apart = np.asarray(isotonic_regression(wanted[order] - steps).x)
    heights = np.empty(len(wanted))
    heights[order] = np.clip(apart, 0, max(0.0, 1 - gap * (len(wanted) - 1))) + steps
    return heights


def _n_label(rows: Sequence[ScoreRow], cases: int | None) -> str:
    subjects = sorted({row.n_subjects for row in rows if row.target_cases == cases})
    span = str(subjects[0]) if len(subjects) == 1 else f"{subjects[0]} to {subjects[-1]}"
    return f"(n = {span})"


def _alt(rows: Sequence[ScoreRow]) -> str:
    return f"{metric_name(rows[0].metric)} against labelled target cases, {rows[0].task}: " + "; ".join(
        f"{row.arm}, {cases_label(row.target_cases, swept=True)}: "
        f"{estimate(row.value, row.low, row.high, n=row.n_subjects)}, n = {row.n_subjects}"
        for row in rows
    )
