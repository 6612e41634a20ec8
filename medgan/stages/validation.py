"""Scores of a translator on held-out training subjects, by which its best checkpoint is chosen; higher is better.

With pairs it is the structural similarity with the true image within its foreground. Without, nothing can say whether
*this* image came out right; what can be said is whether the translations as a set look like the real targets. That
is minus the sliced Wasserstein distance between patches of both, at three sizes, and nothing besides. It sees
intensities and textures. It does not see whether anatomy was kept: a generator that draws fine target images of
someone else scores high. The cycle and identity losses hold that, and the audit and downstream scores judge it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from medgan.imaging.slices import crop_back, pad_to_multiple
from medgan.metrics.distribution import sliced_wasserstein
from medgan.metrics.similarity import ssim
from medgan.samples.entries import entries_of, stack_of
from medgan.samples.paired import match_pairs
from medgan.samples.prepared import PreparedCase
from medgan.samples.seeds import rng_for
from medgan.training.learner import Learner
from medgan.training.translator import LETTERS, Domain, Translator

Array = npt.NDArray[np.float32]

SLICES = 48
"""At most so many slices of a domain are scored, spread evenly, so that a score costs less than a minute of steps."""

PATCH_PX = 7
PATCHES = 128
SCALES = (1, 2, 4)
DIRECTIONS = 64

_BACKGROUND = -0.98


class Slice(NamedTuple):
    """A held-out slice: the input (channels * neighbours, H, W) or target (channels, H, W), in [-1, 1]."""

    subject: str
    pixels: Array


class PairedScore:
    """Mean structural similarity with the true image.

    Args:
        source: Held-out cases of the source domain.
        target: Their partners.
        neighbours: Slices stacked in the channels.
    """

    def __init__(self, source: Sequence[PreparedCase], target: Sequence[PreparedCase], *, neighbours: int) -> None:
        pairs = match_pairs(source, target)
        partners = [other for _, other in pairs]
        entries = _spread(entries_of([one for one, _ in pairs], partners=partners))
        self._slices = [
            (_slice(pairs[case][0], plane, neighbours), _slice(pairs[case][1], plane, 1)) for case, plane in entries
        ]
        self.subjects = {one.subject for one, _ in self._slices}
        self.name = (
            f"SSIM with the true image (data range 2, inside its foreground), "
            f"{len(self._slices)} slices of {len(self.subjects)} held-out subjects"
        )

    def __call__(self, learner: Learner) -> float:
        """Mean over subjects of the mean over their slices; NaN where no slice can be compared."""
        values: dict[str, list[float]] = {}
        for source, target in self._slices:
            fake = _translated(learner, source.pixels)
            value = ssim(
                np.clip(target.pixels + 1.0, 0, 2),
                np.clip(fake + 1.0, 0, 2),
                data_range=2.0,
                mask=np.asarray((target.pixels > _BACKGROUND).any(axis=0)),
                channel_axis=0,
            )
            if np.isfinite(value):
                values.setdefault(source.subject, []).append(value)
        return float(np.mean([np.mean(each) for each in values.values()])) if values else float("nan")


class UnpairedScore:
    """Minus the distance between translated and real patches; see this file's first words for what it cannot see.

    Args:
        source: Held-out cases of the source domain.
        target: Held-out cases of the target domain, of the same or other subjects.
        neighbours: Slices stacked in the channels.
        to: Letter of the target domain.
    """

    def __init__(
        self, source: Sequence[PreparedCase], target: Sequence[PreparedCase], *, neighbours: int, to: Domain = "b"
    ) -> None:
        self._to: Domain = to
        self._source = [_slice(source[case], plane, neighbours) for case, plane in _spread(entries_of(source))]
        real = [_slice(target[case], plane, 1).pixels for case, plane in _spread(entries_of(target))]
        self._real = [_patches(real, scale) for scale in SCALES]
        self.subjects = {one.case.subject_id for one in (*source, *target)}
        self.name = (
            f"minus the sliced Wasserstein distance of {PATCH_PX} px patches to real target images, "
            f"{len(self._source)} slices against {len(real)} of {len(self.subjects)} held-out subjects; "
            "blind to whether anatomy was kept"
        )

    def __call__(self, learner: Learner) -> float:
        """Mean over the sizes; 0 where the patches are distributed alike."""
        fakes = [_translated(learner, one.pixels, to=self._to) for one in self._source]
        distances = [
            sliced_wasserstein(_patches(fakes, scale), real, directions=_directions(real.shape[1]))
            for scale, real in zip(SCALES, self._real, strict=True)
        ]
        return -float(np.mean(distances))


class EveryDomainScore:
    """Mean over the domains of what :class:`UnpairedScore` gives for all others' images translated to it.

    Args:
        domains: Held-out cases of each domain, in the order of the letters.
        neighbours: Slices stacked in the channels.
    """

    def __init__(self, *domains: Sequence[PreparedCase], neighbours: int) -> None:
        others = [[case for side in domains if side is not own for case in side] for own in domains]
        self._scores = [
            UnpairedScore(source, target, neighbours=neighbours, to=letter)
            for source, target, letter in zip(others, domains, LETTERS[: len(domains)], strict=True)
        ]
        self.subjects = {case.case.subject_id for side in domains for case in side}
        self.name = f"mean over {len(domains)} domains, last of them {self._scores[-1].name}"

    def __call__(self, learner: Learner) -> float:
        """Mean over the domains; 0 where the patches are distributed alike."""
        return float(np.mean([score(learner) for score in self._scores]))


def _spread(entries: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    places = np.unique(np.linspace(0, len(entries) - 1, min(SLICES, len(entries))).round().astype(int))
    return [entries[place] for place in places]


def _slice(case: PreparedCase, plane: int, neighbours: int) -> Slice:
    return Slice(case.case.subject_id, np.array(stack_of(case, plane, neighbours=neighbours)))


def _translated(learner: Learner, stack: Array, *, to: Domain = "b") -> Array:
    """A slice (channels * neighbours, H, W) in another domain, (channels, H, W)."""
    if not isinstance(learner, Translator):
        raise TypeError("only a translator translates")
    padded, before = pad_to_multiple(stack[None], learner.size_multiple)
    device = next(learner.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(padded)).to(device)
    fake = learner.translate(batch, to=to).float().clamp(-1, 1).cpu().numpy()
    return crop_back(fake, before)[0]


def _patches(images: Sequence[Array], scale: int) -> Array:
    """Patches at fixed places, one per row; images (C, H, W) are shrunk by the scale first."""
    found = [patch for number, image in enumerate(images) for patch in _patches_of(image, scale, number)]
    return np.stack(found) if found else np.empty((0, images[0].shape[0] * PATCH_PX**2), np.float32)


def _patches_of(image: Array, scale: int, number: int) -> Iterator[Array]:
    channels, height, width = (side // (scale if axis else 1) for axis, side in enumerate(image.shape))
    cut = image[:, : height * scale, : width * scale]
    small = cut.reshape(channels, height, scale, width, scale).mean(axis=(2, 4))
    if min(height, width) < PATCH_PX:
        return
    rng = rng_for(0, "patches", scale, number)
    tops, lefts = (rng.integers(0, side - PATCH_PX + 1, PATCHES) for side in (height, width))
    for top, left in zip(tops, lefts, strict=True):
        patch = small[:, top : top + PATCH_PX, left : left + PATCH_PX]
        if (patch > _BACKGROUND).any():
            yield patch.ravel()


def _directions(width: int) -> npt.NDArray[np.float64]:
    drawn = rng_for(0, "directions", width).normal(size=(DIRECTIONS, width))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
