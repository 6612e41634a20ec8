"""Samples with a label, drawn from one or several pools of cases."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medgan.errors import ManifestError
from medgan.manifests.manifest import Case
from medgan.samples.entries import Entry, check_alike, entries_of, stack_of
from medgan.samples.prepared import PreparedCase
from medgan.samples.sampler import Sampler
from medgan.samples.seeds import rng_for, seed_for
from medgan.samples.square import place_square
from medgan.transforms.augment import OUTSIDE, Augmentation, Labels, Pixels

Target = Literal["segmentation", "grade", "quality"] | Callable[[Case], int | None]


class _Sample(NamedTuple):
    image: Pixels
    label: Labels | np.int16
    valid: npt.NDArray[np.bool_]


class LabelledSamples:
    """Draws batches of images with a label map, or with one class each.

    The i-th draw takes a fixed pool, so that each pool has its share of every stretch of draws to within one, and
    every slice of a pool comes once before one comes twice.

    Args:
        pools: Cases to draw from, such as real and translated ones.
        weights: Share of the draws that each pool gets; they are divided by their sum.
        target: ``"segmentation"`` takes the label image, ``"grade"`` and ``"quality"`` the manifest's column; a
            function takes the class from the manifest's row.
        label_values: Value in file or manifest to class; every value that occurs must be named.
        size_px: Side of the square samples: cropped at random where a slice is larger, padded with -1 where smaller.
        augment: Random change to each sample; none by default.
        neighbours: Slices stacked in the channels, odd; 1 for photographs.
        seed: Seed of everything random.

    Raises:
        ManifestError: M050 a pool has no slice to draw, M051 a case without a label, M052 a value that is not named.
        GeometryError: G040 or G041, if cases cannot stand in one batch.
        ValueError: If weights are negative, all zero, or not as many as pools.
    """

    def __init__(
        self,
        pools: Sequence[Sequence[PreparedCase]],
        *,
        weights: Sequence[float],
        target: Target,
        label_values: Mapping[int, int],
        size_px: int,
        augment: Augmentation | None = None,
        neighbours: int = 1,
        seed: int,
    ) -> None:
        used = [(pool, weight) for pool, weight in zip(pools, weights, strict=True) if weight != 0]
        self.pools = [pool for pool, _ in used]
        self._shares = _shares([weight for _, weight in used])
        check_alike([case for pool in self.pools for case in pool], neighbours=neighbours)
        self.size_px, self.neighbours, self.seed = size_px, neighbours, seed
        self._target, self._values = target, dict(label_values)
        self._entries = [entries_of(pool) for pool in self.pools]
        self._samplers = [
            Sampler(len(entries), seed=seed_for(seed, "order", number)) for number, entries in enumerate(self._entries)
        ]
        self._augment = augment
        for pool in self.pools:
            for case in pool:
                self._check(case)

    def draw(self, step: int, batch_size: int) -> dict[str, Tensor]:
        """Draw a step's batch; the same step gives the same batch.

        Returns:
            ``"image"`` (N, channels * neighbours, size_px, size_px) in [-1, 1]; ``"label"`` classes as int64, (N,
            size_px, size_px) for a segmentation, else (N,); ``"valid"`` bool (N, size_px, size_px), false where a
            pixel is padding or was moved in from beyond the border, whose label is then 0 and whose image is -1.
        """
        drawn = [self._sample(i) for i in range(step * batch_size, (step + 1) * batch_size)]
        images, labels, valid = (np.stack(parts) for parts in zip(*drawn, strict=True))
        return {
            "image": torch.from_numpy(images),
            "label": torch.from_numpy(labels).long(),
            "valid": torch.from_numpy(valid),
        }

    def class_shares(self) -> tuple[float, ...]:
        """Share of the draws of each class, for targets with one class a sample.

        Raises:
            ValueError: For a segmentation.
        """
        if self._target == "segmentation":
            raise ValueError("a segmentation's samples have no single class")
        shares = [0.0] * (max(self._values.values()) + 1)
        for pool, entries, share in zip(self.pools, self._entries, self._shares, strict=True):
            for entry in entries:
                shares[self._class_of(pool[entry.case])] += float(share) / len(entries)
        return tuple(shares)

    def place(self, i: int) -> tuple[int, int]:
        """Pool of the i-th draw, and how many draws that pool had before.

        Pools without weight are not counted.
        """
        rest = Fraction(1)
        for number, share in enumerate(self._shares[:-1]):
            part = share / rest
            before, after = _whole(i * part), _whole((i + 1) * part)
            if after > before:
                return number, before
            i, rest = i - before, rest - share
        return len(self._shares) - 1, i

    def _sample(self, i: int) -> _Sample:
        number, turn = self.place(i)
        entry = self._entries[number][self._samplers[number].index(turn)]
        case = self.pools[number][entry.case]
        rng = rng_for(self.seed, "sample", i)
        stack = stack_of(case, entry.plane, neighbours=self.neighbours)
        square = place_square(stack.shape, self.size_px, rng)
        image = square.cut(stack, fill=-1)
        labels = square.cut(self._label_map(case, entry), fill=OUTSIDE)
        if self._augment is not None:
            image, labels = _augmented(self._augment, image, labels, rng)
        valid = labels != OUTSIDE
        labels = np.maximum(labels, 0)
        if self._target == "segmentation":
            return _Sample(image, labels, valid)
        return _Sample(image, np.int16(self._class_of(case)), valid)

    def _label_map(self, case: PreparedCase, entry: Entry) -> Labels:
        if self._target != "segmentation":
            return np.zeros(case.shape[-2:], dtype=np.int16)
        label = case.label
        if label is None:
            raise _unlabelled(case)
        return _classes(label if label.ndim == 2 else label[entry.plane], self._values)

    def _class_of(self, case: PreparedCase) -> int:
        value = self._value_of(case.case)
        if value is None:
            raise _unlabelled(case)
        return self._values[value]

    def _value_of(self, case: Case) -> int | None:
        if callable(self._target):
            return self._target(case)
        return case.grade if self._target == "grade" else case.quality

    def _check(self, case: PreparedCase) -> None:
        if self._target == "segmentation":
            found = case.label_values
        else:
            value = self._value_of(case.case)
            found = None if value is None else (value,)
        if found is None:
            raise _unlabelled(case)
        unknown = [value for value in found if value not in self._values]
        if unknown:
            raise ManifestError(
                "M052",
                "the label has a value without a meaning",
                where=f"case {case.case.case_id}",
                got=", ".join(str(value) for value in unknown[:8]) + (" ..." if len(unknown) > 8 else ""),
                expected="one of " + ", ".join(str(value) for value in sorted(self._values)),
                remedy="name the value's class in the task, or correct the label",
            )


def _shares(weights: Sequence[float]) -> list[Fraction]:
    if not weights or min(weights) < 0:
        raise ValueError(f"weights of pools must be positive, at least one of them; got {list(weights)}")
    exact = [Fraction(weight).limit_denominator(10_000) for weight in weights]
    return [weight / sum(exact) for weight in exact]


def _whole(value: Fraction) -> int:
    return value.numerator // value.denominator


def _augmented(augment: Augmentation, image: Pixels, labels: Labels, rng: np.random.Generator) -> tuple[Pixels, Labels]:
    """Augment, and set what is outside to -1 again: a change of the grey values reaches the padding too."""
    image, moved = augment(image, labels, rng)
    if moved is None:
        raise TypeError(f"{type(augment).__name__} lost the label")
    return np.where(moved == OUTSIDE, np.float32(-1), image), moved


def _classes(label: npt.NDArray[Any], values: Mapping[int, int]) -> Labels:
    """Values to classes; one pass for each class, which for a few is faster than a table."""
    classes = np.zeros(label.shape, dtype=np.int16)
    for value, number in values.items():
        if number != 0:
            classes += (label == value) * np.int16(number)
    return classes


def _unlabelled(case: PreparedCase) -> ManifestError:
    return ManifestError(
        "M051",
        "the case has no label",
        where=f"case {case.case.case_id}",
        remedy="add its mask, grade or quality to the manifest, or leave it out of the labelled pools",
    )
