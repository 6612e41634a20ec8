"""Where and how precisely a learner is trained."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from medgan.errors import TrainingError
from medgan.samples.seeds import seed_for
from medgan.settings.loop import DeviceName, PrecisionName
from medgan.training.learner import Learner
from medgan.training.parallel import led

Precision = Literal["fp32", "bf16"]


def pick_device(name: DeviceName) -> torch.device:
    """Choose the device; ``auto`` takes a GPU where there is one.

    With several processes to a machine, each takes the GPU that ``LOCAL_RANK`` names.

    Raises:
        TrainingError: T003, if a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise TrainingError("T003", "no CUDA device", got="device: cuda", remedy="set device: cpu or auto")
    if name == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def pick_precision(name: PrecisionName, device: torch.device) -> Precision:
    """Choose the precision; ``auto`` takes bf16 where the hardware computes in it, else fp32."""
    if name != "auto":
        return name
    return "bf16" if _computes_bf16(device) else "fp32"


def pick_layout(learner: Learner, device: torch.device, precision: Precision) -> torch.memory_format:
    """Choose how feature maps lie in memory: channels last where the hardware's convolutions want it.

    That is on GPUs, and on CPUs that multiply matrices of bf16 (AMX). Without AMX, channels last loses time; so it
    does in networks whose other layers have no kernel for it, which their learner says.
    """
    wanted = device.type == "cuda" or (precision == "bf16" and torch.cpu._is_amx_tile_supported())
    return torch.channels_last if wanted and learner.channels_last else torch.contiguous_format


def agreed_arithmetic(
    learner: Learner, precision: PrecisionName, device: torch.device
) -> tuple[Precision, torch.memory_format]:
    """Precision and layout as rank 0 chooses them for all: their processors may differ."""

    def choose() -> tuple[Precision, bool]:
        chosen = pick_precision(precision, device)
        return chosen, pick_layout(learner, device, chosen) == torch.channels_last

    chosen, last = led(choose)
    return chosen, torch.channels_last if last else torch.contiguous_format


def lay_out(learner: Learner, layout: torch.memory_format) -> None:
    """Give the kernels of a learner's convolutions a layout, in place."""
    for parameter in learner.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def placed(tensor: Tensor, device: torch.device, layout: torch.memory_format) -> Tensor:
    """A tensor of a batch on the device; images (N, C, H, W) in the layout wanted."""
    waits = device.type == "cpu"
    if tensor.ndim == 4:
        return tensor.to(device, memory_format=layout, non_blocking=not waits)
    return tensor.to(device, non_blocking=not waits)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a step's forward pass runs."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def set_threads(threads: int | None) -> None:
    """Set torch's CPU threads; None leaves them alone."""
    if threads is not None and threads != torch.get_num_threads():
        torch.set_num_threads(threads)


@contextmanager
def seeded(seed: int, *parts: str | int) -> Iterator[None]:
    """Let torch's generators start from (seed, parts) for a while, and give them back as they were.

    Also for building a learner: ``with seeded(seed, "weights"): learner = ...``.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_for(seed, *parts))
        yield


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # AVX512-BF16 or AMX; without either, torch emulates bf16 and loses time.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)
