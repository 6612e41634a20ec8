"""What the methods of benchmarks/methods.py are trained and tested on: squares of prepared cases, split by subject."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medgan.manifests.manifest import Case
from medgan.samples.entries import stack_of
from medgan.samples.paired import match_pairs
from medgan.samples.prepared import PreparedCase, open_prepared, save_prepared
from medgan.samples.seeds import rng_for
from medgan.samples.square import Square
from medgan.settings.domains import LETTERS, Domain
from medgan.transforms.trace import Prepared

Pixels = npt.NDArray[np.float32]
Region = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One test image, cut to the square that the networks are given.

    Args:
        name: Case, and slice where it is a volume.
        subject: The person.
        image: (C, size_px, size_px) in [-1, 1].
        field: What shows something, (size_px, size_px): the retina, the brain.
        label: Labels as in the mask's file, (size_px, size_px); None without a mask.
        target: The true image of the other domain, as ``image``; None where there are no pairs.
        to: The domain that it is translated to; of a real image of a target domain, that domain.
    """

    name: str
    subject: str
    image: Pixels
    field: Region
    label: npt.NDArray[Any] | None = None
    target: Pixels | None = None
    to: Domain = "b"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A translation from domain a to b, or to each of several, with who is trained on and who is tested.

    Args:
        name: Name of its files.
        title: What is translated into what.
        train: Training cases of a, of b and so on.
        test: Test images of a, each once for every target domain.
        real: Images of the target domains of the test subjects.
        known: Images of the target domains of the training subjects, at most as many as ``test``: how far real images
            are from real ones.
        label_value: Value of the structure in the masks; None where there are none.
        size_px: Side of the squares.
        steps: Training steps of every method.
        batch_size: Samples in a step.
        measures: What is measured, by name.
        paired: Whether a case of a has one of b on the same grid.
        flips: How training samples are mirrored.
        targets: Names of the target domains, for a picture's rows; none where there is one.
        crop_px: Side of the squares that are trained on, where it is not ``size_px``.
        single: Whether each test image has a training of its own, from one case of a and one of b alone.
    """

    name: str
    title: str
    train: tuple[Sequence[PreparedCase], ...]
    test: Sequence[Sample]
    real: Sequence[Sample]
    known: Sequence[Sample]
    size_px: int
    steps: int
    batch_size: int
    measures: tuple[str, ...]
    paired: bool
    label_value: int | None = None
    flips: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    crop_px: int | None = None
    single: bool = False

    @property
    def letters(self) -> tuple[Domain, ...]:
        """The target domains."""
        return LETTERS[1 : len(self.train)]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.train[0][0].shape[0])

    def digest(self) -> str:
        """Of the images and of how long is trained: results under another digest do not compare."""
        keys = [case.key for side in self.train for case in side] + [sample.name for sample in self.test]
        sides = f"{self.size_px} of {self.crop_px}" if self.crop_px else f"{self.size_px}"
        told = f"{sides} {self.steps} {self.batch_size} {self.flips} {' '.join(keys)}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def centre(case: PreparedCase, plane: int, *, size_px: int) -> tuple[Pixels, Region, npt.NDArray[Any] | None]:
    """The middle square of a slice, its field and its labels; padded by -1 where the slice is smaller."""
    image = stack_of(case, plane, neighbours=1)
    height, width = image.shape[-2:]
    square = Square(top=(height - size_px) // 2, left=(width - size_px) // 2, size_px=size_px)
    field, label = (
        None if part is None else part if part.ndim == 2 else part[plane] for part in (case.field, case.label)
    )
    assert field is not None  # noqa: S101
    return square.cut(image, fill=-1), square.cut(field, fill=0), None if label is None else square.cut(label, fill=0)


def samples_of(
    cases: Sequence[PreparedCase],
    *,
    size_px: int,
    count: int,
    seed: int,
    partners: Sequence[PreparedCase] = (),
    least_field: float = 0.05,
) -> list[Sample]:
    """Test images: at most ``count``, dealt evenly to the subjects, in an order drawn from the seed.

    Args:
        cases: Cases of the domain.
        size_px: Side of the squares.
        count: How many at most.
        seed: Seed of the order.
        partners: Cases of the other domain with the same pair_ids.
        least_field: Squares with a smaller share of field are left out.
    """
    of_pair = {one.case.case_id: other for one, other in match_pairs(cases, partners)} if partners else {}
    by_subject: dict[str, list[Sample]] = defaultdict(list)
    for case in cases:
        partner = of_pair.get(case.case.case_id)
        for plane in range(case.slices):
            image, field, label = centre(case, plane, size_px=size_px)
            if field.mean() >= least_field:
                target = None if partner is None else centre(partner, plane, size_px=size_px)[0]
                name = case.case.case_id if case.slices == 1 else f"{case.case.case_id} slice {plane}"
                subject = case.case.subject_id
                by_subject[subject].append(
                    Sample(name=name, subject=subject, image=image, field=field, label=label, target=target)
                )
    return list(_dealt(by_subject, count=count, rng=rng_for(seed, "test images")))


def one_each(cases: Sequence[PreparedCase], count: int, *, rng: np.random.Generator) -> list[PreparedCase]:
    """The first case of each of ``count`` subjects, which are drawn."""
    first: dict[str, PreparedCase] = {}
    for case in cases:
        first.setdefault(case.case.subject_id, case)
    names = sorted(first)
    return [first[names[place]] for place in rng.permutation(len(names))[:count]]


def derived(
    case: PreparedCase, root: Path, *, what: str, make: Callable[[PreparedCase], tuple[Pixels, Region, Any]]
) -> PreparedCase:
    """A prepared case made from another one, such as its low-resolution copy, kept in the store beside it.

    Args:
        case: The case.
        root: Folder of the store.
        what: Name of the new domain, and of how it is made.
        make: Gives pixels, field and labels.
    """
    key = hashlib.sha256(f"{case.key} {what}".encode()).hexdigest()
    folder = root / key[:2] / key
    if not folder.is_dir():
        pixels, field, label = make(case)
        save_prepared(Prepared(pixels, label, field, case.trace), folder, source=case.key)
    row: Case = replace(case.case, case_id=f"{case.case.case_id}-{what}", domain=what, pair_id=case.case.case_id)
    return open_prepared(row, key, folder)


def _dealt(by_subject: dict[str, list[Sample]], *, count: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Round by round one image of every subject, until there are enough."""
    left = {subject: [images[i] for i in rng.permutation(len(images))] for subject, images in by_subject.items()}
    names = sorted(left)
    order = [names[i] for i in rng.permutation(len(names))]
    given = 0
    while given < count and any(left.values()):
        for subject in order:
            if left[subject] and given < count:
                yield left[subject].pop()
                given += 1
