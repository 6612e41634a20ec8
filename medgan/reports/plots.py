"""Figures of class shift and of training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from medgan.reports.exhibits import CurveSet
from medgan.reports.rows import QualityShift
from medgan.reports.svg import COLOURS, PAPER, inline, page_style, stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_IN = 11.0
_CURVE_POINTS = 160
_FEW = 4
"""Points fewer than this are marked: a line of one point cannot be seen."""
_WIDE = 1000.0


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
        names = [(name, f"n = {sum(counts)} images, {n} subjects") for name, counts, n in shift.sets]
        axes.set_yticks([])
        for y, lines in enumerate(names):
            stacked(axes, (-0.012, y), lines, xycoords=axes.get_yaxis_transform(), ha="right", fontsize=8.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of images (%), counts in the bars where they fit")
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
    with page_style():
        figure = curve_figure(curves)
    alarms = "".join(f"; alarm at step {alarm.step}: {alarm.kind}" for alarm in curves.alarms)
    alt = f"Training losses of {curves.name} over steps: {', '.join(curves.series)}{alarms}"
    return inline(figure, alt=alt, prefix=prefix)


def curve_figure(curves: CurveSet) -> "Figure":
    """The figure of :func:`training_curves`, in the style that is set; a dashed line stands at each alarm."""
    from matplotlib.figure import Figure

    columns = min(3, len(curves.series))
    lines = -(-len(curves.series) // columns)
    figure = Figure(figsize=(_WIDTH_IN * max(columns, 2) / 3, 1.9 * lines + 0.3), layout="constrained")
    boxes = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
    for axes, (name, values) in zip(boxes, curves.series.items(), strict=False):
        steps, mean, low, high = _binned(curves.steps, values)
        axes.fill_between(steps, low, high, color=COLOURS[0], alpha=0.25, linewidth=0)
        axes.plot(steps, mean, color=COLOURS[0], linewidth=1.2, marker="o" if len(steps) < _FEW else None, markersize=3)
        for alarm in curves.alarms:
            axes.axvline(alarm.step, color=COLOURS[1], linewidth=1.0, linestyle="-" if alarm.fatal else (0, (3, 3)))
        axes.set_title(name, loc="left", fontsize=9)
        axes.grid(axis="y")
        _scale(axes, low, high)
    for axes in boxes[len(curves.series) :]:
        axes.set_visible(False)
    figure.supxlabel("step", fontsize=9)
    return figure


def _scale(axes: "Axes", low: np.ndarray, high: np.ndarray) -> None:
    """Few ticks; a logarithmic axis where a loss spans a thousandfold, as one that diverges does."""
    axes.locator_params(nbins=5)
    drawn = np.concatenate([low, high])
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size and 0 < drawn.min() < drawn.max() / _WIDE:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")


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
