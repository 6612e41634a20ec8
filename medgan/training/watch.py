"""Alarms: signs that training has gone wrong, from its losses and its pictures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

_SMOOTHING = 0.98
_SATURATED_LOSS = 0.01
_SATURATED_STEPS = 500
_WARM_UP = 100
_GROWTH = 10.0
_COLLAPSED_SHARE = 0.02


class Alarm(NamedTuple):
    """A sign that something is wrong.

    Args:
        step: Steps done when it was raised.
        kind: ``"not finite"``, ``"saturation"``, ``"divergence"`` or ``"collapse"``.
        reason: What was seen, in one sentence.
        fatal: Whether training stops.
    """

    step: int
    kind: str
    reason: str
    fatal: bool = False


@dataclass
class _Trend:
    """A group's loss over time: its moving average, that at the end of the warm-up and the lowest since."""

    seen: int = 0
    average: float = 0.0
    early: float = 0.0
    lowest: float = math.inf
    saturated: int = 0
    raised: list[str] = field(default_factory=list)


class Watch:
    """Looks at every turn's losses and at the previews; each alarm is raised once until its cause is gone.

    - *not finite*: a loss or a gradient is NaN or infinite. Fatal.
    - *saturation*: the discriminator's moving average stays under 0.01 for 500 turns: it no longer tells the
      generator anything.
    - *divergence*: a group's moving average exceeds ten times its lowest and what it was after 100 turns.
    - *collapse*: the translated pictures differ from each other by less than 2 % of what the real ones do.
    """

    def __init__(self) -> None:
        self._trends: dict[str, _Trend] = {}
        self._collapsed: list[str] = []

    def turn(self, step: int, group: str, *, losses: Mapping[str, float], gradient_norm: float) -> list[Alarm]:
        """Look at one turn.

        Args:
            step: Steps done with this turn's.
            group: Whose turn it was.
            losses: Weighted losses by name.
            gradient_norm: Euclidean norm of the group's gradient.
        """
        wrong = {**losses, "gradient": gradient_norm}
        wrong = {name: value for name, value in wrong.items() if not math.isfinite(value)}
        if wrong:
            told = ", ".join(f"{name} is {value}" for name, value in wrong.items())
            return [Alarm(step, "not finite", f"{group}: {told}", fatal=True)]
        trend = self._trends.setdefault(group, _Trend())
        _follow(trend, abs(sum(losses.values())))
        alarms = [_saturation(step, group, trend), _divergence(step, group, trend)]
        return [alarm for alarm in alarms if alarm]

    def pictures(self, step: int, pictures: Mapping[str, Tensor], *, real: Mapping[str, Tensor]) -> list[Alarm]:
        """Look at a preview.

        Args:
            step: Steps done.
            pictures: The learner's preview, each (N, C, H, W) in [-1, 1]; those named ``fake...`` are judged.
            real: The samples they were made from, each (N, C, H, W) in [-1, 1].
        """
        spreads = [_spread(images) for images in real.values() if images.ndim == 4 and images.is_floating_point()]
        wanted = _COLLAPSED_SHARE * max(spreads, default=0.0)
        alarms = []
        for name, images in pictures.items():
            if not name.startswith("fake") or len(images) < 2:
                continue
            spread = _spread(images)
            if spread < wanted and name not in self._collapsed:
                reason = f"{name}: pictures of {len(images)} samples differ by {spread:.2g}, expected over {wanted:.2g}"
                alarms.append(Alarm(step, "collapse", reason))
            _mark(self._collapsed, name, present=spread < wanted)
        return alarms

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON values."""
        trends = {group: {**vars(t), "lowest": _finite(t.lowest)} for group, t in self._trends.items()}
        return {"trends": trends, "collapsed": list(self._collapsed)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self._collapsed = list(state["collapsed"])
        self._trends = {
            group: _Trend(**{**trend, "lowest": math.inf if trend["lowest"] is None else trend["lowest"]})
            for group, trend in state["trends"].items()
        }


def _follow(trend: _Trend, loss: float) -> None:
    trend.seen += 1
    # Weighted as a plain mean at first, so that one early step does not stand for all.
    weight = max(1.0 - _SMOOTHING, 1.0 / trend.seen)
    trend.average += weight * (loss - trend.average)
    if trend.seen == _WARM_UP:
        trend.early = trend.average
    if trend.seen >= _WARM_UP:
        trend.lowest = min(trend.lowest, trend.average)
    trend.saturated = trend.saturated + 1 if trend.average < _SATURATED_LOSS else 0


def _saturation(step: int, group: str, trend: _Trend) -> Alarm | None:
    if not group.startswith("discriminator"):
        return None
    present = trend.saturated >= _SATURATED_STEPS
    new = present and "saturation" not in trend.raised
    _mark(trend.raised, "saturation", present=present)
    reason = f"{group}: mean loss {trend.average:.2g}, under {_SATURATED_LOSS} for {trend.saturated} turns"
    return Alarm(step, "saturation", reason) if new else None


def _divergence(step: int, group: str, trend: _Trend) -> Alarm | None:
    if trend.seen < _WARM_UP:
        return None
    # Above the early level too: a critic that falls to almost nothing and recovers has not diverged.
    present = trend.average > _GROWTH * trend.lowest and trend.average > trend.early
    new = present and "divergence" not in trend.raised
    _mark(trend.raised, "divergence", present=present)
    reason = f"{group}: mean loss {trend.average:.3g} was {trend.lowest:.3g} at its lowest"
    return Alarm(step, "divergence", reason) if new else None


def _mark(names: list[str], name: str, *, present: bool) -> None:
    if present and name not in names:
        names.append(name)
    elif not present and name in names:
        names.remove(name)


def _spread(images: Tensor) -> float:
    """How much images (N, C, H, W) differ between samples: the standard deviation over N, averaged over pixels."""
    return float(images.detach().float().std(dim=0).mean()) if len(images) > 1 else 0.0


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
