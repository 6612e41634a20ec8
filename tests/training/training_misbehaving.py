"""Small CycleGANs, pix2pixes and toys that train in seconds, and what makes them misbehave."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from medgan.methods.cyclegan import CycleGAN
from medgan.methods.pix2pix import Pix2Pix
from medgan.training.learner import Batch, Learner, OptimizerSettings, Turn
from medgan.training.loop import LoopSettings
from medgan.training.translator import SampleShape

SIZE_PX = 32


def shapes(seed: int, count: int) -> Tensor:
    """Smooth blobs on a dark ground, (count, 1, 32, 32) in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((count, 1, 6, 6), generator=generator)
    ground = functional.interpolate(noise, size=SIZE_PX, mode="bicubic").clamp(0, 1)
    return ground * 1.6 - 0.9


def draw_unpaired(number: int) -> dict[str, Tensor]:
    """Two domains: b is brighter and has fine stripes."""
    return {"a": shapes(2 * number, 2), "b": as_b(shapes(2 * number + 1, 2))}


def draw_paired(number: int) -> dict[str, Tensor]:
    """The same with pairs."""
    a = shapes(number, 2)
    return {"a": a, "b": as_b(a)}


def as_b(a: Tensor) -> Tensor:
    """What domain b makes of a."""
    stripes = 0.1 * torch.sin(torch.arange(SIZE_PX) * 1.1)
    return (0.7 * a + 0.25 + stripes).clamp(-1, 1)


def cyclegan(**recipe: Any) -> CycleGAN:
    """A narrow CycleGAN."""
    torch.manual_seed(0)
    tiny = CycleGAN.recipe_type.tiny().model_copy(update={"total_steps": 300, **recipe})
    return CycleGAN(tiny, shape=SampleShape(1, 1, SIZE_PX))


def pix2pix(**recipe: Any) -> Pix2Pix:
    """A narrow pix2pix."""
    torch.manual_seed(0)
    tiny = Pix2Pix.recipe_type.tiny().model_copy(update={"total_steps": 300, **recipe})
    return Pix2Pix(tiny, shape=SampleShape(1, 1, SIZE_PX))


def settings(**changes: Any) -> LoopSettings:
    """A run of a few hundred steps with a preview at every fiftieth."""
    base: dict[str, Any] = {
        "total_steps": 300,
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "log_every": 20,
        "preview_every": 50,
        "checkpoint_every_steps": 50,
        "checkpoint_every_seconds": None,
    }
    return LoopSettings(**{**base, **changes})


class Fitted(Learner):
    """A generator that is fitted to what ``wanted`` makes of its input, beside a discriminator; no adversary."""

    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {"generator": ("g",), "discriminator": ("d",)}

    def __init__(self, wanted: Any) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.wanted = wanted
        self.g = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
        self.d = nn.Conv2d(1, 1, 3)

    def optimizer(self, group: str) -> OptimizerSettings:
        return OptimizerSettings(learning_rate=2e-2, decay_from=1.0)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        fake = self.g(batch["a"])
        yield Turn("generator", {"fit": (fake - self.wanted(batch["a"])).square().mean()})
        yield Turn("discriminator", {"adversarial": (self.d(batch["b"]) - 1).square().mean() + 0.5})

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        return {"real_a": batch["a"], "fake_b": self.g(batch["a"]).clamp(-1, 1), "real_b": batch["b"]}
