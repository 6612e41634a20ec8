"""Run by test_training_parallel.py, once per rank."""

import sys
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save_file
from torch import nn

from medgan.training.learner import Learner, OptimizerSettings, Turn
from medgan.training.loop import LoopSettings, train
from medgan.training.parallel import average_over_ranks, joined, rank, ranks


class Linear(Learner):
    """Least squares, counting its steps in an extra tensor of the rank's own."""

    groups: ClassVar = {"all": ("net",)}

    def __init__(self) -> None:
        super().__init__()
        # Other weights on each rank: the loop has to share those of rank 0.
        torch.manual_seed(rank())
        self.net = nn.Linear(3, 1)
        self.seen = torch.tensor([rank(), 0])

    def optimizer(self, group: str) -> OptimizerSettings:
        return OptimizerSettings(learning_rate=0.05, betas=(0.9, 0.99))

    def training_step(self, batch):
        self.seen = self.seen + torch.tensor([0, 1])
        yield Turn("all", {"squares": (self.net(batch["x"]) - batch["y"]).square().mean()})

    def extra_tensors(self):
        return {"rank": self.seen}

    def load_extra_tensors(self, tensors):
        self.seen = tensors["rank"]


def draw(number: int) -> dict[str, torch.Tensor]:
    if ranks() == 1:
        # One rank sees what two see together.
        halves = [_half(2 * number), _half(2 * number + 1)]
        return {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
    return _half(number)


def _half(number: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(4, 3, generator=generator)
    return {"x": x, "y": x.sum(dim=1, keepdim=True)}


def main(folder: Path) -> None:
    settings = LoopSettings(total_steps=4, device="cpu", precision="fp32", preview_every=None, log_every=1)
    with joined(torch.device("cpu")):
        learner = Linear()
        train(learner, draw, run=folder / "run", settings=settings)
        resumed = Linear()
        train(resumed, draw, run=folder / "run", settings=settings)
        # Gradients on one rank and on none.
        both, one, none = (nn.Parameter(torch.zeros(1)) for _ in range(3))
        both.grad = torch.tensor([float(rank())]) if ranks() == 2 else torch.tensor([0.5])
        one.grad = torch.tensor([2.0]) if rank() == 0 and ranks() == 2 else None
        if ranks() == 1:
            one.grad = torch.tensor([1.0])
        mean = average_over_ranks([both, one, none], torch.tensor([2.0 * rank()]))
        end = {name: tensor.clone() for name, tensor in resumed.state_dict().items()}
        end["gradient"] = torch.cat([both.grad, one.grad])
        if none.grad is not None:
            end["absent"] = none.grad
        if ranks() == 2:
            assert mean.tolist() == [1.0]
            end_of_rank = {**end, "resumed_extra": resumed.seen}
        else:
            end_of_rank = end
        save_file(end_of_rank, folder / f"end_{rank()}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
