"""How long a study takes to prepare, by cores: ``python benchmarks/preparing.py``."""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from reading import machine
from reading_files import jpeg, nifti

from medgan.manifests.manifest import Case, Manifest
from medgan.samples.fill import prepare_into
from medgan.samples.store import PreparedStore
from medgan.settings.cores import usable_cores
from medgan.settings.preparation import Preparation


def main(arguments: list[str] | None = None) -> None:
    """Prepare photographs and volumes and print milliseconds a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="photographs; a quarter as many volumes")
    parser.add_argument("--quick", action="store_true", help="small images: does it run at all?")
    options = parser.parse_args(arguments)
    for name, value in machine().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory() as folder:
        for what, manifest, preparation in studies(Path(folder), cases=options.cases, small=options.quick):
            print(f"\n{what}, {len(manifest)} cases")
            for how, milliseconds in measured(manifest, preparation, Path(folder)).items():
                print(f"  {milliseconds:8.1f} ms a case  {how}")


def studies(folder: Path, *, cases: int, small: bool) -> list[tuple[str, Manifest, Preparation]]:
    """Make the images, each of its own, and say how they are prepared."""
    rng = np.random.default_rng(20240607)
    sides, cube = ((320, 240), 32) if small else ((1024, 768), 128)
    photographs = [jpeg(folder / f"{number}.jpg", rng, sides).name for number in range(cases)]
    volumes = [nifti(folder / f"{number}.nii.gz", rng, size=cube).name for number in range(max(2, cases // 4))]
    return [
        (
            f"JPEG of {sides[0]} x {sides[1]}",
            manifest_of(folder, photographs),
            Preparation(preset="fundus", size_px=256),
        ),
        (f".nii.gz of {cube} x {cube} x {cube}", manifest_of(folder, volumes), Preparation(preset="mr")),
    ]


def measured(manifest: Manifest, preparation: Preparation, folder: Path) -> dict[str, float]:
    """Milliseconds a case: in this process without any child, then by the store with one core and with all.

    Each way prepares a case for each core first, so that what a process imports once is not counted.
    """
    ways = {"in this process, one after the other, unguarded": _in_this_process}
    for workers in sorted({1, usable_cores()}):
        ways[f"by the store, {workers} at a time, guarded, with digests and a look at the disk"] = partial(
            _by_the_store, workers=workers
        )
    few = replace(manifest, cases=manifest.cases[: usable_cores()])
    found = {}
    for how, prepare in ways.items():
        for cases in (few, manifest):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                began = time.perf_counter()
                prepare(cases, preparation, Path(place))
                found[how] = 1e3 * (time.perf_counter() - began) / len(cases)
    return found


def _in_this_process(manifest: Manifest, preparation: Preparation, place: Path) -> None:
    for number, case in enumerate(manifest):
        prepare_into(manifest, case, preparation, place / "00" / str(number))


def _by_the_store(manifest: Manifest, preparation: Preparation, place: Path, *, workers: int) -> None:
    PreparedStore(place, preparation).add_all(manifest, manifest, workers=workers)


def manifest_of(folder: Path, names: list[str]) -> Manifest:
    """A case of domain a for each image, each of a subject of its own."""
    cases = tuple(Case(case_id=name, subject_id=name, domain="a", image=name) for name in names)
    return Manifest(cases=cases, root=folder)


if __name__ == "__main__":
    main()
