"""Several processes that train one learner: averages taken by hand, no wrapper round the networks."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from medgan.settings.loop import RANKS_TIMEOUT_S
from medgan.training.lost_rank import lost_ranks_told, meet

Given = TypeVar("Given")


def started_together() -> int:
    """How many processes ``torchrun`` started with this one; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: torch.device, *, timeout_s: float = RANKS_TIMEOUT_S) -> Iterator[None]:
    """Join the other processes where ``torchrun`` started several; leave them at the end.

    Nothing to do where there is one process or they have joined already.

    Args:
        device: A GPU of its own for each rank, which then talk by NCCL, or the CPU, by gloo.
        timeout_s: Longest wait for another rank.

    Raises:
        RunError: J030, if another rank does not answer.
    """
    if _together() or started_together() == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(seconds=timeout_s))
    try:
        with lost_ranks_told(meet(), timeout_s=timeout_s):
            yield
    finally:
        dist.destroy_process_group()


def led(act: Callable[[], Given]) -> Given:
    """Let rank 0 act while the others wait; each gets what it gave, or raises what it raised.

    Args:
        act: Gives something that can be pickled.
    """
    if not _together():
        return act()
    told: list[object] = [None, None]
    if rank() == 0:
        try:
            told[0] = act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others must not wait for it
            told[1] = error
    dist.broadcast_object_list(told, src=0)
    if isinstance(told[1], Exception):
        raise told[1]
    return told[0]  # type: ignore[return-value]


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
    wide = torch.float64 if any(gradient.dtype == torch.float64 for gradient in gradients) else torch.float32
    flat = torch.cat([*(gradient.reshape(-1).to(wide) for gradient in gradients), has.to(wide), values.to(wide)])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    pieces = flat.split([*(p.numel() for p in parameters), len(parameters), len(values)])
    for parameter, piece, present in zip(parameters, pieces, pieces[-2].tolist(), strict=False):
        if present:
            # Laid out as the parameter is: the optimizer's fused step goes through memory, not by index.
            parameter.grad = torch.empty_like(parameter).copy_(piece.view_as(parameter))
    return pieces[-1]


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()
