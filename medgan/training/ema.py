"""A moving average of some of a learner's networks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from medgan.training.learner import Learner


class Ema:
    """Averages the learner's ``ema_networks`` after every step.

    The decay warms up as min(decay, (1 + t) / (10 + t)), so that the random start is soon forgotten. Floating
    parameters and buffers are averaged in their own precision; integer buffers are copied.

    Args:
        learner: Whose networks are averaged, on its final device.
        decay: Weight of the past in (0, 1).
    """

    def __init__(self, learner: Learner, *, decay: float) -> None:
        self.decay = decay
        self._live = _tensors(learner)
        self.tensors = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        weight = 1.0 - min(self.decay, (1 + step) / (10 + step))
        floating = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.tensors[n] for n in floating], [self._live[n] for n in floating], weight)
        for name, tensor in self.tensors.items():
            if not tensor.is_floating_point():
                tensor.copy_(self._live[name])

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back averages saved earlier, by the learner's state names."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the learner hold the averages for a while, as translation will."""
        kept = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        _fill(self._live, self.tensors)
        try:
            yield
        finally:
            _fill(self._live, kept)


@torch.no_grad()
def _fill(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, tensor in into.items():
        tensor.copy_(values[name])


def _tensors(learner: Learner) -> dict[str, Tensor]:
    # Tensors of a state dict share memory with the parameters, which optimizers change in place.
    return {
        f"{network}.{name}": tensor
        for network in learner.ema_networks
        for name, tensor in learner.get_submodule(network).state_dict().items()
    }
