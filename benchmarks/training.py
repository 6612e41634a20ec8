"""How long a training step takes, beside the published one: ``python benchmarks/training.py``."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from published_steps import CycleGANStep, Pix2PixStep
from torch import Tensor

from medgan.discover import load
from medgan.settings.loop import LoopSettings
from medgan.training.device import autocast, lay_out, pick_device, pick_layout, pick_precision, placed
from medgan.training.learner import freeze_all_but
from medgan.training.loop import train
from medgan.training.translator import SampleShape, Translator

THEIRS = {"cyclegan": CycleGANStep, "pix2pix": Pix2PixStep}
AIMS = {"cyclegan": 2.3, "pix2pix": 2.0}


@dataclass(frozen=True, kw_only=True)
class Result:
    """Seconds of a step on both sides, and how many times faster medgan's is, pair by pair."""

    method: str
    batch_size: int
    precision: str
    layout: str
    ours_s: float
    theirs_s: float
    ratio: float
    ratio_min: float
    ratio_max: float
    aim: float
    cosine: dict[str, float]
    peak_gpu_gib: float | None


def main(arguments: list[str] | None = None) -> None:
    """Measure each method and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=sorted(THEIRS), default=sorted(THEIRS))
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=9, help="pairs of steps that are timed, after two that warm up")
    parser.add_argument("--warm-up", type=int, default=30, help="steps before the gradients are compared; 0: do not")
    parser.add_argument("--upsampling", choices=("resize", "transposed"), default="resize")
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="auto")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    device = pick_device(options.device)
    results = [measure(method, options, device) for method in options.methods]
    if options.json:
        told = {"machine": machine(device), "results": [asdict(result) for result in results]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    for name, value in machine(device).items():
        print(f"{name}: {value}")
    for result in results:
        print(described(result, options))


def measure(method: str, options: argparse.Namespace, device: torch.device) -> Result:
    """Time steps of both sides in turn, so that whatever else the machine does strikes both alike.

    medgan's is a step of :func:`medgan.training.loop.train`, with all that it does besides: seeds, alarms, averages of
    losses and gradient norms. Between two of them the published step runs.
    """
    torch.manual_seed(0)
    shape = (options.batch, 3, options.size, options.size)
    batch = {domain: torch.rand(shape).mul(2).sub(1) for domain in "ab"}
    learner = build(method, options)
    step = THEIRS[method]()
    theirs_batch = {domain: tensor.to(device) for domain, tensor in batch.items()}
    for network in vars(step).values():
        if isinstance(network, torch.nn.Module):
            network.to(device)
    ours, theirs = [], []
    clock = Clock(device)

    def after(_: int) -> None:
        ours.append(clock.lap())
        step(theirs_batch["a"], theirs_batch["b"])
        theirs.append(clock.lap())

    with tempfile.TemporaryDirectory() as folder:
        settings = LoopSettings(total_steps=options.steps + 2, preview_every=None, device=device.type)
        train(learner, lambda _: batch, run=Path(folder), settings=settings, on_step=after)
    ratios = [their / our for our, their in zip(ours[2:], theirs[2:], strict=True)]
    precision = pick_precision("auto", device)
    return Result(
        method=method,
        batch_size=options.batch,
        precision=precision,
        layout=str(pick_layout(learner, device, precision)).removeprefix("torch."),
        ours_s=statistics.median(ours[2:]),
        theirs_s=statistics.median(theirs[2:]),
        ratio=statistics.median(ratios),
        ratio_min=min(ratios),
        ratio_max=max(ratios),
        aim=AIMS[method],
        cosine=cosines(method, options, device) if options.warm_up else {},
        peak_gpu_gib=torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
    )


def build(method: str, options: argparse.Namespace) -> Translator:
    """The method at its published size."""
    kind = load("medgan.methods", method).method
    recipe = kind.recipe_type(upsampling=options.upsampling)
    learner: Translator = kind(recipe, shape=SampleShape(channels=3, neighbours=1, size_px=options.size))
    return learner


def cosines(method: str, options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Cosine between a step's gradients in the precision that is timed and in fp32, by group, after a warm-up.

    The images are blobs with noise, others at every step. Both precisions have the layout that is timed, for dropout
    draws its chances in the order of the memory. ``plain`` is autocast with channels first, as torch alone gives it.
    """
    learner = build(method, options).to(device).train()
    with tempfile.TemporaryDirectory() as folder:
        settings = LoopSettings(total_steps=options.warm_up, preview_every=None, device=device.type)
        train(learner, lambda number: pictures(number, options), run=Path(folder), settings=settings)
    learner.train()
    kept = {name: tensor.clone() for name, tensor in learner.extra_tensors().items()}
    batch = pictures(10**6, options)
    found: dict[str, float] = {}
    precision = pick_precision("auto", device)
    for name, layout in (("", pick_layout(learner, device, precision)), (" plain", torch.contiguous_format)):
        sides = []
        for one in ("fp32", precision):
            learner.load_extra_tensors(kept)
            sides.append(dict(gradients(learner, batch, device, precision=one, layout=layout)))
        for group, exact in sides[0].items():
            found[group + name] = torch.nn.functional.cosine_similarity(exact, sides[1][group], dim=0).item()
    return found


def pictures(number: int, options: argparse.Namespace) -> dict[str, Tensor]:
    """A batch of either domain: blobs with noise, and the same ones inverted and moved."""
    generator = torch.Generator().manual_seed(number)
    coarse = torch.rand(options.batch, 3, 9, 9, generator=generator)
    blobs = torch.nn.functional.interpolate(coarse, size=(options.size, options.size), mode="bicubic").mul(2).sub(1)
    a = (blobs + 0.1 * torch.randn(blobs.shape, generator=generator)).clamp(-1, 1)
    return {"a": a, "b": -0.7 * a + 0.2 * a.roll(3, -1) + 0.1}


def gradients(
    learner: Translator, batch: dict[str, Tensor], device: torch.device, *, precision: str, layout: torch.memory_format
) -> Iterator[tuple[str, Tensor]]:
    """Each group's gradient as one vector, without stepping."""
    torch.manual_seed(2)
    lay_out(learner, layout)
    turns = learner.training_step({name: placed(tensor, device, layout) for name, tensor in batch.items()})
    for group in learner.turns:
        freeze_all_but(learner, group)
        with autocast(device, precision):
            turn = next(turns)
        torch.stack([loss.float() for loss in turn.losses.values()]).sum().backward()
        parameters = learner.parameters_of(group)
        yield group, torch.cat([p.grad.flatten().double() for p in parameters if p.grad is not None])
        learner.zero_grad()


class Clock:
    """Seconds since the last lap, when the device has done all that it was given."""

    def __init__(self, device: torch.device) -> None:
        self._wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Wait for the device, and give the seconds."""
        self._wait()
        now = time.perf_counter()
        took, self._last = now - self._last, now
        return took


def described(result: Result, options: argparse.Namespace) -> str:
    """A result in words."""
    cosine = ", ".join(f"{group} {value:.5f}" for group, value in result.cosine.items())
    lines = [
        "",
        f"{result.method}, {options.size} px, batch {result.batch_size}, {options.upsampling} upsampling",
        f"  {result.ours_s:8.3f} s  medgan.training.loop.train, {result.precision}, {result.layout}",
        f"  {result.theirs_s:8.3f} s  benchmarks/published_steps.py, eager fp32",
        f"  {result.ratio:.2f} times faster ({result.ratio_min:.2f} to {result.ratio_max:.2f}); aim: {result.aim:g}",
        f"  {result.batch_size * 2 / result.ours_s:.2f} images per second",
    ]
    lines += [f"  cosine of the gradients to fp32: {cosine}"] if cosine else []
    lines += [f"  peak memory on the card: {result.peak_gpu_gib:.2f} GiB"] if result.peak_gpu_gib else []
    return "\n".join(lines)


def machine(device: torch.device) -> dict[str, str]:
    """What it ran on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    extensions = [name for name in ("avx512_bf16", "amx_bf16") if any(name in line for line in lines)]
    return {
        "processor": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {' '.join(extensions)}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": str(torch.get_num_threads()),
        "load": f"{os.getloadavg()[0]:.1f} processes wanted to run in the last minute",
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
