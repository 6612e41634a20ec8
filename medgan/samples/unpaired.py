"""Samples of two or more domains that have nothing to do with each other."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medgan.samples.entries import check_alike, entries_of, stack_of
from medgan.samples.prepared import PreparedCase
from medgan.samples.sampler import Sampler
from medgan.samples.seeds import rng_for, seed_for
from medgan.samples.square import place_square
from medgan.settings.domains import LETTERS
from medgan.transforms.augment.flips import Flips

Flip = Literal["horizontal", "vertical"]


class UnpairedSamples:
    """Draws a batch of each domain; every slice once an epoch, each domain in its own order.

    Args:
        domains: Cases of domain a, then those of b, and so on.
        neighbours: Slices stacked in the channels, odd; 1 for photographs.
        size_px: Side of the square samples: cropped at random where a slice is larger, padded with -1 where smaller.
        flips: Axes along which half of the samples are mirrored.
        seed: Seed of everything random.

    Raises:
        ManifestError: M050, if a domain has no slice to draw.
        GeometryError: G040 or G041, if cases cannot stand in one batch.
    """

    def __init__(
        self,
        *domains: Sequence[PreparedCase],
        neighbours: int,
        size_px: int,
        flips: tuple[Flip, ...] = (),
        seed: int,
    ) -> None:
        check_alike([case for cases in domains for case in cases], neighbours=neighbours)
        self.neighbours, self.size_px, self.seed = neighbours, size_px, seed
        self._cases: dict[str, Sequence[PreparedCase]] = dict(zip(LETTERS, domains, strict=False))
        self._entries = {domain: entries_of(cases) for domain, cases in self._cases.items()}
        self._samplers = {
            domain: Sampler(len(entries), seed=seed_for(seed, "order", domain))
            for domain, entries in self._entries.items()
        }
        self._flips = Flips(axes=flips)

    def draw(self, step: int, batch_size: int) -> dict[str, Tensor]:
        """Draw a step's batch; the same step gives the same batch.

        Returns:
            ``"a"``, ``"b"`` and so on, each (batch_size, channels * neighbours, size_px, size_px) in [-1, 1].
        """
        drawn = {}
        for domain, cases in self._cases.items():
            channels = cases[0].shape[0] * self.neighbours
            batch = np.empty((batch_size, channels, self.size_px, self.size_px), np.float32)
            for place, out in enumerate(batch):
                self._sample(domain, step * batch_size + place, out)
            drawn[domain] = torch.from_numpy(batch)
        return drawn

    def each(self, domain: str) -> Iterator[Tensor]:
        """Every slice of a domain once, whole: (channels * neighbours, H, W) in [-1, 1]."""
        for entry in self._entries[domain]:
            stack = stack_of(self._cases[domain][entry.case], entry.plane, neighbours=self.neighbours)
            yield torch.from_numpy(stack.copy())

    def _sample(self, domain: str, i: int, out: npt.NDArray[np.float32]) -> None:
        """Put the i-th draw of a domain into its place of the batch: a batch's pages cost as much as a copy."""
        entry = self._entries[domain][self._samplers[domain].index(i)]
        stack = stack_of(self._cases[domain][entry.case], entry.plane, neighbours=self.neighbours)
        rng = rng_for(self.seed, "sample", domain, i)
        place_square(stack.shape, self.size_px, rng).cut(stack, fill=-1, out=out)
        moved, _ = self._flips(out, None, rng)
        if moved is not out:
            out[...] = moved
