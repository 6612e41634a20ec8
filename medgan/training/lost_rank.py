"""What is said when another rank does not answer: which one, and what has most likely become of it."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch.distributed as dist

from medgan.errors import RunError
from medgan.training.processes import has_ended

Peer = tuple[str, int]
"""Host and process of a rank."""

_LOOK_FOR_S = 2.0
_SIGNS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "TCPStore", "Timed out", "timed out")


def meet() -> list[Peer]:
    """Exchange with every rank where it runs."""
    peers: list[Peer | None] = [None] * dist.get_world_size()
    dist.all_gather_object(peers, (socket.gethostname(), os.getpid()))
    return [peer for peer in peers if peer is not None]


@contextmanager
def lost_ranks_told(peers: Sequence[Peer], *, timeout_s: float) -> Iterator[None]:
    """Turn what a collective raises without a partner into an error that names the rank.

    Raises:
        RunError: J030.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_lost_partner(error):
            raise
        raise RunError(
            "J030",
            "training has ended, because another rank does not answer",
            got=_fate(peers, timeout_s),
            remedy="its own output says more; run the same command again to go on from the last checkpoint",
        ) from error


def _is_lost_partner(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or any(sign in str(error) for sign in _SIGNS)


def _fate(peers: Sequence[Peer], timeout_s: float) -> str:
    here = socket.gethostname()
    others = [(rank, *peer) for rank, peer in enumerate(peers) if peer != (here, os.getpid())]
    gone: list[str] = []
    until = time.monotonic() + _LOOK_FOR_S  # a process that is ending may still be listed
    while not gone and time.monotonic() < until:
        gone = [
            f"rank {rank} (process {pid} on {host}) is gone: it failed, or it was killed, as for want of memory"
            for rank, host, pid in others
            if host == here and has_ended(pid)
        ]
        if not gone:
            time.sleep(0.1)
    if gone:
        return ", ".join(gone)
    left = ", ".join(f"rank {rank} (process {pid} on {host})" for rank, host, pid in others)
    return f"no answer within {timeout_s:g} s, or a closed connection, from one of {left}"
