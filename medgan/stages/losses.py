"""A run's log as curves with their alarms."""

from collections.abc import Sequence
from typing import Any

from medgan.reports.exhibits import AlarmMark, CurveSet


def curve_set(name: str, lines: Sequence[dict[str, Any]]) -> CurveSet | None:
    """The losses and alarms of a log; None where it holds no losses."""
    points = [line for line in lines if line.get("means")]
    keys = {(g, n) for line in points for g, losses in line["means"].items() for n in losses if n != "gradient_norm"}
    if not points:
        return None
    series = {f"{group} {loss}": [_loss(line, group, loss) for line in points] for group, loss in sorted(keys)}
    steps = [int(line["step"]) for line in points]
    return CurveSet(name=name, steps=steps, series=series, alarms=alarms_of(lines))


def alarms_of(lines: Sequence[dict[str, Any]]) -> tuple[AlarmMark, ...]:
    """The alarms of a log."""
    return tuple(
        AlarmMark(int(line["step"]), str(line["alarm"]), str(line["reason"]), bool(line["fatal"]))
        for line in lines
        if "alarm" in line
    )


def _loss(line: dict[str, Any], group: str, name: str) -> float:
    return float(line["means"].get(group, {}).get(name, float("nan")))
