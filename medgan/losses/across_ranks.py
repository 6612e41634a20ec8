"""Sums over all processes that train together, with their gradient: for losses that are no mean over the samples.

The loop averages gradients over the ranks, which is right for a mean over a batch. What looks across the batch (Dice
over all pixels, a mean over those that count, batch statistics) has to see the other ranks' share. A rank that trains
alone computes what it would without this.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over the ranks; every rank calls it with the same shape.

    The gradient is that of the ranks' losses together, so that its average over the ranks is that of their mean.
    """
    return _Sum.apply(value) if trains_together() else value


def mean_over_ranks(mean: Tensor, count: Tensor) -> Tensor:
    """A mean over what counts on this rank, scaled so that the ranks' average is the mean over what counts on all.

    Args:
        mean: Scalar, 0 where nothing counts here.
        count: How much of it, a scalar without gradient: pixels, or the sum of weights.
    """
    if not trains_together():
        return mean
    total = count.detach().float().clone()  # all_reduce works in place
    dist.all_reduce(total)
    return mean * (count * dist.get_world_size() / total.clamp(min=1e-12))


def trains_together() -> bool:
    """Whether this process is one of several that have joined."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:  # noqa: ARG004
        total = value.detach().clone().contiguous()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        total = gradients[0].clone().contiguous()
        dist.all_reduce(total)
        return total
