"""What is seen of training: mean losses and alarms, into the log."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medgan.errors import TrainingError
from medgan.training.checkpoint import find_checkpoint
from medgan.training.log import Means, RunLog
from medgan.training.watch import Alarm, Watch

_logger = logging.getLogger(__name__)
_NORM = "gradient_norm"
_FATAL: Mapping[str, tuple[str, str]] = {
    "not finite": ("T001", "lower the learning rate, set precision: fp32 or look at the samples of that step"),
    "divergence": ("T006", "lower the learning rate or the weight of the loss that grows, and start anew"),
    "collapse": ("T007", "look at the previews; lower the learning rate or strengthen the cycle or identity loss"),
}
"""Error code and remedy of each kind of alarm that can stop a run."""


class Monitor:
    """Gathers every turn's numbers and writes the log; on ranks other than 0 it only watches.

    Args:
        run: The run's directory.
        log: Where lines go; None on other ranks.
        on_alarm: Told of every alarm at once.
    """

    def __init__(self, run: Path, *, log: RunLog | None, on_alarm: Callable[[Alarm], None] | None = None) -> None:
        self.alarms: list[Alarm] = []
        self._run, self._log, self._on_alarm = run, log, on_alarm
        self._means, self._watch = Means(), Watch()
        self._pending: list[tuple[int, str, tuple[str, ...], Tensor]] = []
        self._images = 0
        self._since = self._began = time.monotonic()

    def turn(self, step: int, group: str, *, losses: Mapping[str, Tensor], gradient_norm: Tensor) -> None:
        """Take in one turn's numbers, left on their device until :meth:`inspect`."""
        values = torch.stack([*losses.values(), gradient_norm])
        self._pending.append((step, group, (*losses, _NORM), values))

    def images(self, count: int) -> None:
        """Count images seen."""
        self._images += count

    def inspect(self) -> None:
        """Look at the turns since the last time.

        Raises:
            TrainingError: T001, if a loss or a gradient is not finite; T006, if a loss grows without bound.
        """
        for step, group, names, values in self._pending:
            numbers = dict(zip(names, values.tolist(), strict=True))
            losses = {name: value for name, value in numbers.items() if name != _NORM}
            self._raise(self._watch.turn(step, group, losses=losses, gradient_norm=numbers[_NORM]))
            self._means.add(group, numbers)
        self._pending.clear()

    def write_means(self, step: int, *, learning_rate: Mapping[str, float]) -> None:
        """Write the means since the last line."""
        now = time.monotonic()
        speed = {"images_per_s": self._images / max(now - self._since, 1e-9), "seconds": now - self._began}
        self._since, self._images = now, 0
        self._write(step, {"means": self._means.take(), "learning_rate": learning_rate, **speed})

    def parts(self, step: int, parts: int) -> None:
        """Write that each batch goes through in parts from a step on, for want of memory."""
        self._write(step, {"batch_parts": parts})
        _logger.warning(
            "from step %d on, each batch goes through in %d parts: there was too little memory", step, parts
        )

    def score(self, step: int, score: float) -> None:
        """Write a validation score; one that is undefined is null."""
        self._write(step, {"score": score if math.isfinite(score) else None})

    def best_was_gone(self, step: int) -> None:
        """Say that the best checkpoint was set aside, and which one stands in for it."""
        self._write(step, {"best_was_gone": True})
        _logger.warning("the best checkpoint is gone: that of step %d stands in for it until one scores higher", step)

    def pictures(
        self, step: int, pictures: Mapping[str, Tensor], *, real: Mapping[str, Tensor], paired: bool
    ) -> Alarm | None:
        """Look at a preview.

        Returns:
            A fatal alarm, which :meth:`stop` is called with once every rank knows of it.
        """
        return self._tell(self._watch.pictures(step, pictures, real=real, paired=paired))

    def stop(self, alarm: Alarm) -> None:
        """End the run for an alarm.

        Raises:
            TrainingError: T001, T006 or T007.
        """
        code, remedy = _FATAL[alarm.kind]
        good = find_checkpoint(self._run, before=alarm.since)
        raise TrainingError(
            code,
            f"step {alarm.step}: {alarm.reason}",
            where=str(self._run),
            remedy=f"the last good checkpoint is {good.name if good else 'none'}; {remedy}",
        )

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON values."""
        return {"means": self._means.state(), "watch": self._watch.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self._means = Means(state["means"])
        self._watch.load(state["watch"])

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def _write(self, step: int, entry: Mapping[str, Any]) -> None:
        if self._log is not None:
            self._log.write(step, entry)

    def _raise(self, alarms: list[Alarm]) -> None:
        fatal = self._tell(alarms)
        if fatal is not None:
            self.stop(fatal)

    def _tell(self, alarms: list[Alarm]) -> Alarm | None:
        """Log alarms, and give back the one that ends the run, if any."""
        self.alarms += alarms
        for alarm in alarms:
            if alarm.fatal:
                # What led to it, for those who look at the losses afterwards.
                self._write(alarm.step, {"means": self._means.take()})
            self._write(alarm.step, {"alarm": alarm.kind, "reason": alarm.reason, "fatal": alarm.fatal})
            _logger.warning("step %d: %s: %s", alarm.step, alarm.kind, alarm.reason)
            if self._on_alarm is not None:
                self._on_alarm(alarm)
            if alarm.fatal:
                return alarm
        return None
