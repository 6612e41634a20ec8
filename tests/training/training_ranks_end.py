"""Run by test_training_ranks_end.py, once per rank: a training that one rank's trouble ends.

Usage: training_ranks_end.py FOLDER TROUBLE, where TROUBLE is "none", "collapse", or "hangs:RANK:WHERE".
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from training_misbehaving import Fitted, draw_unpaired, settings

from medgan.errors import MedganError
from medgan.training.learner import Batch, Turn
from medgan.training.loop import train
from medgan.training.parallel import joined, rank

TIMEOUT_S = 8.0
"""Long enough for a busy machine to do a step, once both ranks have started."""
STEPS = 16
COLLAPSES_AT = 6
HANGS_AT = 3


class Troubled(Fitted):
    """Does well until its trouble comes."""

    def __init__(self, trouble: str) -> None:
        super().__init__(torch.neg)
        self.trouble = trouble

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        if self.step == HANGS_AT:
            self._hang("step")
        yield from super().training_step(batch)

    def extra_tensors(self) -> dict[str, Tensor]:
        if self.step == HANGS_AT:
            self._hang("checkpoint")
        return super().extra_tensors()

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        if self.step == HANGS_AT:
            self._hang("preview")
        if self.trouble == "collapse" and self.step + 1 >= COLLAPSES_AT:
            return {"real_a": batch["a"], "fake_b": torch.zeros_like(batch["a"]), "real_b": batch["b"]}
        return super().preview(batch)

    def _hang(self, where: str) -> None:
        if self.trouble == f"hangs:{rank()}:{where}":
            os.kill(os.getpid(), signal.SIGSTOP)


def wait_for_both(folder: Path) -> None:
    """Meet in files first: importing torch may take longer than the ranks' patience."""
    folder.mkdir(parents=True, exist_ok=True)
    run = os.environ["MASTER_PORT"]
    (folder / f"started.{run}.{os.environ['RANK']}").touch()
    while len(list(folder.glob(f"started.{run}.*"))) < 2:
        time.sleep(0.05)


def main(folder: Path, trouble: str) -> None:
    wanted = settings(
        total_steps=STEPS,
        preview_every=2,
        checkpoint_every_steps=1,
        keep_checkpoints=2 * STEPS,
        ranks_timeout_s=TIMEOUT_S,
    )
    wait_for_both(folder)
    try:
        with joined(torch.device("cpu"), timeout_s=TIMEOUT_S):
            train(Troubled(trouble), draw_unpaired, run=folder, settings=wanted)
    except MedganError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
