"""How long a training sample takes out of the prepared store: ``python benchmarks/sampling.py``.

Volumes are made from a seed and prepared; then samples of 256 x 256 pixels are drawn as in training, beside a slice of
the same volume read by nibabel each time. Both have their files in the system's cache.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import nibabel as nib
import numpy as np
from preparing import manifest_of
from reading import machine
from reading_files import nifti

from medgan.samples.store import PreparedStore
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.preparation import Preparation

BATCH = 8


def main(arguments: list[str] | None = None) -> None:
    """Draw samples both ways in turn and print microseconds a slice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args(arguments)
    for name, value in machine().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory() as folder:
        ways = ways_of(Path(folder), volumes=options.volumes, size=options.size)
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds + 1):
            for name, draw in ways.items():
                times[name].append(draw(number))
        for name, took in times.items():
            slowest, middle = max(took[1:]), statistics.median(took[1:])
            print(f"{middle:8.0f} us a slice (slowest round {slowest:.0f})  {name}")


def ways_of(folder: Path, *, volumes: int, size: int) -> dict[str, Callable[[int], float]]:
    """Each way draws a batch by its number, and says microseconds a slice."""
    rng = np.random.default_rng(20240607)
    names = [nifti(folder / f"{number}.nii", rng, size=size).name for number in range(volumes)]
    manifest = manifest_of(folder, names)
    cases = PreparedStore(folder / "store", Preparation(preset="mr")).add_all(manifest, manifest, workers=1)
    found: dict[str, Callable[[int], float]] = {}
    for neighbours in (1, 3):
        samples = UnpairedSamples(cases, cases, neighbours=neighbours, size_px=size, seed=0)
        what = "one slice" if neighbours == 1 else "a slice with its two neighbours"
        found[f"UnpairedSamples.draw, {what}"] = _timed(lambda n, samples=samples: samples.draw(n, BATCH), 2 * BATCH)
    order = rng.integers(0, size, size=(1000, BATCH))

    def peer(number: int) -> list[np.ndarray]:
        return [
            np.asarray(nib.load(folder / names[plane % volumes]).dataobj[..., plane], np.float32)
            for plane in order[number % len(order)]
        ]

    found["nibabel, the slice of an uncompressed volume, raw values"] = _timed(peer, BATCH)
    return found


def _timed(draw: Callable[[int], object], slices: int) -> Callable[[int], float]:
    def microseconds(number: int) -> float:
        began = time.process_time()
        draw(number)
        return 1e6 * (time.process_time() - began) / slices

    return microseconds


if __name__ == "__main__":
    main()
