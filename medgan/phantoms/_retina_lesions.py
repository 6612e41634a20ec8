"""What diabetic retinopathy leaves on a retina, by grade."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgan.phantoms._retina import Retina
from medgan.phantoms._texture import Field, Polyline, outline, soft, stroke_distance, wander

MICROANEURYSM, HAEMORRHAGE, HARD_EXUDATE, COTTON_WOOL, NEOVESSELS = 1, 2, 3, 4, 5


class Blob(NamedTuple):
    """One patch of a lesion: kind, centre, half lengths and direction, in radii of the field of view."""

    kind: int
    centre: Field
    radii: tuple[float, float]
    angle: float


class Counts(NamedTuple):
    """Ranges (low, high exclusive) of how many lesions of a kind an eye of one grade has."""

    microaneurysms: tuple[int, int]
    haemorrhages: tuple[int, int]
    exudate_clusters: tuple[int, int]
    cotton_wool: tuple[int, int]
    tufts: tuple[int, int]


COUNTS = (
    Counts((0, 1), (0, 1), (0, 1), (0, 1), (0, 1)),
    Counts((4, 10), (0, 1), (0, 1), (0, 1), (0, 1)),
    Counts((10, 20), (4, 11), (1, 4), (0, 3), (0, 1)),
    Counts((20, 32), (20, 34), (1, 5), (2, 6), (0, 1)),
    Counts((18, 32), (14, 30), (1, 5), (1, 5), (2, 5)),
)
"""By grade 0-4 of the International Clinical Diabetic Retinopathy scale: none; microaneurysms only; more than
those; many in all quadrants; neovascularisation. Source: Wilkinson 2003, Ophthalmology 110:1677."""


def draw_blobs(rng: np.random.Generator, retina: Retina, *, grade: int) -> list[Blob]:
    """Draw the lesions of one eye, all inside the field and off the disc."""
    counts = COUNTS[grade]
    blobs = [
        Blob(MICROANEURYSM, _place(rng, retina), (radius, radius), 0.0)
        for radius in rng.uniform(0.008, 0.014, size=rng.integers(*counts.microaneurysms))
    ]
    blobs += [_haemorrhage(rng, retina) for _ in range(rng.integers(*counts.haemorrhages))]
    for _ in range(rng.integers(*counts.exudate_clusters)):
        blobs += _exudates(rng, retina)
    for _ in range(rng.integers(*counts.cotton_wool)):
        size = rng.uniform(0.035, 0.065)
        blobs.append(Blob(COTTON_WOOL, _place(rng, retina), (size, size * rng.uniform(0.5, 0.8)), rng.uniform(0, 3.1)))
    return blobs


def draw_tufts(rng: np.random.Generator, retina: Retina, *, grade: int) -> list[Polyline]:
    """Draw tangles of new vessels, on the disc's edge or along the arcades."""
    lines = []
    trunks = [vessel.line.points for vessel in retina.vessels if vessel.line.radii[0] > 0.012]
    for tuft in range(rng.integers(*COUNTS[grade].tufts)):
        trunk = trunks[rng.integers(len(trunks))]
        inside = trunk[np.hypot(*trunk.T) < 0.75]
        centre = retina.disc + retina.disc_radius * np.array([0.6, -0.8])
        if tuft and len(inside):
            centre = inside[rng.integers(len(inside))]
        for _ in range(rng.integers(8, 14)):
            start = centre + rng.normal(0.0, 0.02, size=2)
            path = wander(
                rng, tuple(start), heading=rng.uniform(0, 6.3), length=rng.uniform(0.1, 0.24), turn=1.6, bend=3.0
            )
            lines.append(Polyline(path, np.full(len(path), 0.0042)))
    return lines


def paint_blobs(
    rng: np.random.Generator, blobs: list[Blob], *, at: tuple[Field, Field], pixel: float
) -> tuple[Field, npt.NDArray[np.uint8]]:
    """Paint lesions.

    Args:
        rng: Where the outlines are drawn from.
        blobs: What to paint; later ones cover earlier ones.
        at: Coordinates x and y of the grid, each (H, W).
        pixel: Size of a pixel in the same unit.

    Returns:
        Opacity of each kind, (6, H, W) in [0, 1], and the labels (H, W).
    """
    opacity = np.zeros((NEOVESSELS + 1, *at[0].shape))
    labels = np.zeros(at[0].shape, dtype=np.uint8)
    for blob in blobs:
        long, short = (max(radius, 0.7 * pixel) for radius in blob.radii)
        reach = 1.7 * long + 2 * pixel
        window = _window(blob.centre, reach, at=at)
        x, y = (axis[window] - middle for axis, middle in zip(at, blob.centre, strict=True))
        along = x * np.cos(blob.angle) + y * np.sin(blob.angle)
        across = y * np.cos(blob.angle) - x * np.sin(blob.angle)
        edge = outline(rng, np.arctan2(across, along), roughness=0.0 if blob.kind == MICROANEURYSM else 0.16)
        distance = (np.hypot(along / long, across / short) - edge) * short
        blur = short * {COTTON_WOOL: 1.0, HAEMORRHAGE: 0.45}.get(blob.kind, 0.2)
        kind = opacity[blob.kind][window]
        np.maximum(kind, soft(distance, width=max(blur, pixel)), out=kind)
        labels[window][distance <= 0.0] = blob.kind
    return opacity, labels


def paint_tufts(lines: list[Polyline], *, at: tuple[Field, Field], pixel: float) -> Field:
    """Coverage (H, W) of new vessels in [0, 1]."""
    distance, _ = stroke_distance(lines, at, step=pixel / 2)
    return soft(distance, width=pixel)


def _window(centre: Field, reach: float, *, at: tuple[Field, Field]) -> tuple[slice, slice]:
    columns = np.searchsorted(at[0][0], [centre[0] - reach, centre[0] + reach])
    rows = np.searchsorted(at[1][:, 0], [centre[1] - reach, centre[1] + reach])
    return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))


def _place(rng: np.random.Generator, retina: Retina, *, near: Field | None = None, spread: float = 0.3) -> Field:
    """A point inside the field, off the disc, off the very fovea."""
    while True:
        point = rng.uniform(-0.85, 0.85, size=2) if near is None else near + rng.normal(0.0, spread, size=2)
        off_disc = np.hypot(*(point - retina.disc)) > 1.5 * retina.disc_radius
        off_fovea = np.hypot(*(point - retina.fovea)) > 0.05
        if np.hypot(*point) < 0.84 and off_disc and off_fovea:
            return point


def _haemorrhage(rng: np.random.Generator, retina: Retina) -> Blob:
    """A dot or blot, or a flame along the nerve fibres, which run from the disc."""
    centre = _place(rng, retina)
    size = float(np.clip(rng.lognormal(np.log(0.022), 0.45), 0.014, 0.075))
    if rng.random() < 0.6:
        return Blob(HAEMORRHAGE, centre, (size, size * rng.uniform(0.7, 1.0)), rng.uniform(0, 3.1))
    angle = float(np.arctan2(*(centre - retina.disc)[::-1]))
    return Blob(HAEMORRHAGE, centre, (1.8 * size, 0.55 * size), angle)


def _exudates(rng: np.random.Generator, retina: Retina) -> list[Blob]:
    """A cluster of hard exudates, or a part of a ring round a leak, on the macula's side."""
    middle = _place(rng, retina, near=retina.fovea, spread=0.24)
    count = rng.integers(8, 22)
    ring, start = rng.random() < 0.5, rng.uniform(0, 6.3)
    blobs = []
    for _ in range(count):
        angle = start + rng.uniform(0, 3.8)
        spread = rng.normal(0.11, 0.012) if ring else abs(rng.normal(0.0, 0.055))
        point = middle + spread * np.array([np.cos(angle), np.sin(angle)])
        if np.hypot(*point) < 0.86 and np.hypot(*(point - retina.disc)) > 1.5 * retina.disc_radius:
            size = rng.uniform(0.007, 0.019)
            blobs.append(Blob(HARD_EXUDATE, point, (size, size * rng.uniform(0.6, 1.0)), angle))
    return blobs
