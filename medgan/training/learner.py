"""What the loop trains: a learner with named groups of networks and turns at the optimizers."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from medgan.errors import TrainingError

Batch = Mapping[str, Tensor]
OptimizerName = Literal["adam", "sgd", "rmsprop"]


class Turn(NamedTuple):
    """One optimizer's share of a step.

    Args:
        group: Whose parameters are stepped.
        losses: Weighted scalars; their sum is backed.
    """

    group: str
    losses: dict[str, Tensor]


class OptimizerSettings(NamedTuple):
    """One group's optimizer and its schedule.

    Args:
        learning_rate: Rate at the start.
        betas: Adam's decay rates; for gradient descent the first is its momentum.
        weight_decay: Added to the gradient, as in Adam (not AdamW).
        decay_from: Share of the steps after which the rate falls linearly to zero; 1 keeps it constant.
        name: ``"adam"``; ``"sgd"`` for plain gradient descent with momentum; ``"rmsprop"``, without momentum, which
            averages squares by the second of the betas.
        halve_every: Steps after which the rate is halved, again and again, besides; None never.
        tenth_from: Share of the steps after which the rate is a tenth besides; 1 never.
    """

    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0
    decay_from: float = 0.5
    name: OptimizerName = "adam"
    halve_every: int | None = None
    tenth_from: float = 1.0


class Learner(nn.Module):
    """A model that says how a step goes; optimizer, device and rank are the loop's.

    ``groups`` maps a group to the attribute names of its networks. ``turns`` is the order in which a step's turns
    come; by default each group once. The loop freezes every other group before it asks for the next turn, so that no
    gradient is computed that no one needs. ``channels_last`` says whether its networks gain from that layout where
    the hardware does. ``averages_over_samples`` says that every loss is a mean over the batch's samples, none of which
    sees another, so that the batch may go through in parts. ``step`` is the number of steps done before this one; the
    loop sets it.
    """

    step: int = 0

    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    ema_networks: ClassVar[tuple[str, ...]] = ()
    channels_last: ClassVar[bool] = False
    averages_over_samples: bool = False

    @property
    def turns(self) -> tuple[str, ...]:
        """Groups in the order of their turns within a step."""
        return tuple(self.groups)

    def optimizer(self, group: str) -> OptimizerSettings:
        """Settings of a group's optimizer."""
        raise KeyError(group)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """Yield one :class:`Turn` per entry of :attr:`turns`.

        Args:
            batch: Tensors by name, each (N, C, H, W) in [-1, 1], or labels.
        """
        yield from ()

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures worth looking at, each (N, C, H, W) in [-1, 1], without gradient."""
        return {}

    def extra_tensors(self) -> dict[str, Tensor]:
        """State beyond parameters and buffers that a resumed run needs, such as image pools."""
        return {}

    def load_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`extra_tensors` gave."""

    def parameters_of(self, group: str) -> list[nn.Parameter]:
        """Parameters that a group's optimizer steps."""
        return [p for name in self.groups[group] for p in self.get_submodule(name).parameters()]


@torch.no_grad()
def freeze_all_but(learner: Learner, group: str) -> None:
    """Let only one group's parameters take gradients."""
    for name in learner.groups:
        for parameter in learner.parameters_of(name):
            parameter.requires_grad_(name == group)


def expected_turn(turn: Turn | None, group: str) -> Turn:
    """The turn, if it is one of the group that comes next and has losses.

    Raises:
        TrainingError: T002.
    """
    if turn is None or turn.group != group or not turn.losses:
        raise TrainingError(
            "T002",
            "the learner's turns are not those it announces",
            got="no more turns" if turn is None else f"a turn of {turn.group!r} with {len(turn.losses)} losses",
            expected=f"a turn of {group!r}",
            remedy="let training_step yield one turn with losses per entry of turns, in that order",
        )
    return turn


def expected_end(turn: Turn | None) -> None:
    """Refuse a turn where the step must be over.

    Raises:
        TrainingError: T002.
    """
    if turn is not None:
        raise TrainingError(
            "T002",
            "the learner has more turns than it announces",
            got=f"a turn of {turn.group!r}",
            expected="the end of the step",
            remedy="name every turn in turns",
        )
