"""Watches a run: every turn's losses and gradients, and every preview; see docs/training.md for what to do."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from medgan.training.alarms import pictures as looks
from medgan.training.alarms.alarm import Alarm, Bell
from medgan.training.alarms.numbers import Average, Trend, look_at, not_finite

__all__ = ["Alarm", "Watch"]

COLLAPSED_PREVIEWS = 5
"""Previews in a row without variety after which training stops: none of the steps between brought it back."""
CONFIRMED = 2
"""Previews in a row that must show any other sign."""
CLEARED_PREVIEWS = 2


class Watch:
    """Looks at every turn's losses and at the previews; each alarm is raised once until its cause is gone.

    - *not finite*: a loss or a gradient is NaN or infinite. Fatal.
    - *divergence*: a group's mean loss is ten times its lowest and above its early level; fatal at a hundred times
      what it began with.
    - *saturation*: a discriminator's mean loss stays near zero: it no longer tells the generator anything.
      A loss that was negative once is a Wasserstein critic's distance, to which zero means the contrary.
    - *vanishing gradient*: a group's mean gradient is next to nothing and its loss is not.
    - *collapse*: the translated pictures hardly differ from each other. Fatal where it lasts.
    - *inversion*: bright has become dark.
    - *unchanged*: the output is the input, and the domains differ.
    - *checkerboard*: the output repeats itself every two or four pixels, and real images do not.
    """

    def __init__(self) -> None:
        self._trends: dict[str, Trend] = {}
        self._bells: dict[str, Bell] = {}

    def turn(self, step: int, group: str, *, losses: Mapping[str, float], gradient_norm: float) -> list[Alarm]:
        """Look at one turn.

        Args:
            step: Steps done with this turn's.
            group: Whose turn it was.
            losses: Weighted losses by name.
            gradient_norm: Euclidean norm of the group's gradient.
        """
        alarm = not_finite(step, group, {**losses, "gradient": gradient_norm})
        if alarm is not None:
            return [alarm]
        trend = self._trends.setdefault(group, Trend())
        return list(look_at(trend, step, group, losses=losses, gradient_norm=gradient_norm))

    def pictures(
        self, step: int, pictures: Mapping[str, Tensor], *, real: Mapping[str, Tensor], paired: bool = False
    ) -> list[Alarm]:
        """Look at a preview.

        Args:
            step: Steps done.
            pictures: The learner's preview, each (N, C, H, W) in [-1, 1]; ``fake_a``, ``fake_b``, ... are judged.
            real: The samples they were made from, ``a``, ``b``, ..., each (N, C, H, W) in [-1, 1].
            paired: Whether ``a`` and ``b`` show the same thing, pixel by pixel.
        """
        found = [
            finding
            for one in looks.translations(pictures, real=real, paired=paired)
            for finding in looks.findings(one)
            if finding.kind == "collapse" or step >= looks.SETTLED_STEPS
        ]
        alarms = [alarm for finding in found for alarm in self._heard(step, finding)]
        return sorted(alarms, key=lambda alarm: alarm.fatal)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON values."""
        return {
            "trends": {group: asdict(trend) for group, trend in self._trends.items()},
            "bells": {name: asdict(bell) for name, bell in self._bells.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave; after what an earlier version left, watching begins anew."""
        if "bells" in state:
            self._trends = {group: _trend(entry) for group, entry in state["trends"].items()}
            self._bells = {name: Bell(**entry) for name, entry in state["bells"].items()}

    def _heard(self, step: int, finding: looks.Finding) -> list[Alarm]:
        after = 1 if finding.kind == "collapse" else CONFIRMED
        alarms = []
        for name, looks_needed in (("", after), ("/lasting", COLLAPSED_PREVIEWS)):
            if name and finding.kind != "collapse":
                continue
            bell = self._bells.setdefault(f"{finding.kind}/{finding.name}{name}", Bell())
            if bell.rings(step, present=finding.present, after=looks_needed, clears=CLEARED_PREVIEWS):
                told = f"{finding.reason}, in {looks_needed} previews in a row" if name else finding.reason
                alarms.append(Alarm(step, finding.kind, told, fatal=bool(name), since=bell.since))
        return alarms


def _trend(entry: Mapping[str, Any]) -> Trend:
    averages = {name: Average(**entry.get(name, entry["loss"])) for name in ("loss", "height", "gradient")}
    parts = {name: Average(**part) for name, part in entry["parts"].items()}
    bells = {name: Bell(**bell) for name, bell in entry["bells"].items()}
    return Trend(**{**entry, **averages, "parts": parts, "bells": bells})
