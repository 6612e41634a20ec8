"""Seeded textures and shapes that phantoms are made of; the same at every resolution."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

Field = npt.NDArray[np.float64]
"""Values on a grid of two or three axes, or points of shape (P, axes)."""

# A uniform cubic B-spline keeps this share of white noise's standard deviation on each axis.
_SPLINE_DEVIATION = 0.692


class Polyline(NamedTuple):
    """A curve with a width: points (P, axes) and the radius (P,) at each, in the same unit."""

    points: Field
    radii: Field


def generator(seed: int, *parts: int | str) -> np.random.Generator:
    """A random generator that depends on the seed and on the names given, and on nothing else.

    Example:
        >>> bool(generator(1, "fundus", 4).random() == generator(1, "fundus", 4).random())
        True
    """
    words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in parts]
    return np.random.default_rng([seed, *words])


def noise(rng: np.random.Generator, shape: Sequence[int], *, cells: float | Sequence[float]) -> Field:
    """Smooth noise of about zero mean and unit deviation: a cubic spline through a random lattice.

    Args:
        rng: Where the lattice is drawn from; what is drawn does not depend on ``shape``.
        shape: Shape of the result.
        cells: Lattice cells along each axis: more cells, finer noise.
    """
    counts = [float(cells)] * len(shape) if isinstance(cells, int | float) else [float(count) for count in cells]
    value: Field = rng.normal(size=[int(np.ceil(count)) + 4 for count in counts])
    for axis, (size, count) in enumerate(zip(shape, counts, strict=True)):
        value = np.moveaxis(np.tensordot(_spline_basis(size, count), value, axes=(1, axis)), 0, axis)
    return value / _SPLINE_DEVIATION ** len(shape)


def fractal(
    rng: np.random.Generator, shape: Sequence[int], *, cells: float, octaves: int = 3, falloff: float = 0.55
) -> Field:
    """Sum of ``octaves`` noises, each twice as fine and ``falloff`` times as strong; unit deviation."""
    weights = falloff ** np.arange(octaves)
    parts = [weight * noise(rng, shape, cells=cells * 2.0**octave) for octave, weight in enumerate(weights)]
    return np.asarray(sum(parts) / np.sqrt((weights**2).sum()), dtype=np.float64)


def plane(size_px: int, *, half_width: float = 1.0) -> tuple[Field, Field]:
    """Columns x (rightward) and rows y (downward) of a square's pixel centres, in [-half_width, half_width]."""
    line = ((np.arange(size_px) + 0.5) / size_px * 2.0 - 1.0) * half_width
    x, y = np.meshgrid(line, line)
    return x, y


def soft(distance: Field, *, width: float) -> Field:
    """Coverage in [0, 1] of a shape from its signed distance (negative inside), with an edge ``width`` wide."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def stroke_distance(lines: Sequence[Polyline], at: Sequence[Field], *, step: float) -> tuple[Field, Field]:
    """Signed distance of each grid point to the nearest of some curves, and the curve's radius there.

    Args:
        lines: Curves in the grid's unit.
        at: Coordinates of the grid, one array an axis.
        step: Curves are resampled this finely; half a pixel does.

    Returns:
        Distance to the edge (negative inside; infinite where there is no curve) and radius.
    """
    shape = at[0].shape
    if not lines:
        return np.full(shape, np.inf), np.zeros(shape)
    dense = [_resample(line, step) for line in lines]
    points, radii = np.concatenate([line.points for line in dense]), np.concatenate([line.radii for line in dense])
    query = np.stack([axis.ravel() for axis in at], axis=1)
    count = min(4, len(points))
    found, order = spatial.cKDTree(points).query(query, k=count)
    distances, nearest = np.reshape(found, (-1, count)), np.reshape(order, (-1, count))
    edges = distances - radii[nearest]
    best = edges.argmin(axis=1)
    rows = np.arange(len(query))
    return edges[rows, best].reshape(shape), radii[nearest[rows, best]].reshape(shape)


def wander(
    rng: np.random.Generator, start: Sequence[float], *, heading: float, length: float, turn: float, bend: float = 0.0
) -> Field:
    """A smooth wandering curve in the plane, shape (24, 2).

    Args:
        rng: Where the turns are drawn from.
        start: First point.
        heading: Direction of the first step, in radians from x towards y.
        length: Length along the curve.
        turn: Deviation of the random turns, in radians over the curve.
        bend: Steady turn over the whole curve, in radians.
    """
    steps = 24
    turns = ndimage.gaussian_filter1d(rng.normal(size=steps + 12), 2.0)[6:-6].cumsum() * turn * 0.6
    angles = heading + bend * np.linspace(0.0, 1.0, steps) + turns - turns[0]
    moves = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (length / steps)
    return np.asarray(start, dtype=np.float64) + np.concatenate([np.zeros((1, 2)), moves.cumsum(axis=0)[:-1]])


def outline(rng: np.random.Generator, angles: Field, *, roughness: float, waves: int = 6) -> Field:
    """Radius, about 1, of a closed irregular outline at the given angles."""
    orders = np.arange(2, 2 + waves)
    strengths = rng.normal(size=waves) * roughness / (orders - 1.0) ** 0.8
    phases = rng.uniform(0.0, 2.0 * np.pi, waves)
    ripple = sum(
        strength * np.cos(order * angles + phase)
        for order, strength, phase in zip(orders, strengths, phases, strict=True)
    )
    return np.asarray(np.clip(1.0 + ripple, 0.45, 1.6), dtype=np.float64)


def _spline_basis(size: int, cells: float) -> Field:
    place = (np.arange(size) + 0.5) / size * cells
    whole = np.floor(place).astype(int)
    part = place - whole
    weights = np.stack(
        [(1 - part) ** 3, 3 * part**3 - 6 * part**2 + 4, -3 * part**3 + 3 * part**2 + 3 * part + 1, part**3], axis=1
    )
    basis = np.zeros((size, int(np.ceil(cells)) + 4))
    for shift in range(4):
        basis[np.arange(size), whole + shift] = weights[:, shift] / 6.0
    return basis


def _resample(line: Polyline, step: float) -> Polyline:
    lengths = np.sqrt((np.diff(line.points, axis=0) ** 2).sum(axis=1))
    along = np.concatenate([[0.0], lengths.cumsum()])
    fine = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / step)) + 1))
    points = np.stack([np.interp(fine, along, axis) for axis in line.points.T], axis=1)
    return Polyline(points, np.interp(fine, along, line.radii))
