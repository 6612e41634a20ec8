"""Is a CycleGAN for one defect of fundus photographs better than one for all? Known defects of real good photographs.

    python benchmarks/defects.py --data FOLDER --work FOLDER [--steps 400] [--only NAME ...] [--write FOLDER]

Good photographs (DeepDRiD) of some subjects are blurred, veiled or unevenly lit as physics has it; good ones of other
subjects are the target domain. Test subjects' originals are known, so that PSNR and SSIM say how near a translation
comes. ``agnostic`` learns from all three defects, ``same:DEFECT`` from one with the same settings, ``preset:DEFECT``
from one with the preset for it. What is trained already is read; ``--write`` keeps the scores in ``defects.json`` and
pictures of the first test photographs in ``defects.png``.
"""

import argparse
import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.metrics.interval import Estimate, mean_estimate, paired_difference
from medgan.metrics.similarity import psnr, ssim
from medgan.reports.panels import contact_sheet
from medgan.settings.loop import LoopSettings
from medgan.training.loop import train
from medgan.training.translator import SampleShape

SIDE, BATCH, SHOWN = 64, 1, 2
Pixels = npt.NDArray[np.float64]
NARROW: Mapping[str, Any] = {
    "generator_width": 16,
    "discriminator_width": 16,
    "blocks": 4,
    "patch": 34,
    "crop_px": SIDE,
    "batch_size": BATCH,
    "learning_rate": 1e-3,
}
AGNOSTIC = "change"
"""CycleGAN's preset for domains that differ little, whatever the defect."""
VEIL = (0.75, 0.70, 0.60)
"""Light that a cloudy lens scatters into the picture, in [0, 1]."""


def blur(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Out of focus: a Gaussian point spread of 1 to 2 px."""
    return gaussian_filter(image, sigma=(*[rng.uniform(1.0, 2.0)] * 2, 0))


def haze(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A veil: I = J t + A (1 - t), where the transmission t is 0.3 to 0.8 and smooth."""
    transmission = 0.8 - 0.5 * _smooth(rng)
    return np.where(_field(image), image * transmission + np.array(VEIL) * (1 - transmission), image)


def uneven_light(image: Pixels, rng: np.random.Generator) -> Pixels:
    """A smooth gain of 0.3 to 1.2, clipped as a sensor does."""
    return np.clip(image * (0.3 + 0.9 * _smooth(rng)), 0, 1)


DEFECTS: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "blur": blur,
    "haze": haze,
    "uneven-light": uneven_light,
}


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Good photographs, (N, SIDE, SIDE, 3) in [0, 1], of subjects that differ from part to part.

    Args:
        sources: Those that get a defect and are learnt from.
        targets: Those that stay good.
        tests: Those that are scored.
        subjects: Whose each of the tests is.
    """

    sources: Pixels
    targets: Pixels
    tests: Pixels
    subjects: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What an arm made of the test photographs with one defect; ``none`` is the defect itself."""

    defect: str
    arm: str
    made: Pixels
    scores: Mapping[str, Sequence[float]]


def main() -> None:
    """Train what is wanted, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--write", type=Path)
    parser.add_argument(
        "--only", nargs="*", default=["agnostic", *(f"{a}:{d}" for d in DEFECTS for a in ("same", "preset"))]
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = photographs(given.data)
    shown = {name: damaged(found.tests, name, seed=1) for name in DEFECTS}
    print("| defect | translation | PSNR | SSIM |\n|---|---|---|---|")
    rows = [_scored(name, "none", images, found) for name, images in shown.items()]
    for arm in given.only:
        kinds = list(DEFECTS) if arm == "agnostic" else [arm.split(":")[1]]
        learner = trained(arm, found, kinds, work=given.work, steps=given.steps)
        rows += [_scored(name, arm, translated(learner, shown[name]), found) for name in kinds]
    if given.write is not None:
        write(rows, found, steps=given.steps, folder=given.write)


def photographs(data: Path) -> Photographs:
    """Good photographs of DeepDRiD, two fifths of the subjects each for source and target, the rest for the test."""
    folder = data / "fundus_deepdrid"
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        good = [row for row in csv.DictReader(file) if row["domain"] == "good"]
    subjects = sorted({row["patient_id"] for row in good})
    np.random.default_rng(0).shuffle(subjects)
    fifth = len(subjects) // 5
    bounds = (slice(2 * fifth), slice(2 * fifth, 4 * fifth), slice(4 * fifth, None))
    parts = [[row for row in good if row["patient_id"] in set(subjects[bound])] for bound in bounds]
    sources, targets, tests = (np.stack([_read(folder / row["path"]) for row in part]) for part in parts)
    return Photographs(sources=sources, targets=targets, tests=tests, subjects=[row["patient_id"] for row in parts[2]])


def damaged(images: Pixels, kind: str, *, seed: int) -> Pixels:
    """Every image with a defect of its own strength and place."""
    rng = np.random.default_rng([seed, list(DEFECTS).index(kind)])
    return np.stack([DEFECTS[kind](image, rng) for image in images])


def trained(arm: str, found: Photographs, kinds: list[str], *, work: Path, steps: int) -> CycleGAN:
    """The arm's CycleGAN from photographs with the defects to good ones; goes on where it was cut off."""
    preset = arm.split(":")[1] if arm.startswith("preset") else AGNOSTIC
    recipe = CycleGANRecipe(**NARROW, total_steps=steps, preset=preset)
    torch.manual_seed(0)
    learner = CycleGAN(recipe, shape=SampleShape(3, 1, SIDE))
    # As many images whatever the number of defects.
    a = np.concatenate(
        [damaged(found.sources, kind, seed=0)[number :: len(kinds)] for number, kind in enumerate(kinds)]
    )
    domains = {"a": _tensor(a), "b": _tensor(found.targets)}

    def draw(number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([7, number])
        return {name: images[rng.integers(len(images), size=BATCH)] for name, images in domains.items()}

    loop = LoopSettings(total_steps=steps, device="cpu", threads=1, preview_every=None, checkpoint_every_seconds=30)
    train(learner, draw, run=work / f"{arm.replace(':', '_')}_{steps}", settings=loop)
    return learner


@torch.no_grad()
def translated(learner: CycleGAN, images: Pixels) -> Pixels:
    """What the learner makes of photographs, in [0, 1]."""
    made = torch.cat([learner.translate(part, to="b") for part in _tensor(images).split(10)])
    return made.permute(0, 2, 3, 1).double().numpy() / 2 + 0.5


def write(rows: Sequence[Row], found: Photographs, *, steps: int, folder: Path) -> None:
    """Keep the scores, how far each arm is from others on the same photographs, and pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "steps": steps,
        "batch_size": BATCH,
        "size_px": SIDE,
        "training_images": [len(found.sources), len(found.targets)],
        "test_images": len(found.tests),
        "test_subjects": len(set(found.subjects)),
        "rows": [_told(row, rows, found.subjects) for row in rows],
    }
    (folder / "defects.json").write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    arms = ("none", "agnostic", "same", "preset")
    pictures, labels = [], []
    for defect in DEFECTS:
        made = {row.arm.split(":")[0]: row.made for row in rows if row.defect == defect}
        for number in range(SHOWN):
            columns = (found.tests, *(made.get(arm) for arm in arms))
            pictures.append([None if images is None else _levels(images[number]) for images in columns])
            labels.append(defect)
    sheet = contact_sheet(pictures, ("original", "with defect", *arms[1:]), row_labels=labels, cell_px=2 * SIDE)
    Image.fromarray(sheet).save(folder / "defects.png", optimize=True)


def _scored(defect: str, arm: str, made: Pixels, found: Photographs) -> Row:
    """Score an arm's images against the originals, and print the line of the table."""
    pairs = list(zip(found.tests, made, strict=True))
    scores = {
        "psnr": [float(psnr(true, one, data_range=1.0)) for true, one in pairs],
        "ssim": [float(ssim(true.mean(axis=2), one.mean(axis=2), data_range=1.0)) for true, one in pairs],
    }
    means = [mean_estimate(values, found.subjects) for values in scores.values()]
    cells = [f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})" for mean in means]
    print(f"| {defect} | {arm} | {cells[0]} | {cells[1]} |", flush=True)
    return Row(defect=defect, arm=arm, made=made, scores=scores)


def _told(row: Row, rows: Sequence[Row], subjects: Sequence[str]) -> dict[str, Any]:
    """A row's means, and its differences from the defect itself and from the arm for all defects."""
    told: dict[str, Any] = {"defect": row.defect, "arm": row.arm}
    told |= {name: _numbers(mean_estimate(values, subjects)) for name, values in row.scores.items()}
    for other in rows:
        if other.defect == row.defect and other.arm in ("none", "agnostic") and other.arm != row.arm:
            told[f"less_{other.arm}"] = {
                name: _numbers(_difference(row.scores[name], other.scores[name], subjects)) for name in row.scores
            }
    return told


def _difference(arm: Sequence[float], other: Sequence[float], subjects: Sequence[str]) -> Estimate:
    by_photograph = dict(enumerate(subjects))
    return paired_difference(dict(enumerate(arm)), dict(enumerate(other)), subjects=by_photograph)


def _numbers(estimate: Estimate) -> list[float]:
    """Mean over subjects and its 95 % interval."""
    return [round(number, 4) for number in (estimate.value, estimate.low, estimate.high)]


def _levels(image: Pixels) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _read(path: Path) -> Pixels:
    image = Image.open(path).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(square, dtype=np.float64) / 255


def _smooth(rng: np.random.Generator) -> Pixels:
    """A smooth field (SIDE, SIDE, 1) from 0 to 1."""
    field = gaussian_filter(rng.standard_normal((SIDE, SIDE)), SIDE / 5, mode="reflect")
    return ((field - field.min()) / np.ptp(field))[..., None]


def _field(image: Pixels) -> npt.NDArray[np.bool_]:
    """Where the photograph is no black surround, (SIDE, SIDE, 1)."""
    return gaussian_filter(image.max(axis=2), 1)[..., None] > 0.08


def _tensor(images: Pixels) -> Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2) * 2 - 1).float()


if __name__ == "__main__":
    main()
