"""What benchmarks/methods.py measures on held-out subjects: each measure with its convention, in words."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from methods_data import Sample, Task
from methods_judges import Judges

from medgan.losses.perceptual import feature_distance
from medgan.metrics import overlap, similarity
from medgan.metrics.distribution import kernel_distance, sliced_wasserstein
from medgan.metrics.interval import mean_estimate, subject_means
from medgan.samples.seeds import rng_for
from medgan.settings.domains import LETTERS

Pixels = npt.NDArray[np.float32]
PATCH_PX, PATCHES, DIRECTIONS = 7, 64, 64
DENSE_PATCHES = 2048


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One column of a table.

    Args:
        title: Its heading.
        convention: What exactly is computed.
        better: ``"high"``, ``"low"``, or ``"one"`` where 1 is right.
        scale: Factor in the table, such as 1000 for small numbers.
        digits: Decimals in the table.
        of_set: Whether it is one number for the whole set, without an interval over subjects.
    """

    title: str
    convention: str
    better: str
    scale: float = 1.0
    digits: int = 3
    of_set: bool = False


MEASURES: Mapping[str, Measure] = {
    "psnr": Measure(
        title="PSNR, dB",
        convention="PSNR of each image, data_range 2 ([-1, 1]), inside the foreground of the source",
        better="high",
        digits=2,
    ),
    "ssim": Measure(
        title="SSIM",
        convention="SSIM of each slice (11-pixel Gaussian window, sigma 1.5; images shifted by 1, data_range 2), its "
        "map averaged inside the foreground of the source",
        better="high",
    ),
    "mae": Measure(
        title="MAE",
        convention="mean absolute error of each image in units of [-1, 1], inside the foreground of the source",
        better="low",
    ),
    "perceptual": Measure(
        title="feature distance to the true image",
        convention="sum over the layers of the mean squared difference of the features of each image and the true one, "
        "network: {features}; LPIPS-like, but not LPIPS",
        better="low",
        digits=1,
    ),
    "sharpness": Measure(
        title="sharpness (true = 1)",
        convention="mean absolute step from pixel to pixel inside the foreground of the source, divided by the true "
        "image's: below 1 is blurred, above 1 is rougher than the truth",
        better="one",
        digits=2,
    ),
    "dice": Measure(
        title="FCN-like score: Dice of the lesion",
        convention="Dice of what a segmenter, trained on real images of the target domain of the training subjects, "
        "finds in each translated image, against the true mask",
        better="high",
    ),
    "quality": Measure(
        title="quality score",
        convention="probability of good quality that a classifier, trained on real poor and good photographs of the "
        "training subjects, gives to each image",
        better="high",
    ),
    "domain": Measure(
        title="share taken for the wanted domain",
        convention="share of the images that a classifier, trained on crops of real images of all domains of the "
        "training subjects, takes for the domain that they were translated to, by its mean over four crops",
        better="high",
    ),
    "kept": Measure(
        title="SSIM to the source",
        convention="SSIM of each translated image to its own source (grey: mean of the channels; data_range 2) inside "
        "the foreground: how much stayed in place, not how good it is",
        better="high",
    ),
    "kernel_distance": Measure(
        title="kernel distance",
        convention="unbiased squared MMD with KID's kernel, of features averaged over pixels, to real images of the "
        "target domain of test subjects; network: {features}",
        better="low",
        digits=1,
        of_set=True,
    ),
    "reference": Measure(
        title="sliced Wasserstein to the reference",
        convention=f"sliced Wasserstein distance of {PATCH_PX} x {PATCH_PX} patches of pixels ({DENSE_PATCHES} an "
        f"image, {DIRECTIONS} directions) of each image to the one that it was to look like, in units of [-1, 1]",
        better="low",
    ),
    "sliced_wasserstein": Measure(
        title="sliced Wasserstein",
        convention=f"sliced Wasserstein distance of {PATCH_PX} x {PATCH_PX} patches of pixels ({PATCHES} an image, "
        f"{DIRECTIONS} directions), to real images of the target domain of test subjects, in units of [-1, 1]",
        better="low",
        of_set=True,
    ),
}


def measured(outputs: Pixels, task: Task, judges: Judges) -> dict[str, Any]:
    """Every measure of a task for what a method made of its test images, by name."""
    return {name: _measured(name, outputs, task.test, task=task, judges=judges) for name in task.measures}


def of_real(task: Task, judges: Judges) -> dict[str, Any]:
    """The same of real images of the target domain: of test subjects, or for sets of training subjects."""
    found = {}
    for name in task.measures:
        if MEASURES[name].of_set:
            found[name] = _measured(name, _stack(task.known), task.known, task=task, judges=judges)
        elif name in ("dice", "quality", "domain"):
            found[name] = _measured(name, _stack(task.real), task.real, task=task, judges=judges)
    return found


def diversity(styles: Pixels, judges: Judges) -> float | None:
    """Mean feature distance between outputs of the same image (S, n, C, H, W); None where there is one output."""
    if len(styles) < 2:
        return None
    of_style = [judges.layers(images) for images in styles]
    pairs = [(a, b) for i, a in enumerate(of_style) for b in of_style[:i]]
    distances = [float(feature_distance(x, y)) for a, b in pairs for x, y in zip(a, b, strict=True)]
    return float(np.mean(distances))


def real_diversity(task: Task, judges: Judges) -> float:
    """Mean feature distance between real images of the target domain, each and the next one of the test images."""
    layers = judges.layers(_stack(task.real))
    return float(np.mean([float(feature_distance(a, b)) for a, b in pairwise(layers)]))


def _measured(name: str, outputs: Pixels, samples: Sequence[Sample], *, task: Task, judges: Judges) -> dict[str, Any]:
    if MEASURES[name].of_set:
        own, real = _by_target(outputs, samples, task), _by_target(_stack(task.real), task.real, task)
        of_each = [_OF_SETS[name](made, true, task, judges) for made, true in zip(own, real, strict=True)]
        return {"value": float(np.mean(of_each))}
    values = _OF_IMAGES[name](outputs, samples, task, judges)
    subjects = [sample.subject for sample in samples]
    found = mean_estimate(values, subjects)
    defined = [subject for subject, value in zip(subjects, values, strict=True) if not math.isnan(value)]
    means = subject_means(values, subjects)
    by_subject = dict(zip(dict.fromkeys(defined), (round(float(mean), 6) for mean in means), strict=True))
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n_subjects": found.n_subjects,
        "n_images": found.n_values,
        "n_undefined": found.n_undefined,
        "by_subject": by_subject,
        **({"of_target": _of_target(values, samples, task)} if len(task.letters) > 1 else {}),
    }


def _of_target(values: Sequence[float], samples: Sequence[Sample], task: Task) -> dict[str, float]:
    """The mean over subjects of each target domain by itself."""
    found = {}
    for letter in task.letters:
        numbers = [number for number, sample in enumerate(samples) if sample.to == letter]
        subjects = [samples[number].subject for number in numbers]
        found[letter] = mean_estimate([values[number] for number in numbers], subjects).value
    return found


def _by_target(images: Pixels, samples: Sequence[Sample], task: Task) -> list[Pixels]:
    """The images of each target domain."""
    return [images[[sample.to == letter for sample in samples]] for letter in task.letters]


def _kernel(outputs: Pixels, real: Pixels, task: Task, judges: Judges) -> float:
    return kernel_distance(judges.pooled(outputs), judges.pooled(real))


def _sliced(outputs: Pixels, real: Pixels, task: Task, judges: Judges) -> float:
    return _patch_distance(outputs, real, patches=PATCHES)


def _patch_distance(images: Pixels, others: Pixels, *, patches: int) -> float:
    rng = rng_for(0, "directions")
    directions = rng.normal(size=(DIRECTIONS, images.shape[1] * PATCH_PX**2))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    own, other = (_patches(each, patches) for each in (images, others))
    return sliced_wasserstein(own, other, directions=directions)


def _patches(images: Pixels, count: int) -> npt.NDArray[np.float64]:
    rng = rng_for(0, "patches")
    side = images.shape[-1] - PATCH_PX + 1
    tops, lefts = rng.integers(side, size=(2, len(images), count))
    cut = [
        image[:, top : top + PATCH_PX, left : left + PATCH_PX].ravel()
        for image, rows, columns in zip(images, tops, lefts, strict=True)
        for top, left in zip(rows, columns, strict=True)
    ]
    return np.stack(cut).astype(np.float64)


def _of_pair(score: Callable[[Sample, Pixels], float]) -> Callable[..., list[float]]:
    def each(outputs: Pixels, samples: Sequence[Sample], task: Task, judges: Judges) -> list[float]:
        return [score(sample, output) for sample, output in zip(samples, outputs, strict=True)]

    return each


def _true(sample: Sample) -> Pixels:
    assert sample.target is not None  # noqa: S101
    return sample.target


def _psnr(sample: Sample, output: Pixels) -> float:
    value = similarity.psnr(_true(sample), output, data_range=2.0, mask=sample.field, channel_axis=0)
    return value if math.isfinite(value) else math.nan


def _ssim(sample: Sample, output: Pixels) -> float:
    # Half precision, in which outputs are kept, may leave [-1, 1] by a rounding.
    pair = [np.clip(image + 1, 0, 2) for image in (_true(sample), output)]
    return similarity.ssim(*pair, data_range=2.0, mask=sample.field, channel_axis=0)


def _mae(sample: Sample, output: Pixels) -> float:
    return similarity.mae(_true(sample), output, mask=sample.field, channel_axis=0)


def _kept(sample: Sample, output: Pixels) -> float:
    pair = [np.clip(image.mean(axis=0) + 1, 0, 2) for image in (sample.image, output)]
    return similarity.ssim(*pair, data_range=2.0, mask=sample.field)


def _sharpness(sample: Sample, output: Pixels) -> float:
    own, true = (_roughness(image, sample.field) for image in (output, _true(sample)))
    return own / true if true > 0 else math.nan


def _reference(sample: Sample, output: Pixels) -> float:
    return _patch_distance(output[None], _true(sample)[None], patches=DENSE_PATCHES)


def _roughness(image: Pixels, field: npt.NDArray[np.bool_]) -> float:
    down, right = (np.abs(np.diff(image, axis=axis)).mean(axis=0) for axis in (1, 2))
    steps = np.concatenate([down[field[1:] & field[:-1]], right[field[:, 1:] & field[:, :-1]]])
    return float(steps.mean()) if steps.size else 0.0


def _perceptual(outputs: Pixels, samples: Sequence[Sample], task: Task, judges: Judges) -> list[float]:
    pairs = zip(judges.layers(outputs), judges.layers(np.stack([_true(s) for s in samples])), strict=True)
    return [float(feature_distance(own, true)) for own, true in pairs]


def _dice(outputs: Pixels, samples: Sequence[Sample], task: Task, judges: Judges) -> list[float]:
    found = judges.lesions(outputs)
    masks = [np.zeros((task.size_px, task.size_px), bool) if s.label is None else s.label > 0 for s in samples]
    return [overlap.dice(mask.astype(np.int64), own, label=1) for mask, own in zip(masks, found, strict=True)]


def _quality(outputs: Pixels, samples: Sequence[Sample], task: Task, judges: Judges) -> list[float]:
    return [float(value) for value in judges.quality(outputs)]


def _domain(outputs: Pixels, samples: Sequence[Sample], task: Task, judges: Judges) -> list[float]:
    taken = judges.domains(outputs).argmax(axis=1)
    return [float(LETTERS[place] == sample.to) for place, sample in zip(taken, samples, strict=True)]


def _stack(samples: Sequence[Sample]) -> Pixels:
    return np.stack([sample.image for sample in samples])


_OF_SETS: Mapping[str, Callable[[Pixels, Pixels, Task, Judges], float]] = {
    "kernel_distance": _kernel,
    "sliced_wasserstein": _sliced,
}
_OF_IMAGES: Mapping[str, Callable[..., list[float]]] = {
    "psnr": _of_pair(_psnr),
    "ssim": _of_pair(_ssim),
    "mae": _of_pair(_mae),
    "kept": _of_pair(_kept),
    "reference": _of_pair(_reference),
    "sharpness": _of_pair(_sharpness),
    "perceptual": _perceptual,
    "dice": _dice,
    "quality": _quality,
    "domain": _domain,
}
