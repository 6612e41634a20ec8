"""The seven tasks of benchmarks/methods.py, on the real images that MEDGAN_DATA names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from methods_data import Pixels, Region, Sample, Task, centre, derived, one_each, samples_of
from torch.nn.functional import interpolate

from medgan.manifests.manifest import Manifest, read_manifest
from medgan.manifests.split import make_folds
from medgan.samples.prepared import PreparedCase
from medgan.samples.seeds import rng_for
from medgan.samples.square import Square
from medgan.samples.store import PreparedStore
from medgan.settings.domains import LETTERS
from medgan.settings.preparation import Preparation

MANIFESTS = Path(__file__).parent.parent / "data_manifests"
SEED = 5
TEST_IMAGES = 60
FACTOR = 4
SIZE_PX = 64
SITES_PX, SINGLE_PX, SINGLE_IMAGES = 120, 152, 6

Sides = tuple[list[PreparedCase], ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a task's cases come from.

    Args:
        manifest: Name of the table in data_manifests.
        domains: Domains a, b and so on.
        preparation: How the images are prepared.
        folds: The first of so many folds is tested on.
    """

    manifest: str
    domains: tuple[str, ...]
    preparation: Preparation
    folds: int

    def cases(self, data: Path, work: Path) -> tuple[Sides, Sides]:
        """Prepared cases of a, b and so on: those of the training subjects, and those of the test subjects."""
        table = read_manifest(MANIFESTS / f"{self.manifest}.csv", root=data)
        kept = replace(table, cases=tuple(case for case in table if case.domain in self.domains))
        folds = make_folds(kept, folds=self.folds, seed=SEED, stratify=None)
        store = PreparedStore(work / "prepared", self.preparation)
        opened = {case.case.case_id: case for case in store.add_all(kept, kept, workers=1)}

        def of(part: Manifest) -> Sides:
            return tuple([opened[case.case_id] for case in part if case.domain == domain] for domain in self.domains)

        return of(kept.of_subjects(folds.train(0))), of(kept.of_subjects(folds.test(0)))


PHOTOGRAPHS = Preparation(preset="photograph", size_px=88)
"""The longer side: the shorter one of a 4:3 picture is then just above the crop, so that no bar tells the domain."""
SLICES_3_MM = Preparation(preset="mr", percentiles=(0.0, 99.5), spacing_mm=(3.0, 3.0, 3.0))
SLICES_2_MM = Preparation(preset="mr", percentiles=(0.0, 99.5))
SKIN = Source(manifest="clinical_lesions", domains=("dermoscopy", "clinical"), preparation=PHOTOGRAPHS, folds=5)
RETINA = Source(
    manifest="fundus_quality",
    domains=("poor", "good"),
    preparation=Preparation(preset="fundus", size_px=SIZE_PX),
    folds=5,
)
SITES = Source(
    manifest="fundus_sites",
    domains=("deepdrid", "idrid", "chase"),
    # The middle 120 px of these lie within the field of view of every camera, whose shape would tell the site.
    preparation=Preparation(preset="fundus", size_px=176),
    folds=3,
)
BRAIN = Source(manifest="t1_to_flair", domains=("t1", "flair"), preparation=SLICES_3_MM, folds=3)
BRAIN_FINE = replace(BRAIN, preparation=SLICES_2_MM)


def load(name: str, *, data: Path, work: Path) -> Task:
    """Prepare a task's cases, or find them prepared.

    Args:
        name: One of :data:`TASKS`.
        data: Folder that the manifests' paths are relative to.
        work: Folder of what is made.
    """
    return TASKS[name](data, work)


def _unpaired(source: Source, data: Path, work: Path, *, name: str, settings: Mapping[str, Any]) -> Task:
    train, test = source.cases(data, work)
    return _task(name, train, test, settings=settings, paired=False)


def _t1_to_flair(data: Path, work: Path) -> Task:
    train, test = BRAIN.cases(data, work)
    settings = {"title": "T1 to FLAIR, slices of 3 mm", "steps": 200, "batch_size": 2, "flips": ()}
    settings["measures"] = ("ssim", "psnr", "mae", "perceptual", "sharpness", "kernel_distance")
    return _task("t1_to_flair", train, test, settings=settings, paired=True)


def _mask_to_dermoscopy(data: Path, work: Path) -> Task:
    train, test = SKIN.cases(data, work)
    store = work / "prepared"

    def sides(cases: Sequence[PreparedCase]) -> Sides:
        masks = [derived(case, store, what="mask", make=_mask_image) for case in cases]
        return masks, [_with_pair(case) for case in cases]

    settings = {"title": "lesion mask to dermoscopy", "steps": 600, "batch_size": 4}
    settings |= {"flips": ("horizontal", "vertical"), "label_value": 255}
    settings["measures"] = ("dice", "perceptual", "sharpness", "kernel_distance", "sliced_wasserstein")
    return _task("mask_to_dermoscopy", sides(train[0]), sides(test[0]), settings=settings, paired=True)


def _super_resolution(data: Path, work: Path) -> Task:
    train, test = BRAIN_FINE.cases(data, work)
    store = work / "prepared"

    def sides(cases: Sequence[PreparedCase]) -> Sides:
        fine = [derived(case, store, what="fine", make=_middle_square) for case in cases]
        # The coarse copy is a partner of the fine square, and both are partners of the case.
        coarse = [derived(case, store, what=f"coarse-x{FACTOR}", make=_coarse) for case in cases]
        return coarse, fine

    settings = {"title": f"{FACTOR}x super-resolution of T1 slices of 2 mm", "steps": 600, "batch_size": 4}
    settings |= {"flips": ("horizontal",)}
    settings["measures"] = ("psnr", "ssim", "mae", "perceptual", "sharpness", "kernel_distance")
    return _task("super_resolution", sides(train[0]), sides(test[0]), settings=settings, paired=True)


def _fundus_sites(data: Path, work: Path) -> Task:
    store = work / "prepared"
    train, test = (tuple(_middles(side, store, SITES_PX) for side in part) for part in SITES.cases(data, work))
    letters = LETTERS[1 : len(train)]
    cut = partial(samples_of, size_px=SITES_PX, count=TEST_IMAGES // len(letters), seed=SEED)

    def of(sides: Sides) -> list[Sample]:
        return [replace(one, to=to) for to, side in zip(letters, sides[1:], strict=True) for one in cut(side)]

    return Task(
        name="fundus_sites",
        title="fundus photographs of one site to the looks of two others",
        train=train,
        test=[replace(one, name=f"{one.name} to {to}", to=to) for one in cut(test[0]) for to in letters],
        real=of(test),
        known=of(train),
        size_px=SITES_PX,
        crop_px=SIZE_PX,  # crops tell little of what a site centres its photographs on
        steps=300,
        batch_size=2,
        measures=("domain", "kernel_distance", "sliced_wasserstein", "kept"),
        paired=False,
        targets=SITES.domains[1:],
    )


def _single_fundus(data: Path, work: Path) -> Task:
    larger = replace(SITES, domains=("deepdrid", "chase"), preparation=Preparation(preset="fundus", size_px=220))
    chosen = [one_each(side, SINGLE_IMAGES, rng=rng_for(SEED, "single images")) for side in larger.cases(data, work)[0]]
    sides = tuple(_middles(side, work / "prepared", SINGLE_PX) for side in chosen)
    a, b = ([centre(case, 0, size_px=SINGLE_PX) for case in side] for side in sides)
    test = [
        Sample(name=case.case.case_id, subject=case.case.subject_id, image=image, field=field, target=target)
        for case, (image, field, _), (target, _, _) in zip(sides[0], a, b, strict=True)
    ]
    real = [replace(sample, image=target, target=None) for sample, (target, _, _) in zip(test, b, strict=True)]
    return Task(
        name="single_fundus",
        title="one fundus photograph to the looks of one other",
        train=sides,
        test=test,
        real=real,
        known=real,
        size_px=SINGLE_PX,
        crop_px=SIZE_PX,
        steps=300,
        batch_size=4,
        measures=("reference", "kept"),
        paired=False,
        single=True,
    )


def _middles(cases: Sequence[PreparedCase], store: Path, size_px: int) -> list[PreparedCase]:
    """The middle squares of cases, in their own domains."""
    make = partial(_middle_square, size_px=size_px)
    cut = [derived(case, store, what=f"middle-{size_px}", make=make) for case in cases]
    for one in cut:
        if not one.field.all():
            raise ValueError(f"{one.case.case_id}: the middle {size_px} px show more than the field of view")
    return [replace(one, case=replace(one.case, domain=case.case.domain)) for one, case in zip(cut, cases, strict=True)]


def _task(name: str, train: Sides, test: Sides, *, settings: Mapping[str, Any], paired: bool) -> Task:
    cut = partial(samples_of, size_px=SIZE_PX, count=TEST_IMAGES, seed=SEED, least_field=0.2)
    return Task(
        name=name,
        train=train,
        test=cut(test[0], partners=test[1] if paired else ()),
        real=cut(test[1]),
        known=cut(train[1]),
        size_px=SIZE_PX,
        paired=paired,
        **settings,
    )


def _with_pair(case: PreparedCase) -> PreparedCase:
    return replace(case, case=replace(case.case, pair_id=case.case.case_id))


def _mask_image(case: PreparedCase) -> tuple[Pixels, Region, Any]:
    """The mask as an RGB picture: the lesion 1, all else -1."""
    assert case.label is not None  # noqa: S101
    picture = np.where(case.label > 0, 1, -1).astype(np.float32)
    return np.repeat(picture[None], 3, axis=0), np.array(case.field), np.array(case.label)


def _middle_square(case: PreparedCase, *, size_px: int = SIZE_PX) -> tuple[Pixels, Region, Any]:
    height, width = case.shape[-2:]
    square = Square(top=(height - size_px) // 2, left=(width - size_px) // 2, size_px=size_px)
    return square.cut(case.pixels, fill=-1), square.cut(case.field, fill=0), None


def _coarse(case: PreparedCase) -> tuple[Pixels, Region, Any]:
    """The middle square reduced by a bicubic kernel as wide as the factor, and back on its grid by interpolation."""
    pixels, field, _ = _middle_square(case)
    fine = torch.from_numpy(pixels)[0][:, None]  # slices take the place of a batch
    sides = (SIZE_PX // FACTOR, SIZE_PX)
    for side in sides:
        fine = interpolate(fine, size=(side, side), mode="bicubic", antialias=True).clamp(-1, 1)
    return fine[:, 0][None].numpy(), field, None


TASKS: Mapping[str, Callable[[Path, Path], Task]] = {
    "dermoscopy_to_clinical": partial(
        _unpaired,
        SKIN,
        name="dermoscopy_to_clinical",
        settings={
            "title": "dermoscopy to clinical photographs",
            "steps": 200,
            "batch_size": 2,
            "flips": ("horizontal", "vertical"),
            "label_value": 255,
            "measures": ("dice", "kernel_distance", "sliced_wasserstein", "kept"),
        },
    ),
    "poor_to_good_fundus": partial(
        _unpaired,
        RETINA,
        name="poor_to_good_fundus",
        settings={
            "title": "poor to good fundus photographs",
            "steps": 200,
            "batch_size": 2,
            "measures": ("quality", "kernel_distance", "sliced_wasserstein", "kept"),
        },
    ),
    "fundus_sites": _fundus_sites,
    "single_fundus": _single_fundus,
    "t1_to_flair": _t1_to_flair,
    "mask_to_dermoscopy": _mask_to_dermoscopy,
    "super_resolution": _super_resolution,
}
