"""Row 58: training that goes wrong by itself."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bad_inputs.trial import bad_input
from medgan.methods.pix2pix import Pix2Pix, Pix2PixRecipe
from medgan.settings.loop import LoopSettings
from medgan.training.loop import train
from medgan.training.translator import SampleShape

RUN = LoopSettings(
    total_steps=300, device="cpu", precision="fp32", threads=1, log_every=20, checkpoint_every_steps=4, preview_every=2
)


def _learner(**recipe: Any) -> Pix2Pix:
    torch.manual_seed(0)
    tiny = Pix2PixRecipe.tiny().model_copy(update={"total_steps": 300, **recipe})
    return Pix2Pix(tiny, shape=SampleShape(1, 1, 32))


def _draw(number: int) -> dict[str, Tensor]:
    noise = torch.rand((2, 1, 6, 6), generator=torch.Generator().manual_seed(number))
    a = functional.interpolate(noise, size=32, mode="bicubic").clamp(0, 1) * 1.6 - 0.9
    return {"a": a, "b": (0.7 * a + 0.25).clamp(-1, 1)}


@bad_input(58, gives="T001")
def not_finite(folder: Path) -> None:
    """A loss that becomes NaN after six steps."""

    def draw(number: int) -> dict[str, Tensor]:
        batch = _draw(number)
        return {**batch, "b": batch["b"] * float("nan")} if number == 6 else batch

    train(_learner(), draw, run=folder, settings=RUN)


@bad_input(58, gives="T006")
def diverging(folder: Path) -> None:
    """A learning rate of 100."""
    learner = _learner(learning_rate=100.0, adversarial="least-squares")
    train(learner, _draw, run=folder, settings=RUN.model_copy(update={"preview_every": None}))


@bad_input(58, gives="T007")
def collapsed(folder: Path) -> None:
    """A generator that gives the same picture whatever it is shown."""
    learner = _learner(learning_rate=1e-12)
    last = [module for module in learner.g_ab.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    train(learner, _draw, run=folder, settings=RUN)
