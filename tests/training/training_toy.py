"""A small adversarial learner with all that makes resuming hard: dropout, a pool, averages, buffers."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from medgan.training.learner import Batch, Learner, OptimizerSettings, Turn


class Toy(Learner):
    """Generator and discriminator of single pixels, with dropout, batch norm and a pool."""

    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {"generator": ("g",), "discriminator": ("d",)}
    ema_networks: ClassVar[tuple[str, ...]] = ("g",)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.g = nn.Sequential(
            nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Tanh(), nn.Conv2d(4, 1, 1), nn.Tanh()
        )
        self.d = nn.Sequential(nn.Conv2d(1, 4, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 1))
        self.pool: list[Tensor] = []

    def optimizer(self, group: str) -> OptimizerSettings:
        return OptimizerSettings(learning_rate=1e-2)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        fake = self.g(batch["a"])
        yield Turn(
            "generator",
            {"adversarial": (self.d(fake) - 1).square().mean(), "identity": (fake - batch["a"]).abs().mean()},
        )
        old = self._from_pool(fake.detach().float())
        yield Turn(
            "discriminator", {"adversarial": self.d(old).square().mean() + (self.d(batch["b"]) - 1).square().mean()}
        )

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        return {"real_a": batch["a"], "fake_b": self.g(batch["a"])}

    def extra_tensors(self) -> dict[str, Tensor]:
        return {"pool": torch.stack(self.pool)} if self.pool else {}

    def load_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        self.pool = list(tensors["pool"]) if "pool" in tensors else []

    def _from_pool(self, fake: Tensor) -> Tensor:
        if len(self.pool) < 3:
            self.pool.append(fake)
            return fake
        place = int(torch.randint(3, ()))
        old, self.pool[place] = self.pool[place], fake
        return old


def draw_toy(number: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(number)
    return {name: torch.rand((2, 1, 4, 4), generator=generator) * 2 - 1 for name in "ab"}
