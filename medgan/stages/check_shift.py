"""How far one image of a pair lies from the other, whatever their contrast: the shift of most mutual information."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medgan.stages.check_thumbnail import block_means

Array = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Place = tuple[int, ...]

_BINS = 32
_POINTS = 40_000
_FEWEST_POINTS = 200
_LEAST_OVERLAP = 0.3
_MOSTLY = 0.5
_COARSE_SIDE = {2: 128, 3: 96}
_STEPS_EACH_WAY = {2: 6, 3: 3}


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Where the moving image lies against the fixed one.

    Args:
        voxels: Along each axis: what is at ``p`` in the fixed image is at ``p + voxels`` in the moving one.
        information: Mutual information there, normalised, from 0 (nothing in common) to 1.
        unmoved: The same without any shift.
        at_border: Whether the true shift may be larger than was searched.
    """

    voxels: tuple[float, ...]
    information: float
    unmoved: float
    at_border: bool


def find_shift(
    fixed: Array, moving: Array, *, field: Mask, moving_field: Mask | None, reach: tuple[int, ...], seed: int = 0
) -> Shift | None:
    """Find the translation under which two images tell most about one another.

    Args:
        fixed: (H, W) or (D, H, W), any scale.
        moving: The same shape, any other scale or contrast.
        field: Where the fixed image is looked at.
        moving_field: Where the moving image counts; None for everywhere.
        reach: Largest shift that is looked for, in pixels along each axis.
        seed: Of the sample of points.

    Returns:
        The shift to about a fifth of a pixel, or None where either image has no contrast in the field.

    Source:
        Normalised mutual information: Studholme 1999, DOI 10.1016/S0031-3203(98)00091-0.
    """
    factors = tuple(-(-size // _COARSE_SIDE[fixed.ndim]) for size in fixed.shape)
    coarse_shape = tuple(size // factor for size, factor in zip(fixed.shape, factors, strict=True))
    coarse = _Search.of(
        block_means(fixed, coarse_shape),
        block_means(moving, coarse_shape),
        _mostly(field, coarse_shape),
        None if moving_field is None else _mostly(moving_field, coarse_shape),
        seed=seed,
    )
    fine = _Search.of(fixed, moving, field, moving_field, seed=seed)
    if coarse is None or fine is None:
        return None
    least = tuple(-(-far // factor) for far, factor in zip(reach, factors, strict=True))
    steps = [-(-far // _STEPS_EACH_WAY[fixed.ndim]) for far in least]
    start = max(_lattice(least, steps), key=coarse)
    best = coarse.climb(start, steps)
    place = fine.climb(tuple(place * factor for place, factor in zip(best, factors, strict=True)), list(factors))
    return Shift(
        voxels=tuple(float(value) for value in fine.between(place)),
        information=fine(place),
        unmoved=fine((0,) * fixed.ndim),
        at_border=any(abs(value) >= far for value, far in zip(place, reach, strict=True)),
    )


class _Search:
    """Mutual information as a function of a shift by whole pixels; each is computed once."""

    def __init__(
        self, fixed: npt.NDArray[np.int64], moving: npt.NDArray[np.int64], points: npt.NDArray[np.intp]
    ) -> None:
        self._values, self._moving, self._points = fixed[tuple(points.T)], moving, points
        self._known: dict[Place, float] = {}

    @classmethod
    def of(cls, fixed: Array, moving: Array, field: Mask, moving_field: Mask | None, *, seed: int) -> "_Search | None":
        """Prepare a search, or None where there is nothing to compare."""
        points = np.argwhere(field)
        levels = [_levels(fixed, field), _levels(moving, field if moving_field is None else moving_field)]
        if len(points) < _FEWEST_POINTS or levels[0] is None or levels[1] is None:
            return None
        if len(points) > _POINTS:
            points = points[np.random.default_rng(seed).choice(len(points), _POINTS, replace=False)]
        moved = levels[1] if moving_field is None else np.where(moving_field, levels[1], -1)
        return cls(levels[0], moved, points)

    def __call__(self, shift: Place) -> float:
        if shift not in self._known:
            self._known[shift] = self._information(shift)
        return self._known[shift]

    def climb(self, start: Place, steps: list[int]) -> Place:
        """Go uphill from a place, with steps that get smaller down to one pixel."""
        best = start
        while True:
            around = itertools.product(*[(x - step, x, x + step) for x, step in zip(best, steps, strict=True)])
            top = max(around, key=self)
            if self(top) > self(best):
                best = top
            elif max(steps) == 1:
                return best
            else:
                steps = [max(1, step // 2) for step in steps]

    def between(self, place: Place) -> Iterator[float]:
        """The top of a parabola through a place and its neighbours, along each axis."""
        for axis, value in enumerate(place):
            before, after = (self((*place[:axis], value + step, *place[axis + 1 :])) for step in (-1, 1))
            bend = before - 2 * self(place) + after
            yield value + (0.5 * (before - after) / bend if bend < 0 else 0.0)

    def _information(self, shift: Place) -> float:
        moved = self._points + np.array(shift)
        inside = ((moved >= 0) & (moved < self._moving.shape)).all(axis=1)
        other = self._moving[tuple(moved[inside].T)]
        counted = other >= 0
        if counted.sum() < max(_FEWEST_POINTS, _LEAST_OVERLAP * len(self._points)):
            return -1.0
        pairs = self._values[inside][counted] * _BINS + other[counted]
        joint = np.bincount(pairs, minlength=_BINS**2).reshape(_BINS, _BINS) / counted.sum()
        together = _entropy(joint)
        return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together - 1.0 if together > 0 else -1.0


def _lattice(reach: tuple[int, ...], steps: list[int]) -> Iterator[Place]:
    axes = [range(-(far // step) * step, far + 1, step) for far, step in zip(reach, steps, strict=True)]
    return itertools.product(*axes)


def _mostly(mask: Mask, shape: tuple[int, ...]) -> Mask:
    return np.asarray(block_means(mask.astype(np.float32), shape) > _MOSTLY)


def _levels(values: Array, field: Mask) -> npt.NDArray[np.int64] | None:
    if not field.any():
        return None
    low, high = np.percentile(values[field], (0.5, 99.5))
    if not high > low:
        return None
    return np.clip((values - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    filled = shares[shares > 0]
    return float(-(filled * np.log(filled)).sum())
