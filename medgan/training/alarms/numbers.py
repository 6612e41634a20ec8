"""What is wrong with a group's losses and gradients: divergence, saturation, vanishing gradients.

Averages forget with a half-life of 34 turns, so that one bad batch is no alarm. A loss counts as at most
``CLIPPED`` times the average (and what it began with): a spike of any height then raises the average by a fifth, and
only some fifteen high losses in a row raise it tenfold.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from medgan.training.alarms.alarm import Alarm, Bell, Kind

SMOOTHING = 0.98
CLIPPED = 10.0
WARM_UP = 100
"""Turns after which a group's level is known; the first losses of fresh networks stand for nothing."""

GROWTH = 10.0
"""Above the lowest average so far: losses of adversarial training waver by two or three."""
LEAST_DIVERGED = 1.0
"""A mean loss below this has not diverged, however small it was: a hinge loss passes through zero."""
RUNAWAY = 100.0
"""Times the loss at the first turn: fresh networks are as bad as guessing, and nothing a hundred times worse recovers.
Training stops there."""
LEAST_RUNAWAY = 10.0
"""A mean loss below this has not run away, however small it began: a generator that starts from its input has nothing
to undo at first, and a Wasserstein critic's values drift by ones."""
LEAST_START = 0.01

SATURATED_LOSS = 0.01
"""Of a discriminator. Least squares with the usual weight of a half: logits within 0.1 of their targets. Vanilla and
hinge: every sample told apart with near certainty."""
SATURATED_TURNS = 500
PENALTIES = ("r1", "gradient_penalty")
"""Losses of a discriminator that may well be zero: they keep its slope in bounds."""

VANISHED_SHARE = 1e-4
"""Of the highest average of the gradient's norm. Converging lowers the norm by ten to a hundred."""
VANISHED_NORM = 1e-10
"""Whatever it was before: below what Adam's epsilon of 1e-8 lets through."""
VANISHED_LOSS = 1e-3
"""A gradient may be tiny where the loss is."""
VANISHED_TURNS = 200

CLEARED_TURNS = 100


@dataclass
class Average:
    """A moving average: a plain mean at first, so that one early value does not stand for all."""

    seen: int = 0
    value: float = 0.0
    first: float = 0.0

    def follow(self, value: float) -> None:
        """Take in a value, at least 0."""
        self.first = value if not self.seen else self.first
        clipped = min(value, max(CLIPPED * self.value + self.first, LEAST_START)) if self.seen else value
        self.seen += 1
        self.value += max(1.0 - SMOOTHING, 1.0 / self.seen) * (clipped - self.value)


@dataclass
class Trend:
    """A group's loss and gradient over time.

    Args:
        loss: Of the sum of its losses, whatever its sign.
        height: Of that sum as far as it speaks of divergence.
        gradient: Of the gradient's norm.
        parts: Of each loss, for discriminators.
        distances: Losses of discriminators that were below zero once: a Wasserstein critic's, to which zero means that
            it tells nothing apart.
        early: Average height at the end of the warm-up.
        lowest: Lowest average height since.
        highest: Highest average norm so far.
        highest_share: Highest average norm divided by the average loss so far.
        bells: By kind and part.
    """

    loss: Average = field(default_factory=Average)
    height: Average = field(default_factory=Average)
    gradient: Average = field(default_factory=Average)
    parts: dict[str, Average] = field(default_factory=dict)
    distances: list[str] = field(default_factory=list)
    early: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0
    highest_share: float = 0.0
    bells: dict[str, Bell] = field(default_factory=dict)

    def bell(self, name: str) -> Bell:
        """The bell of that name."""
        return self.bells.setdefault(name, Bell())


def not_finite(step: int, group: str, numbers: Mapping[str, float]) -> Alarm | None:
    """The alarm for losses or a gradient that are NaN or infinite."""
    wrong = {name: value for name, value in numbers.items() if not math.isfinite(value)}
    if not wrong:
        return None
    told = ", ".join(f"{name} is {value}" for name, value in wrong.items())
    return Alarm(step, "not finite", f"{group}: {told}", fatal=True, since=step)


def look_at(
    trend: Trend, step: int, group: str, *, losses: Mapping[str, float], gradient_norm: float
) -> Iterator[Alarm]:
    """Take in one turn's finite numbers and yield what they raise.

    Args:
        trend: The group's; changed.
        step: Steps done with this turn's.
        group: Whose turn it was.
        losses: Weighted losses by name.
        gradient_norm: Euclidean norm of the group's gradient.
    """
    discriminator = group.startswith("discriminator")
    loss = sum(losses.values())
    # A Wasserstein critic's loss is minus the distance it sees, which may grow without anything being wrong.
    _follow(trend, loss, height=max(loss, 0.0) if discriminator else abs(loss), gradient_norm=gradient_norm)
    yield from _divergence(trend, step, group)
    yield from _vanishing(trend, step, group, gradient_norm)
    if discriminator:
        for name, value in losses.items():
            if name.startswith(PENALTIES):
                continue
            trend.parts.setdefault(name, Average()).follow(abs(value))
            if value < 0 and name not in trend.distances:
                trend.distances.append(name)
            if name not in trend.distances:
                yield from _saturation(trend, step, group, name)


def _follow(trend: Trend, loss: float, *, height: float, gradient_norm: float) -> None:
    trend.loss.follow(abs(loss))
    trend.height.follow(height)
    trend.gradient.follow(gradient_norm)
    level = trend.height.value
    if trend.height.seen == WARM_UP:
        trend.early = trend.lowest = level
    trend.lowest = min(trend.lowest, level)
    trend.highest = max(trend.highest, trend.gradient.value)
    trend.highest_share = max(trend.highest_share, _share(trend))


def _divergence(trend: Trend, step: int, group: str) -> Iterator[Alarm]:
    if trend.height.seen < WARM_UP:
        return
    level, start = trend.height.value, max(trend.height.first, LEAST_START)
    # Above the early level too: a critic that falls to almost nothing and recovers has not diverged.
    present = level > GROWTH * trend.lowest and level > max(trend.early, LEAST_DIVERGED)
    told = f"{group}: mean loss {level:.3g} was {trend.lowest:.3g} at its lowest"
    yield from _ring(trend, "divergence", step, told, present=present)
    runs_away = level > max(RUNAWAY * start, LEAST_RUNAWAY)
    told = f"{group}: mean loss {level:.3g} is over {RUNAWAY:.0f} times the {trend.height.first:.3g} it began with"
    since = trend.bell("divergence").since if present else 0
    for alarm in _ring(trend, "divergence", step, told, present=runs_away, name="runaway"):
        yield alarm._replace(fatal=True, since=since or step - trend.height.seen)


def _vanishing(trend: Trend, step: int, group: str, norm: float) -> Iterator[Alarm]:
    # The norm of this turn: an average would remember a first, huge gradient for hundreds of turns.
    level = trend.loss.value
    share = norm / level if level else 0.0
    tiny = norm < VANISHED_SHARE * trend.highest and share < VANISHED_SHARE * trend.highest_share
    present = (tiny or norm < VANISHED_NORM) and level > VANISHED_LOSS
    told = (
        f"{group}: gradient norm {norm:.2g}, next to nothing for {VANISHED_TURNS} turns, was {trend.highest:.2g} on "
        f"average at its highest; the mean loss is {level:.3g}"
    )
    yield from _ring(trend, "vanishing gradient", step, told, present=present, after=VANISHED_TURNS)


def _saturation(trend: Trend, step: int, group: str, name: str) -> Iterator[Alarm]:
    level = trend.parts[name].value
    told = f"{group}: mean loss {name} {level:.2g}, under {SATURATED_LOSS} for {SATURATED_TURNS} turns"
    present = level < SATURATED_LOSS
    yield from _ring(trend, "saturation", step, told, present=present, after=SATURATED_TURNS, name=f"saturation/{name}")


def _ring(
    trend: Trend, kind: Kind, step: int, told: str, *, present: bool, after: int = 1, name: str = ""
) -> Iterator[Alarm]:
    bell = trend.bell(name or kind)
    if bell.rings(step, present=present, after=after, clears=CLEARED_TURNS):
        yield Alarm(step, kind, told, since=bell.since)


def _share(trend: Trend) -> float:
    return trend.gradient.value / trend.loss.value if trend.loss.value else 0.0
