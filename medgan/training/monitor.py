"""What is seen of training: mean losses and alarms, into the log."""

import logging
import math
import time
from collections.abc import Mapping
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


class Monitor:
    """Gathers every turn's numbers and writes the log; on ranks other than 0 it only watches.

    Args:
        run: The run's directory.
        log: Where lines go; None on other ranks.
    """

    def __init__(self, run: Path, *, log: RunLog | None) -> None:
        self.alarms: list[Alarm] = []
        self._run, self._log = run, log
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
            TrainingError: T001, if a loss or a gradient is not finite.
        """
        for step, group, names, values in self._pending:
            losses = dict(zip(names, values.tolist(), strict=True))
            self._means.add(group, losses)
            norm = losses.pop(_NORM)
            self._raise(self._watch.turn(step, group, losses=losses, gradient_norm=norm))
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

    def pictures(self, step: int, pictures: Mapping[str, Tensor], *, real: Mapping[str, Tensor]) -> None:
        """Look at a preview."""
        self._raise(self._watch.pictures(step, pictures, real=real))

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
        self.alarms += alarms
        for alarm in alarms:
            self._write(alarm.step, {"alarm": alarm.kind, "reason": alarm.reason, "fatal": alarm.fatal})
            _logger.warning("step %d: %s: %s", alarm.step, alarm.kind, alarm.reason)
            if alarm.fatal:
                good = find_checkpoint(self._run)
                raise TrainingError(
                    "T001",
                    f"step {alarm.step}: {alarm.reason}",
                    where=str(self._run),
                    remedy=f"the last good checkpoint is {good.name if good else 'none'}; "
                    "lower the learning rate, set precision: fp32 or look at the samples of that step",
                )
