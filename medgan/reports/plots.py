"""The report's figures: differences, score against labelled cases, class shift, training curves."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medgan.reports.exhibits import CurveSet
from medgan.reports.rows import ComparisonRow, QualityShift, ScoreRow
from medgan.reports.svg import COLOURS, FAINT, INK, MARKERS, PAPER, inline, page_style
from medgan.reports.wording import contrast, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_IN = 11.0
_CURVE_POINTS = 160


def forest(rows: Sequence[ComparisonRow], *, confidence: float, prefix: str) -> str:
    """Draw paired differences with intervals against zero and the margin.

    Args:
        rows: Comparisons of one task and one metric.
        confidence: Level of the intervals, in (0, 1).
        prefix: Put before every id.

    Returns:
        An ``<svg>`` element; each row is labelled with its numbers and its n.
    """
    from matplotlib.figure import Figure

    with page_style():
        figure = Figure(figsize=(_WIDTH_IN, 0.75 + 0.48 * len(rows)))
        foot = 0.7 / figure.get_figheight()
        axes = figure.add_axes((0.27, foot, 0.47, 1 - foot - 0.02))
        for y, row in enumerate(rows):
            _forest_row(axes, row, y=y)
        axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks(range(len(rows)), [_wrapped(contrast(row), width=38) for row in rows], fontsize=9.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.08)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"difference in {rows[0].metric}, {confidence:.0%} interval")
        left, right = ("← worse", "better →") if rows[0].higher_is_better else ("← better", "worse →")
        for x, side, anchor in ((0.0, left, "left"), (1.0, right, "right")):
            axes.annotate(
                side, (x, 0), (0, -27), xycoords="axes fraction", textcoords="offset points", ha=anchor, va="center"
            )
    alt = f"Forest plot of paired differences in {rows[0].metric}, {rows[0].task}. " + "; ".join(
        f"{contrast(row)}: {_difference(row)}, n = {row.n_subjects}" for row in rows
    )
    return inline(figure, alt=alt, prefix=prefix)


def score_by_cases(rows: Sequence[ScoreRow], *, confidence: float, prefix: str) -> str:
    """Draw score against the number of labelled target cases, one line per arm.

    Args:
        rows: Scores of one task, metric and test set, each with ``target_cases``.
        confidence: Level of the intervals, in (0, 1).
        prefix: Put before every id.
    """
    from matplotlib.figure import Figure

    counts = sorted({row.target_cases for row in rows if row.target_cases is not None})
    arms = list(dict.fromkeys(row.arm for row in rows))
    with page_style():
        figure = Figure(figsize=(_WIDTH_IN * 0.72, 3.6))
        axes = figure.add_subplot()
        for index, arm in enumerate(arms):
            shift = (index - (len(arms) - 1) / 2) * 0.08
            points = sorted((row for row in rows if row.arm == arm), key=lambda row: row.target_cases or 0)
            positions = [counts.index(row.target_cases) + shift for row in points if row.target_cases is not None]
            values = np.array([row.value for row in points])
            ends = np.array([[row.value - row.low, row.high - row.value] for row in points]).T
            axes.errorbar(
                positions,
                values,
                yerr=np.where(ends >= 0, ends, np.nan),
                label=arm,
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=5,
                linewidth=1.4,
                elinewidth=1.0,
                capsize=2.5,
            )
        axes.set_xticks(range(len(counts)), [_count_label(rows, cases) for cases in counts])
        axes.set_xlim(-0.4, len(counts) - 0.6)
        axes.set_xlabel("labelled target cases in training (n = subjects scored)")
        axes.set_ylabel(f"{rows[0].metric}, {confidence:.0%} interval")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=min(3, len(arms)))
        figure.set_layout_engine("constrained")
    alt = f"{rows[0].metric} against labelled target cases, {rows[0].task}: " + "; ".join(
        f"{row.arm}, {row.target_cases} cases: "
        f"{estimate(row.value, row.low, row.high, n=row.n_subjects)}, n = {row.n_subjects}"
        for row in rows
    )
    return inline(figure, alt=alt, prefix=prefix)


def class_shares(shift: QualityShift, *, prefix: str) -> str:
    """Draw the share of each class as one stacked bar per set of images, with counts in the bars."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colours = colormaps["cividis"](np.linspace(0.08, 0.95, len(shift.classes)))
    with page_style():
        figure = Figure(figsize=(_WIDTH_IN * 0.85, 0.75 + 0.46 * len(shift.sets)))
        axes = figure.add_subplot()
        for y, (_, counts, _) in enumerate(shift.sets):
            total = max(1, sum(counts))
            left = 0.0
            for (name, tally), colour in zip(zip(shift.classes, counts, strict=True), colours, strict=True):
                share = 100 * tally / total
                axes.barh(
                    y, share, left=left, color=colour, edgecolor=PAPER, height=0.68, label=name if y == 0 else None
                )
                if share >= 4:
                    ink = "black" if colour[:3] @ (0.299, 0.587, 0.114) > 0.5 else "white"
                    axes.text(left + share / 2, y, str(tally), ha="center", va="center", color=ink, fontsize=8.5)
                left += share
        names = [f"{name}\nn = {sum(counts)} images, {n} subjects" for name, counts, n in shift.sets]
        axes.set_yticks(range(len(names)), names, fontsize=8.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of images (%), counts in the bars where they fit")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=min(5, len(shift.classes)))
        figure.set_layout_engine("constrained")
    alt = f"Shares of {shift.name}: " + "; ".join(
        f"{name} (n = {sum(counts)}): "
        + ", ".join(f"{tally} {klass}" for klass, tally in zip(shift.classes, counts, strict=True))
        for name, counts, _ in shift.sets
    )
    return inline(figure, alt=alt, prefix=prefix)


def training_curves(curves: CurveSet, *, prefix: str) -> str:
    """Draw each loss in a box of its own: means over equal stretches of steps, in a band from least to greatest."""
    from matplotlib.figure import Figure

    columns = min(3, len(curves.series))
    lines = -(-len(curves.series) // columns)
    with page_style():
        figure = Figure(figsize=(_WIDTH_IN * columns / 3, 1.9 * lines), layout="constrained")
        boxes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for axes, (name, values) in zip(boxes, curves.series.items(), strict=False):
            steps, mean, low, high = _binned(curves.steps, values)
            axes.fill_between(steps, low, high, color=COLOURS[0], alpha=0.25, linewidth=0)
            axes.plot(steps, mean, color=COLOURS[0], linewidth=1.2)
            axes.set_title(name, loc="left", fontsize=9)
            axes.grid(axis="y")
            axes.locator_params(nbins=5)
        for axes in boxes[len(curves.series) :]:
            axes.set_visible(False)
        figure.supxlabel("step", fontsize=9)
    return inline(figure, alt=f"Training losses of {curves.name} over steps: {', '.join(curves.series)}", prefix=prefix)


def _difference(row: ComparisonRow) -> str:
    return estimate(row.difference, row.low, row.high, n=row.n_subjects, sign=True)


def _forest_row(axes: "Axes", row: ComparisonRow, *, y: int) -> None:
    right = axes.get_yaxis_transform()
    weight = "bold" if row.primary else "normal"
    axes.text(1.03, y - 0.02, _difference(row), transform=right, va="bottom", fontsize=9.5, fontweight=weight)
    tail = f"n = {row.n_subjects}, {row.verdict}" + (", primary" if row.primary else "")
    axes.text(1.03, y + 0.05, tail, transform=right, va="top", fontsize=9)
    if np.isfinite(row.margin):
        axes.fill_betweenx([y - 0.5, y + 0.5], -row.margin, row.margin, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    if not np.isfinite(row.difference):
        return
    colour = COLOURS[0] if row.primary else INK
    if np.isfinite(row.low) and np.isfinite(row.high):
        axes.plot([row.low, row.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
    axes.plot([row.difference], [y], marker="D" if row.primary else "o", color=colour, markersize=6, zorder=3)


def _count_label(rows: Sequence[ScoreRow], cases: int) -> str:
    subjects = sorted({row.n_subjects for row in rows if row.target_cases == cases})
    span = str(subjects[0]) if len(subjects) == 1 else f"{subjects[0]} to {subjects[-1]}"
    return f"{cases}\n(n = {span})"


def _wrapped(text: str, *, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=False)) or text


def _binned(steps: Sequence[int], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, least and greatest in each stretch; a stretch with a value that is not finite is a gap."""
    at = np.asarray(steps, dtype=float)
    series = np.asarray(values, dtype=float)
    series = np.where(np.isfinite(series), series, np.nan)
    stretches = [part for part in np.array_split(np.arange(len(at)), min(len(at), _CURVE_POINTS)) if len(part)]
    centres = np.array([at[part].mean() for part in stretches])
    mean = np.array([series[part].mean() for part in stretches])
    low = np.array([series[part].min() for part in stretches])
    high = np.array([series[part].max() for part in stretches])
    return centres, mean, low, high
