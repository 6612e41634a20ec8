"""Memory that does not suffice: said with a remedy, or met by passing the batch through in parts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from medgan.errors import TrainingError
from medgan.training.learner import Learner
from medgan.training.parallel import ranks

_SAID_SO = ("not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
"""The CPU's allocator, CUDA outside of torch's own allocator, cuBLAS and cuDNN."""


class PartsNeededError(Exception):
    """The batch must go through in more parts; never seen by a user."""


@contextmanager
def memory_told(doing: str, *, run: Path, halves: bool, why: Callable[[], str]) -> Iterator[None]:
    """Let memory that does not suffice end in an error with a code.

    Args:
        doing: What is going on, for the message.
        run: Where.
        halves: Whether it may be tried again with the batch in more parts.
        why: Says why that would not be the same; an empty text where it would.

    Raises:
        PartsNeededError: If it is to be tried again.
        TrainingError: T008, in place of torch's or Python's own error.
    """
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        got = " ".join(str(error).split())[:200] or type(error).__name__
    # Outside the clause: an exception that is being handled keeps what the step had computed in memory.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    reason = why()
    if halves and not reason:
        raise PartsNeededError
    raise out_of_memory(doing, where=str(run), got=got, why_whole=reason)


@contextmanager
def job_memory_told(job: str, doing: Callable[[], str]) -> Iterator[None]:
    """Let memory that does not suffice anywhere in a job end in an error with a code.

    Args:
        job: Its id.
        doing: Says what is being done, and with which case.

    Raises:
        TrainingError: T008.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "T008",
            f"out of memory in {job}",
            where=doing(),
            got=" ".join(str(error).split())[:200] or type(error).__name__,
            remedy="use fewer --cores at a time, a smaller batch_size, crop_px or size_px, or a machine with more "
            "memory, then run again to go on",
        ) from error


def out_of_memory(doing: str, *, where: str, got: str, why_whole: str = "") -> TrainingError:
    """The error for memory that does not suffice."""
    offered = f"; halve_batch cannot help: {why_whole}" if why_whole else ", or halve_batch: true in the study"
    return TrainingError(
        "T008",
        f"out of memory in {doing}",
        where=where,
        got=got,
        remedy=f"set a smaller batch_size or crop_px in the recipe{offered}, then run again to go on",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device or the machine has no more memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _SAID_SO)


def why_whole(learner: Learner, batch: Mapping[str, Tensor], *, parts: int) -> str:
    """Why a batch cannot go through in so many parts with the same result; empty where it can."""
    sizes = {len(tensor) for tensor in batch.values()}
    if ranks() > 1:
        return "it works with one process alone"
    if len(sizes) != 1 or max(sizes) < parts:
        return f"a batch of {max(sizes, default=0)} has no more parts"
    if not learner.averages_over_samples:
        return "its losses look across the batch"
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in learner.modules()):
        return "its batch normalisation looks across the batch"
    return ""


def in_parts(batch: Mapping[str, Tensor], parts: int) -> list[tuple[float, dict[str, Tensor]]]:
    """A batch in parts of nearly the same size, each with its share of the samples."""
    if parts == 1:
        return [(1.0, dict(batch))]
    split = {name: tensor.tensor_split(parts) for name, tensor in batch.items()}
    total = len(next(iter(batch.values())))
    pieces = [{name: pieces[number] for name, pieces in split.items()} for number in range(parts)]
    return [(len(next(iter(piece.values()))) / total, piece) for piece in pieces]


def mean_losses(backed: list[tuple[float, dict[str, Tensor]]]) -> tuple[list[str], Tensor]:
    """Names and values (K,) of the whole batch's losses, from those of its parts and their shares."""
    names = list(backed[0][1])
    values = torch.stack([torch.stack([losses[name] for name in names]) for _, losses in backed])
    if len(backed) == 1:
        return names, values[0]
    return names, (values * values.new_tensor([[share] for share, _ in backed])).sum(dim=0)
