"""A picture of a run that failed, left in its folder."""

from pathlib import Path

from medgan.reports.exhibits import CurveSet
from medgan.reports.plots import curve_figure


def draw_losses(curves: CurveSet, path: Path) -> None:
    """Draw a run's losses with its alarms as a PNG.

    Args:
        curves: Losses and alarms.
        path: Where to; its folder exists.
    """
    from matplotlib import rc_context

    with rc_context({"font.size": 9.5, "text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False}):
        figure = curve_figure(curves)
        told = [f"step {alarm.step}: {alarm.kind}" for alarm in curves.alarms]
        figure.suptitle("; ".join([curves.name, *told[-3:]]), fontsize=10)
        figure.savefig(path, dpi=110, facecolor="white")
