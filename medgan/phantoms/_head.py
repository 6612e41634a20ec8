"""The anatomy of a brain on a grid: folded cortex, white matter, ventricles, deep nuclei, cerebellum, lesions."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.phantoms._texture import Field, Polyline, noise, stroke_distance


class Tissue(IntEnum):
    """What a voxel of a skull-stripped brain holds."""

    OUTSIDE = 0
    CSF = 1
    GREY = 2
    WHITE = 3
    DEEP_GREY = 4
    LESION = 5


Grid = tuple[Field, Field, Field]
"""Coordinates z upward, y to the back, x to the left, each (D, H, W), in millimetres."""

_CORTEX_MM = 4.0


def grow_brain(rng: np.random.Generator, at: Grid, *, spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """Draw one brain.

    Args:
        rng: Where it is drawn from.
        at: Grid whose middle is the middle of the cerebrum.
        spacing_mm: Along (D, H, W).

    Returns:
        Tissues, shape (D, H, W).
    """
    folding, inner, disease = rng.spawn(3)
    sway = [2.6 * noise(inner, at[0].shape, cells=4.0) for _ in range(3)]
    z, y, x = (axis / rng.uniform(0.95, 1.04) + shift for axis, shift in zip(at, sway, strict=True))
    cerebrum, cerebellum, stem = _envelopes((z, y, x))
    clefts = _sulci(folding, (z, y, x), cerebrum=cerebrum, spacing_mm=spacing_mm)
    folia = np.abs(np.sin((z + 0.25 * np.abs(x) + 0.45 * y) / 2.7)) < 0.28
    tissue_here = ((cerebrum < 1.0) & ~clefts) | ((cerebellum < 1.0) & ~(folia & (cerebellum > 0.72))) | (stem < 0)
    depth = ndimage.distance_transform_edt(tissue_here, sampling=spacing_mm)
    hull = ndimage.distance_transform_edt(~((cerebrum < 1.0) | (cerebellum < 1.0) | (stem < 0)), sampling=spacing_mm)
    tissues = np.where(hull < 2.6, Tissue.CSF, Tissue.OUTSIDE).astype(np.uint8)
    tissues[tissue_here] = Tissue.GREY
    thickness = _CORTEX_MM * (1.0 + 0.15 * noise(folding, depth.shape, cells=6.0))
    tissues[tissue_here & (depth > np.where(cerebellum < 1.0, 0.8, 1.0) * thickness)] = Tissue.WHITE
    core = (np.hypot(x / 34.0, np.hypot((y + 2.0) / 52.0, (z - 4.0) / 26.0)) < 1.0) | (stem < 0)
    tissues[core & (cerebrum < 1.0) | (stem < 0)] = Tissue.WHITE
    _deep(inner, tissues, (z, y, x))
    _lesions(disease, tissues, (z, y, x))
    return tissues


def _envelopes(at: Grid) -> tuple[Field, Field, Field]:
    """Cerebrum and cerebellum (1 on the surface, less inside) and the signed distance to the brain stem."""
    z, y, x = at
    narrow = 1.0 - 0.16 * np.clip(-y / 80.0, 0, 1) ** 1.5
    upper = (np.abs(x / (67 * narrow)) ** 2.2 + np.abs(y / 84) ** 2.2 + np.abs(np.clip(z, 0, None) / 66) ** 2.2) ** (
        1 / 2.2
    )
    floor = 38 - 14 * np.clip(-y / 60, 0, 1) - 20 * np.clip(y / 60, 0, 1)
    lower = (
        np.abs(x / (67 * narrow)) ** 2.2 + np.abs(y / 84) ** 2.2 + np.abs(np.clip(-z, 0, None) / floor) ** 2.6
    ) ** (1 / 2.2)
    temporal = np.sqrt(((np.abs(x) - 42) / 24) ** 2 + ((y + 8) / 48) ** 2 + ((z + 26) / 24) ** 2)
    cerebrum = np.minimum(np.where(z > 0, upper, lower), temporal)
    cerebellum = np.sqrt((x / 50) ** 2 + ((y - 46) / 32) ** 2 + ((z + 46) / 25) ** 2)
    above_tent = z + 17.0 + 0.22 * np.abs(x) + 0.30 * (y - 40.0)
    cerebrum = np.where((above_tent < 1.2) & (y > 22) & (cerebellum < 1.3), 1.2, cerebrum)
    cerebellum = np.where((above_tent > -1.2) | ((np.abs(x) < 1.5) & (y > 66)), 1.2, cerebellum)
    line = Polyline(
        np.array([[-4.0, 4.0, 0.0], [-20, 8, 0], [-38, 10, 0], [-60, 22, 0], [-90, 32, 0]]),
        np.array([15.0, 15.0, 15.5, 9.0, 7.5]),
    )
    stem = np.full(z.shape, np.inf)
    near = (np.abs(x) < 24) & (np.abs(y - 14) < 44) & (z < 16)
    stem[near], _ = stroke_distance([line], [axis[near] for axis in (z, y, x)], step=1.5)
    return cerebrum, cerebellum, stem


def _sulci(
    rng: np.random.Generator, at: Grid, *, cerebrum: Field, spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    """Clefts between gyri: where a noise that hardly changes with depth crosses zero, near the surface.

    Also the fissures: between the hemispheres, and the lateral (Sylvian) one.
    """
    z, y, x = at
    here = (cerebrum > 0.5) & (cerebrum < 1.15)
    points = [axis[here] for axis in at]
    stretch = (78.0 / np.maximum(np.sqrt(points[0] ** 2 + points[1] ** 2 + points[2] ** 2), 1.0)) ** 0.65
    shape = (72, 72, 72)
    waves = [noise(rng, shape, cells=cells) for cells in (13.0, 14.0)]
    bend = [ndimage.zoom(noise(rng, (18, 18, 18), cells=5.0), 4.0, order=1) * 1.4 for _ in range(3)]
    place = np.stack([(axis * stretch + 95.0) / 190.0 * 71.0 for axis in points])
    place += np.stack([ndimage.map_coordinates(field, place, order=1, mode="nearest") for field in bend])
    level = [np.full(z.shape, 9.0) for _ in waves]
    for values, wave in zip(level, waves, strict=True):
        values[here] = ndimage.map_coordinates(wave, place, order=1, mode="nearest")
    reach = 0.66 + 0.07 * np.clip(level[1], -1.5, 1.5)
    half_width = max(0.75, 0.42 * max(spacing_mm)) * (1.0 + 2.2 * np.clip(cerebrum - 0.84, 0.0, 0.16))
    clefts = (_sheet(level[0], spacing_mm) < half_width) & (cerebrum > reach)
    clefts |= (_sheet(level[1], spacing_mm) < 0.9 * half_width) & (cerebrum > 0.80)
    side = np.abs(x)
    fissure = (np.abs(x + 0.5 * np.clip(level[0], -2, 2) * here) < 1.2 * half_width) & ((z > 26) | (y < -44) | (y > 46))
    lateral = (np.abs(z + 1 - 0.75 * (y + 6)) < 1.6 * half_width) & (side > 37) & (y > -34) & (y < 30)
    opercle = np.hypot((z - 1) / 17.0, (y + 3) / 25.0) < 1.0
    insula = (np.abs(side - 39.5 + 0.008 * (y + 3) ** 2) < 1.3 * half_width) & opercle
    return clefts | fissure | lateral | insula


def _sheet(level: Field, spacing_mm: tuple[float, float, float]) -> Field:
    """Distance in millimetres, about, to where a field crosses zero: its value over its slope."""
    slopes = np.gradient(level, *spacing_mm)
    return np.abs(level) / np.maximum(np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2), 0.06)


def _deep(rng: np.random.Generator, tissues: npt.NDArray[np.uint8], at: Grid) -> None:
    """Deep nuclei, then the ventricles over them."""
    z, y, x = at
    brain = tissues != Tissue.OUTSIDE
    side = np.abs(x)
    swell = rng.uniform(0.75, 1.45)
    thalamus = np.sqrt(((side - 11) / 9) ** 2 + ((y - 10) / 15) ** 2 + ((z - 5) / 10) ** 2)
    lentiform = np.sqrt(((side - 25 - 0.18 * y) / 7.5) ** 2 + ((y + 6) / 20) ** 2 + ((z - 3) / 12) ** 2)
    caudate = np.array([[4.0, -30.0, 12.0], [14, -26, 14], [22, -8, 18], [22, 12, 21], [14, 24, 25]])
    hippocampus = np.array([[-24.0, -6.0, 24.0], [-20, 12, 27], [-10, 26, 24]])
    lines = [Polyline(caudate, np.array([6.0, 6.0, 4.0, 2.5, 1.5])), Polyline(hippocampus, np.array([5.0, 4.5, 3.0]))]
    nuclei = _near(lines, (z, y, side)) < 0
    tissues[(nuclei | (thalamus < 1.0) | (lentiform < 1.0)) & brain] = Tissue.DEEP_GREY
    body = np.array(
        [
            [0.0, -38.0, 8.0],
            [10, -34, 9],
            [19, -16, 8.5],
            [23, 4, 9],
            [22, 22, 13],
            [10, 36, 20],
            [-6, 28, 27],
            [-18, 8, 28],
        ]
    )
    horn = np.array([[10.0, 36.0, 20.0], [6, 52, 19], [4, 62, 17]])
    widths = np.array([2.5, 4.2, 5.0, 4.6, 5.5, 5.5, 3.0, 1.4])
    lines = [Polyline(body, widths * swell), Polyline(horn, np.array([5.0, 3.0, 1.0]) * swell)]
    lateral = _near(lines, (z, y, side * (1.0 + 0.03 * rng.normal()))) < 0
    lateral &= side > 1.0
    third = (side < 1.3 + 0.9 * swell) & (np.hypot((y - 3) / 17.0, (z + 1) / 12.0) < 1.0)
    fourth = np.hypot(x / (7.5 * np.sqrt(swell)), np.hypot((y - 27) / 6.0, (z + 42) / 13.0)) < 1.0
    callosum = (side < 14) & (np.abs(y) < 42) & (z > 22) & (z < 28)
    tissues[callosum & brain & ~lateral] = Tissue.WHITE
    tissues[(lateral | third | fourth) & brain] = Tissue.CSF


def _near(lines: list[Polyline], at: Grid) -> Field:
    inside = (np.abs(at[0]) < 45) & (np.abs(at[1]) < 75) & (np.abs(at[2]) < 45)
    found = np.full(at[0].shape, np.inf)
    found[inside], _ = stroke_distance(lines, [axis[inside] for axis in at], step=1.0)
    return found


def _lesions(rng: np.random.Generator, tissues: npt.NDArray[np.uint8], at: Grid) -> None:
    """White-matter lesions: ovals along the ventricles and round spots further out; never outside white matter."""
    z, y, x = at
    burden = rng.lognormal(0.0, 0.6)
    near = rng.integers(4, 9) + int(4 * burden)
    far = rng.integers(3, 7) + int(5 * burden)
    spots = []
    for _ in range(near):
        centre = (rng.choice([-1, 1]) * rng.uniform(14, 25), rng.uniform(-38, 44), rng.uniform(14, 31))
        spots.append((centre, (rng.uniform(3.5, 6.5), rng.uniform(5, 13), rng.uniform(3.5, 7.5))))
    for _ in range(far):
        centre = (rng.choice([-1, 1]) * rng.uniform(22, 46), rng.uniform(-48, 52), rng.uniform(10, 44))
        size = rng.uniform(2.2, 4.5)
        spots.append((centre, (size, size * rng.uniform(0.8, 1.4), size)))
    ripple = 0.22 * noise(rng, tissues.shape, cells=22.0)
    for centre, half in spots:
        distance = sum(
            ((axis - middle) / length) ** 2 for axis, middle, length in zip((x, y, z), centre, half, strict=True)
        )
        tissues[(np.sqrt(distance) + ripple < 1.0) & (tissues == Tissue.WHITE)] = Tissue.LESION
