"""Several processes that train one learner: averages taken by hand, no wrapper round the networks."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the other processes where ``torchrun`` started several; leave them at the end.

    Nothing to do where there is one process or they have joined already.
    """
    if _together() or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process among those that train together; 0 where it is alone."""
    return dist.get_rank() if _together() else 0


def ranks() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _together() else 1


def barrier() -> None:
    """Wait for the others."""
    if _together():
        dist.barrier()


@torch.no_grad()
def share_state(module: nn.Module) -> None:
    """Give every rank the parameters and buffers of rank 0."""
    if _together():
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def anyone(claim: bool, device: torch.device) -> bool:  # noqa: FBT001
    """Whether the claim is true on any rank; the same answer on all."""
    if not _together():
        return claim
    flag = torch.tensor([int(claim)], device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())


@torch.no_grad()
def average_over_ranks(parameters: Sequence[nn.Parameter], values: Tensor) -> Tensor:
    """Average the gradients over the ranks in place, and some values with them.

    A parameter without a gradient on every rank keeps none, as on one rank; one that has it on some ranks counts as
    zero on the others.

    Args:
        parameters: Whose gradients are averaged; the same order on every rank.
        values: Scalars to average too, shape (K,).

    Returns:
        The averaged values, shape (K,).
    """
    if not _together():
        return values
    has = torch.tensor([float(p.grad is not None) for p in parameters], device=values.device)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([*(gradient.reshape(-1).float() for gradient in gradients), has, values.float()])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    pieces = flat.split([*(p.numel() for p in parameters), len(parameters), len(values)])
    for parameter, piece, present in zip(parameters, pieces, pieces[-2].tolist(), strict=False):
        if present:
            parameter.grad = piece.view_as(parameter).to(parameter.dtype).clone()
    return pieces[-1]


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()
