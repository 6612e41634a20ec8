"""What a report says of each training run: which checkpoint was used, and which alarms were raised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from medgan.reports.exhibits import AlarmMark


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One training run.

    Args:
        name: Its folder below the output.
        checkpoint: ``"last"`` or ``"best"``.
        step: Steps of the checkpoint that was used.
        total_steps: Steps trained.
        score: What the best one was chosen by; NaN for the last.
        scored_by: What the score is, in words; empty for the last.
        alarms: Raised in training.
    """

    name: str
    checkpoint: str
    step: int
    total_steps: int
    score: float = math.nan
    scored_by: str = ""
    alarms: tuple[AlarmMark, ...] = ()


class RaisedAlarm(NamedTuple):
    """An alarm with its run."""

    run: str
    alarm: AlarmMark


def raised(runs: Sequence[RunRow]) -> list[RaisedAlarm]:
    """All alarms, run by run."""
    return [RaisedAlarm(run.name, alarm) for run in runs for alarm in run.alarms]


def alarm_summary(runs: Sequence[RunRow]) -> str:
    """Say in a sentence how many runs raised alarms; empty without alarms.

    Example:
        >>> alarm_summary([RunRow(name="a", checkpoint="last", step=9, total_steps=9)])
        ''
    """
    found = [run for run in runs if run.alarms]
    kinds = sorted({alarm.kind for run in found for alarm in run.alarms})
    if not found:
        return ""
    return f"Training raised alarms in {len(found)} of {len(runs)} run{'s' * (len(runs) != 1)}: {', '.join(kinds)}."


def checkpoint_summary(runs: Sequence[RunRow]) -> str:
    """Say which checkpoints were used."""
    best = sum(run.checkpoint == "best" for run in runs)
    if not best:
        every = "The run's" if len(runs) == 1 else f"Each of the {len(runs)} runs'"
        return f"{every} last checkpoint was used; none was chosen by a score."
    rest = f"; of the other {len(runs) - best} the last" if best < len(runs) else ""
    return (
        f"Of {best} of {len(runs)} runs the checkpoint that scored best on held-out training subjects was used{rest}."
    )
