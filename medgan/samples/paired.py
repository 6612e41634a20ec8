"""Samples of two domains that show the same thing, pixel by pixel."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medgan.errors import GeometryError, ManifestError
from medgan.imaging.geometry import same_place
from medgan.samples.entries import check_alike, entries_of, stack_of
from medgan.samples.prepared import PreparedCase
from medgan.samples.sampler import Sampler
from medgan.samples.seeds import rng_for, seed_for
from medgan.samples.square import place_square
from medgan.samples.unpaired import Flip
from medgan.transforms.augment.flips import Flips


class PairedSamples:
    """Draws pairs of slices with the same crop and the same flips.

    Args:
        a: Cases of domain a, each with a pair_id.
        b: Cases of domain b, one for each of a's pair_ids.
        neighbours: Slices stacked in the channels, odd; 1 for photographs.
        size_px: Side of the square samples: cropped at random where a slice is larger, padded with -1 where smaller.
        flips: Axes along which half of the pairs are mirrored.
        seed: Seed of everything random.

    Raises:
        ManifestError: M010, if a case has no partner or several; M050, if there is no slice to draw.
        GeometryError: G003, if partners differ in their prepared shape; G040 or G041, if cases cannot stand in one
            batch.
    """

    def __init__(
        self,
        a: Sequence[PreparedCase],
        b: Sequence[PreparedCase],
        *,
        neighbours: int,
        size_px: int,
        flips: tuple[Flip, ...] = (),
        seed: int,
    ) -> None:
        check_alike([*a, *b], neighbours=neighbours)
        self.neighbours, self.size_px, self.seed = neighbours, size_px, seed
        self.pairs = match_pairs(a, b)
        self._entries = entries_of([one for one, _ in self.pairs], partners=[other for _, other in self.pairs])
        self._sampler = Sampler(len(self._entries), seed=seed_for(seed, "order", "pairs"))
        self._flips = Flips(axes=flips)

    def draw(self, step: int, batch_size: int) -> dict[str, Tensor]:
        """Draw a step's batch; the same step gives the same batch.

        Returns:
            ``"a"`` and ``"b"``, each (batch_size, channels * neighbours, size_px, size_px) in [-1, 1].
        """
        pairs = [self._sample(i) for i in range(step * batch_size, (step + 1) * batch_size)]
        return {
            domain: torch.from_numpy(np.stack(list(side)))
            for domain, side in zip("ab", zip(*pairs, strict=True), strict=True)
        }

    def each(self, domain: str) -> Iterator[Tensor]:
        """Every slice of a domain once, whole: (channels * neighbours, H, W) in [-1, 1]."""
        side = "ab".index(domain)
        for entry in self._entries:
            stack = stack_of(self.pairs[entry.case][side], entry.plane, neighbours=self.neighbours)
            yield torch.from_numpy(stack.copy())

    def _sample(self, i: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        entry = self._entries[self._sampler.index(i)]
        rng = rng_for(self.seed, "sample", "pairs", i)
        a, b = (stack_of(case, entry.plane, neighbours=self.neighbours) for case in self.pairs[entry.case])
        square = place_square(a.shape, self.size_px, rng)
        both = np.concatenate([square.cut(a, fill=-1), square.cut(b, fill=-1)])
        moved, _ = self._flips(both, None, rng)
        return moved[: len(a)], moved[len(a) :]


def match_pairs(a: Sequence[PreparedCase], b: Sequence[PreparedCase]) -> list[tuple[PreparedCase, PreparedCase]]:
    """Match cases by their pair_id, in the order of a.

    Raises:
        ManifestError: M010, if a case has no pair_id, no partner or several.
        GeometryError: G003, if partners differ in their prepared shape; G004, in where they lie.
    """
    by_id = [_by_pair_id(side) for side in (a, b)]
    alone = sorted(by_id[0].keys() ^ by_id[1].keys())
    if alone:
        missing = "b" if alone[0] in by_id[0] else "a"
        raise ManifestError(
            "M010",
            "pairs lack a partner",
            where=f"pair_id {alone[0]!r}",
            got=f"{len(alone)} such pairs; this one has no case in domain {missing}",
            expected="one case of each domain for each pair_id",
            remedy="leave these cases out or use a method that needs no pairs",
        )
    pairs = [(case, by_id[1][pair_id]) for pair_id, case in by_id[0].items()]
    for one, other in pairs:
        if one.shape != other.shape:
            raise GeometryError(
                "G003",
                "the two images of a pair differ in shape",
                where=f"cases {one.case.case_id} and {other.case.case_id}",
                got=str(other.shape),
                expected=str(one.shape),
                remedy="register the pair on one grid before the study",
            )
        grids = one.trace.prepared_geometry, other.trace.prepared_geometry
        if grids[0] is not None and grids[1] is not None and not same_place(grids[0], grids[1]):
            raise GeometryError(
                "G004",
                "the two volumes of a pair lie on different grids",
                where=f"cases {one.case.case_id} and {other.case.case_id}",
                remedy="resample one onto the other's grid before the study",
            )
    return pairs


def _by_pair_id(cases: Sequence[PreparedCase]) -> dict[str, PreparedCase]:
    found: dict[str, PreparedCase] = {}
    for case in cases:
        pair_id = case.case.pair_id
        if pair_id is None or pair_id in found:
            raise ManifestError(
                "M010",
                "the case has no pair_id" if pair_id is None else f"pair_id {pair_id!r} stands twice in one domain",
                where=f"case {case.case.case_id}",
                expected="one case of each domain for each pair_id",
            )
        found[pair_id] = case
    return found
