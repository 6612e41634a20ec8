"""What one volume costs: bytes in the prepared store, seconds to prepare it, seconds to draw a slice; and one job.

    python benchmarks/costs.py [--volumes 4] [--shape 160 256 256]

Volumes are smooth noise in int16, as .nii.gz, which compress about as real ones do.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import zoom

from medgan.manifests.manifest import read_manifest
from medgan.samples.store import PreparedStore
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.preparation import Preparation


def write_volumes(folder: Path, *, volumes: int, shape: tuple[int, int, int]) -> Path:
    """Volumes with a dark ground and their manifest."""
    rng = np.random.default_rng(0)
    rows = ["case_id,subject_id,domain,image"]
    for number in range(volumes):
        coarse = rng.random((8, 8, 8))
        smooth = zoom(coarse, [side / 8 for side in shape], order=1)
        array = np.where(smooth > 0.4, smooth * 900 + rng.normal(0, 8, shape), 0).clip(0).astype(np.int16)
        image = nib.Nifti1Image(array.transpose(2, 1, 0), np.eye(4))
        image.header.set_xyzt_units("mm")
        nib.save(image, folder / f"{number}.nii.gz")
        rows.append(f"c{number},s{number},mr,{number}.nii.gz")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    return folder / "cases.csv"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--volumes", type=int, default=4)
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 256, 256))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_volumes(folder, volumes=given.volumes, shape=tuple(given.shape))
        manifest = read_manifest(table, root=folder)
        store = PreparedStore(folder / "store", Preparation(preset="mr"))
        seconds, prepared = [], []
        for case in manifest:
            began = time.perf_counter()
            prepared.append(store.add(case, manifest))
            seconds.append(time.perf_counter() - began)
        files = [path for path in (folder / "store").rglob("*") if path.is_file()]
        original = sum(path.stat().st_size for path in folder.glob("*.nii.gz"))
        held = sum(path.stat().st_size for path in files)
        print(f"original: {original / given.volumes / 1e6:.1f} MB a volume")
        print(f"prepared: {held / given.volumes / 1e6:.1f} MB a volume in {len(files) / given.volumes:.1f} files")
        print(f"to prepare one: {min(seconds):.2f} to {max(seconds):.2f} s")
        half = given.volumes // 2
        samples = UnpairedSamples(prepared[:half], prepared[half:], neighbours=1, size_px=256, seed=0)
        samples.draw(0, 1)
        began = time.perf_counter()
        for step in range(1, 101):
            samples.draw(step, 1)
        print(f"to draw one slice of each domain: {(time.perf_counter() - began) * 10:.2f} ms")
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "medgan", "train", "--help"], check=True, capture_output=True)
    print(f"to start a command: {time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import medgan.stages.train, monai.networks.nets"], check=True)
    print(f"to import torch and MONAI: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
