"""Is a CycleGAN for one defect of fundus photographs better than one for all? Known defects of real good photographs.

    python benchmarks/defects.py --data FOLDER --work FOLDER [--steps 400] [--only NAME ...]

Good photographs (DeepDRiD) of some subjects are blurred, veiled or unevenly lit as physics has it; good ones of other
subjects are the target domain. Test subjects' originals are known, so that PSNR and SSIM say how near a translation
comes. ``agnostic`` learns from all three defects, ``same:DEFECT`` from one with the same settings, ``preset:DEFECT``
from one with the preset for it. What is trained already is read; pictures are in ``defects.png``.
"""

import argparse
import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.metrics.similarity import psnr, ssim
from medgan.settings.loop import LoopSettings
from medgan.training.loop import train
from medgan.training.translator import SampleShape

SIDE, BATCH = 96, 2
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
AGNOSTIC: Mapping[str, Any] = {"predicts": "change", "norm": "none", "weight_cycle": 5, "weight_identity": 0.1}
"""As the small profile of pipelines/fundus_quality.yaml has it."""
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


def main() -> None:
    """Train what is wanted, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument(
        "--only", nargs="*", default=["agnostic", *(f"{a}:{d}" for a in ("preset", "same") for d in DEFECTS)]
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    sources, targets, tests = photographs(given.data)
    shown = {name: damaged(tests, name, seed=1) for name in DEFECTS}
    print("| defect | translation | PSNR | SSIM |\n|---|---|---|---|")
    rows = {name: [tests[:6], shown[name][:6]] for name in DEFECTS}
    for name, images in shown.items():
        _tell(name, "none", images, tests)
    for arm in given.only:
        kinds = list(DEFECTS) if arm == "agnostic" else [arm.split(":")[1]]
        learner = trained(arm, sources, targets, kinds, work=given.work, steps=given.steps)
        for name in kinds:
            made = translated(learner, shown[name])
            _tell(name, arm, made, tests)
            rows[name].append(made[:6])
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for name in DEFECTS for row in rows[name]])
    Image.fromarray((sheet * 255).round().astype(np.uint8)).save(given.work / "defects.png")


def photographs(data: Path) -> tuple[Pixels, Pixels, Pixels]:
    """Good photographs (N, SIDE, SIDE, 3) in [0, 1]: of subjects for the source, the target and the test."""
    folder = data / "fundus_deepdrid"
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        good = [row for row in csv.DictReader(file) if row["domain"] == "good"]
    subjects = sorted({row["patient_id"] for row in good})
    np.random.default_rng(0).shuffle(subjects)
    fifth = len(subjects) // 5
    parts = (set(subjects[: 2 * fifth]), set(subjects[2 * fifth : 4 * fifth]), set(subjects[4 * fifth :]))
    found = [[_read(folder / row["path"]) for row in good if row["patient_id"] in part] for part in parts]
    return np.stack(found[0]), np.stack(found[1]), np.stack(found[2])


def damaged(images: Pixels, kind: str, *, seed: int) -> Pixels:
    """Every image with a defect of its own strength and place."""
    rng = np.random.default_rng([seed, list(DEFECTS).index(kind)])
    return np.stack([DEFECTS[kind](image, rng) for image in images])


def trained(arm: str, sources: Pixels, targets: Pixels, kinds: list[str], *, work: Path, steps: int) -> CycleGAN:
    """The arm's CycleGAN from photographs with the defects to good ones; goes on where it was cut off."""
    preset = arm.split(":")[1] if arm.startswith("preset") else None
    settings = {**NARROW, "total_steps": steps}
    recipe = CycleGANRecipe(**settings, preset=preset) if preset else CycleGANRecipe(**settings, **AGNOSTIC)
    torch.manual_seed(0)
    learner = CycleGAN(recipe, shape=SampleShape(3, 1, SIDE))
    # As many images whatever the number of defects.
    a = np.concatenate([damaged(sources, kind, seed=0)[number :: len(kinds)] for number, kind in enumerate(kinds)])
    domains = {"a": _tensor(a), "b": _tensor(targets)}

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


def _tell(defect: str, arm: str, made: Pixels, originals: Pixels) -> None:
    scores = [
        [psnr(true, one, data_range=1.0), ssim(true.mean(axis=2), one.mean(axis=2), data_range=1.0)]
        for true, one in zip(originals, made, strict=True)
    ]
    told = [
        f"{mean:.3f} ± {std:.3f}" for mean, std in zip(np.mean(scores, axis=0), np.std(scores, axis=0), strict=True)
    ]
    print(f"| {defect} | {arm} | {told[0]} | {told[1]} |", flush=True)


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
