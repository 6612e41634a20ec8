"""How long a study takes to prepare, by cores: ``python benchmarks/preparing.py``."""

import argparse
import os
import tempfile
import time
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
        (f"JPEG of {sides[0]} x {sides[1]}", _manifest(folder, photographs), Preparation(preset="fundus", size_px=256)),
        (f".nii.gz of {cube} x {cube} x {cube}", _manifest(folder, volumes), Preparation(preset="mr")),
    ]


def measured(manifest: Manifest, preparation: Preparation, folder: Path) -> dict[str, float]:
    """Milliseconds a case: in this process without any child, then by the store with one core and with all."""
    found = {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        began = time.perf_counter()
        for number, case in enumerate(manifest):
            prepare_into(manifest, case, preparation, Path(place) / "00" / str(number))
        found["in this process, one after the other, unguarded"] = time.perf_counter() - began
    for workers in sorted({1, usable_cores()}):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            store = PreparedStore(Path(place), preparation)
            began = time.perf_counter()
            store.add_all(manifest, manifest, workers=workers)
            found[f"by the store, {workers} at a time, guarded, with digests"] = time.perf_counter() - began
    return {how: 1e3 * seconds / len(manifest) for how, seconds in found.items()}


def _manifest(folder: Path, names: list[str]) -> Manifest:
    cases = tuple(Case(case_id=name, subject_id=name, domain="a", image=name) for name in names)
    return Manifest(cases=cases, root=folder)


if __name__ == "__main__":
    main()
