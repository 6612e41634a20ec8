"""How long medgan translates a volume, beside the published test loop: ``python benchmarks/translation.py``."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from translation_ways import (
    ct_volume,
    networks,
    one_direction_loop,
    published_loop,
    resident_mib,
    translator,
    unchanging,
)

from medgan.imaging.read import read_image
from medgan.manifests.manifest import Case, Manifest
from medgan.stages.translate import translate_manifest
from medgan.training.device import pick_device

PUBLISHED = "fake_b = G_A(real_a); G_B(fake_b); fake_a = G_B(real_b); G_A(fake_a)  # eager, fp32, slice by slice"
ONE_WAY = "fake_b = G_A(real_a)  # eager, fp32, slice by slice"
TOLERANCE = {"fp32": 1e-4, "bf16": 0.25}
"""Of the outputs in [-1, 1]: beyond it the two sides do not do the same, and are not timed."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Milliseconds a slice of one way, the median over the rounds; and how many times as long as medgan's it takes."""

    code: str
    slices: int
    ms: float
    ratio: float = 1.0
    ratio_min: float = 1.0
    ratio_max: float = 1.0


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("network", "stage", "memory"), nargs="?", default="network")
    parser.add_argument("--quick", action="store_true", help="small networks and images: does it run at all?")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of medgan's side")
    parser.add_argument("--upsampling", choices=("resize", "transposed"), default="resize")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=7, help="how often each way has its turn")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 256, 256), metavar=("D", "H", "W"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.quick:
        options.shape, options.rounds = (8, 32, 32), 3
    told = {"machine": machine(options), **PARTS[options.part](options)}
    if options.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    for name, value in told.items():
        rows = value.items() if isinstance(value, dict) else enumerate(value, start=1)
        print("\n".join([f"{name}:", *(f"  {key}: {row}" for key, row in rows)]))


def network(options: argparse.Namespace) -> dict[str, Any]:
    """Three ways in turn, on slices that are prepared already; time a slice is the same however many there are."""
    device = pick_device(options.device)
    learner = networks(width=8 if options.quick else 64, upsampling=options.upsampling, device=device)
    g_ab, g_ba = learner.g_ab, learner.g_ba
    ours = translator(learner, precision=options.precision, device=device)
    rng = np.random.default_rng(0)
    volume = rng.uniform(-1, 1, size=(1, min(16, options.shape[0]), *options.shape[1:])).astype(np.float32)
    slices = torch.from_numpy(volume[0][:, None]).to(device)
    _compare(ours.translate_array(volume[:, :1])[0, 0], one_direction_loop(g_ab, slices[:1])[0], options.precision)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        f"trained.translate_array(volume)  # {options.precision}": (
            volume.shape[1],
            lambda: ours.translate_array(volume),
        ),
        ONE_WAY: (2, lambda: one_direction_loop(g_ab, slices[:2])),
        PUBLISHED: (1, lambda: published_loop(g_ab, g_ba, slices[:1])),
    }
    times: dict[str, list[float]] = {code: [] for code in ways}
    for _ in range(options.rounds):
        for code, (count, run) in ways.items():
            times[code].append(_milliseconds(run, device) / count)
    first = next(iter(times.values()))
    results = []
    for code, own in times.items():
        ratios = [theirs / mine for theirs, mine in zip(own, first, strict=True)]
        ratio = statistics.median(ratios)
        spread = {"ratio_min": min(ratios), "ratio_max": max(ratios)}
        results.append(Result(code=code, slices=ways[code][0], ms=statistics.median(own), ratio=ratio, **spread))
    return {"rounds": [asdict(result) for result in results]}


def stage(options: argparse.Namespace) -> dict[str, Any]:
    """The whole stage: a NIfTI volume read, prepared, translated, put back and written."""
    device = pick_device(options.device)
    learner = networks(width=8 if options.quick else 64, upsampling=options.upsampling, device=device)
    ours = translator(learner, precision=options.precision, device=device)
    with tempfile.TemporaryDirectory() as folder:
        seconds = _translated(Path(folder), ours, options.shape, cases=1)
    milliseconds = 1e3 * seconds / options.shape[0]
    return {"stage": {"code": "medgan translate", "seconds": seconds, "milliseconds a slice": milliseconds}}


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """The most memory that the stage holds, less what it holds without an image; two cases, the method does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        held_by = []
        for shape in ((4, 16, 16), tuple(options.shape)):
            _in_a_process(f"ct_volume(Path({folder!r}) / '{shape[0]}.nii', shape={shape!r})")
            held_by.append(float(_in_a_process(f"measure_memory(Path({folder!r}), {shape!r})")))
        empty, whole = held_by
    held = whole - empty
    per_voxel = held * 2**20 / float(np.prod(options.shape))
    return {"memory": {"MiB": held, "bytes a voxel (int16)": per_voxel, "shape": tuple(options.shape)}}


def measure_memory(folder: Path, shape: tuple[int, int, int]) -> None:
    """Translate a volume twice by the identity and print the most memory held, in MiB: for a process of its own."""
    ours = translator(unchanging(), precision="fp32", device=torch.device("cpu"))
    _run_stage(folder, ours, folder / f"{shape[0]}.nii", cases=2)
    print(resident_mib())


PARTS = {"network": network, "stage": stage, "memory": memory}


def machine(options: argparse.Namespace) -> dict[str, str]:
    """What it ran on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    if options.device == "cuda":
        name = torch.cuda.get_device_name()
    fast = [kind for kind in ("avx512_bf16", "amx_bf16") if info.exists() and kind in info.read_text()]
    return {
        "processor": f"{name}, {options.threads} threads of {os.cpu_count()}; {', '.join(fast) or 'no bf16 units'}",
        "load": f"{os.getloadavg()[0]:.1f} processes wanted to run in the last minute",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "medgan": version("medgan"),
    }


def _translated(folder: Path, ours: Any, shape: tuple[int, int, int], *, cases: int) -> float:
    path = ct_volume(folder / "volume.nii.gz", shape=shape)
    _run_stage(folder, ours, ct_volume(folder / "small.nii.gz", shape=(1, 32, 32)), cases=1)  # warms up
    began = time.perf_counter()
    _run_stage(folder, ours, path, cases=cases)
    return time.perf_counter() - began


def _run_stage(folder: Path, ours: Any, path: Path, *, cases: int) -> None:
    rows = tuple(Case(case_id=str(n), subject_id=str(n), domain="a", image=path.name) for n in range(cases))
    done = translate_manifest(ours, Manifest(cases=rows, root=folder), folder / "out")
    before, after = read_image(path), done.image_path(done.cases[0])
    if not after.is_file() or before.pixels.size == 0:
        raise RuntimeError("nothing was written")


def _in_a_process(call: str) -> str:
    """What a call of a function of this file prints, in a process that holds nothing else."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parent)!r}); from translation import *; {call}"
    )
    return subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout


def _compare(ours: np.ndarray, theirs: torch.Tensor, precision: str) -> None:
    """Refuse to time two ways that give different images."""
    np.testing.assert_allclose(ours, theirs[0].cpu().numpy(), atol=TOLERANCE[precision], rtol=0)


def _milliseconds(run: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
