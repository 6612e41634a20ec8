"""How long medgan reads an image, beside what a user would pick instead: ``python benchmarks/reading.py``."""

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from reading_files import ct_series, jpeg, nifti
from reading_ways import array_of_simpleitk, by_monai, by_nibabel, by_pillow, by_simpleitk, copied_by_nibabel

from medgan.imaging.burned_in import burned_in_text
from medgan.imaging.read import read_image
from medgan.settings.preparation import Preparation
from medgan.transforms.prepare import prepare

PACKAGES = ("medgan", "numpy", "pydicom", "nibabel", "isal", "SimpleITK", "pillow", "monai")
PHOTOGRAPH = Preparation(preset="photograph", size_px=256)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way of reading.

    Args:
        code: What a user would write.
        read: The same, as a function of the path.
        array_of: Turns what that gives into an array; not timed.
    """

    code: str
    read: Callable[[Path], Any]
    array_of: Callable[[Any], np.ndarray] = np.asarray


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two ways of reading one image, and a third for information.

    Args:
        what: The image.
        path: Where it is.
        ours: medgan's way.
        theirs: The other.
        target: Ratio of the times that medgan aims for, at most; None where it aims for none.
        others: Further ways; no target.
        same: Whether the first two must give the same numbers.
    """

    what: str
    path: Path
    ours: Side
    theirs: Side
    target: float | None
    others: tuple[Side, ...] = ()
    same: bool = True


@dataclass(frozen=True, kw_only=True)
class Result:
    """Times of a pair in milliseconds, and ratios of medgan's to the other's, round by round."""

    what: str
    ours: str
    theirs: str
    ours_ms: float
    theirs_ms: float
    ratio: float
    ratio_min: float
    ratio_max: float
    target: float | None
    others_ms: dict[str, float] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> None:
    """Measure every pair and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small images and three rounds: does it run at all?")
    parser.add_argument("--rounds", type=int, default=15, help="how often each side reads, in turn")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rounds = 3 if options.quick else options.rounds
        results = [measure(pair, rounds=rounds) for pair in pairs(Path(folder), small=options.quick)]
    if options.json:
        told = {"machine": machine(), "rounds": rounds, "pairs": [asdict(result) for result in results]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    for name, value in machine().items():
        print(f"{name}: {value}")
    for result in results:
        print(described(result))


def pairs(folder: Path, *, small: bool) -> list[Pair]:
    """Make the images and say who reads them how."""
    slices, size, cube, sides = (8, 64, 32, (320, 240)) if small else (200, 512, 256, (2048, 1536))
    rng = np.random.default_rng(20240607)
    series = ct_series(folder / "series", rng, slices=slices, size_px=size)
    medgan = Side(code="medgan.read_image(path)", read=lambda path: read_image(path).pixels[0])
    simpleitk = Side(
        code="reader = SimpleITK.ImageSeriesReader(); reader.SetFileNames(reader.GetGDCMSeriesFileNames(path)); "
        "reader.Execute()",
        read=by_simpleitk,
        array_of=array_of_simpleitk,
    )
    monai = Side(code="monai.transforms.LoadImage(image_only=True)(path)", read=by_monai)
    made = [
        Pair(what=f"DICOM CT, {slices} slices of {size} x {size}, int16", path=series, ours=medgan, theirs=simpleitk,
             target=1.5, others=(monai,)),
    ]  # fmt: skip
    # an uncompressed file is only mapped by asarray, and not read: hence the copy
    for suffix, copy in ((".nii.gz", ""), (".nii", ".copy()")):
        nibabel = Side(
            code=f"np.asarray(nibabel.load(path).dataobj){copy}", read=copied_by_nibabel if copy else by_nibabel
        )
        path = nifti(folder / f"volume{suffix}", rng, size=cube)
        made.append(Pair(what=f"{suffix}, {cube} x {cube} x {cube}, int16", path=path, ours=medgan, theirs=nibabel,
                         target=1.3, others=(monai,)))  # fmt: skip
    prepared = Side(
        code='prepare(medgan.read_image(path, at_least_px=256), Preparation(preset="photograph", size_px=256))',
        read=lambda path: prepare(read_image(path, at_least_px=256), PHOTOGRAPH).pixels,
    )
    draft = Side(code='PIL.Image.open(path); draft("RGB", (256, 256)); resize((256, 192))', read=by_pillow)
    megapixels = sides[0] * sides[1] / 1e6
    made.append(Pair(what=f"JPEG of {megapixels:.1f} megapixels to 256 px", path=jpeg(folder / "photo.jpg", rng, sides),
                     ours=prepared, theirs=draft, target=1.5, others=(monai,), same=False))  # fmt: skip
    whole = Side(
        code="image = medgan.read_image(path); burned_in_text(image); "
        'prepare(image, Preparation(preset="photograph", size_px=256))',
        read=looked_at_and_prepared,
    )
    made.append(Pair(what=f"JPEG of {megapixels:.1f} megapixels to 256 px, in full and looked at for text, as "
                     "`medgan prepare` does it", path=made[-1].path, ours=whole, theirs=draft, target=None,
                     same=False))  # fmt: skip
    return made


def looked_at_and_prepared(path: Path) -> np.ndarray:
    """What becomes of a photograph in a study: a text in its pixels must be seen before it is made small."""
    image = read_image(path)
    burned_in_text(image)
    return prepare(image, PHOTOGRAPH).pixels


def measure(pair: Pair, *, rounds: int) -> Result:
    """Read in turn, so that whatever else the machine does strikes both alike; a first round only warms up."""
    _compare(pair)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_milliseconds(pair.ours, pair.path))
        theirs.append(_milliseconds(pair.theirs, pair.path))
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    others = {side.code: [_milliseconds(side, pair.path) for _ in range(min(rounds, 5))] for side in pair.others}
    return Result(
        what=pair.what,
        ours=pair.ours.code,
        theirs=pair.theirs.code,
        ours_ms=statistics.median(ours),
        theirs_ms=statistics.median(theirs),
        ratio=statistics.median(ratios),
        ratio_min=min(ratios),
        ratio_max=max(ratios),
        target=pair.target,
        others_ms={code: statistics.median(times) for code, times in others.items()},
    )


def described(result: Result) -> str:
    """A result in words."""
    lines = [
        "",
        result.what,
        f"  {result.ours_ms:8.1f} ms  {result.ours}",
        f"  {result.theirs_ms:8.1f} ms  {result.theirs}",
        *(f"  {took:8.1f} ms  {code} (for information)" for code, took in result.others_ms.items()),
        f"  ratio {result.ratio:.2f} ({result.ratio_min:.2f} to {result.ratio_max:.2f}); "
        + ("no aim" if result.target is None else f"aim: {result.target:g}"),
    ]
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """What it ran on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {
        "processor": f"{name}, one thread of {os.cpu_count()}",
        "load": f"{os.getloadavg()[0]:.1f} processes wanted to run in the last minute",
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def _compare(pair: Pair) -> None:
    """Refuse to time two ways that read different numbers."""
    ours, theirs = (side.array_of(side.read(pair.path)) for side in (pair.ours, pair.theirs))
    if pair.same:
        in_order = theirs if theirs.flags.c_contiguous else theirs.transpose(2, 1, 0)
        np.testing.assert_array_equal(ours, in_order)


def _milliseconds(side: Side, path: Path) -> float:
    gc.collect()  # what the one before has left is not this one's to clear away
    began = time.perf_counter()
    side.read(path)
    return 1e3 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
