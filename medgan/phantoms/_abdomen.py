"""The anatomy of an upper abdomen on a grid: which tissue lies where."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.phantoms._texture import Field, Polyline, noise, stroke_distance, wander


class Tissue(IntEnum):
    """What a voxel holds; the order is that of painting, later over earlier."""

    AIR = 0
    TABLE = 1
    SKIN = 2
    FAT = 3
    MUSCLE = 4
    VISCERAL_FAT = 5
    BOWEL_WALL = 6
    BOWEL_CONTENT = 7
    GAS = 8
    STOMACH = 9
    LIVER = 10
    LIVER_VESSEL = 11
    GALLBLADDER = 12
    SPLEEN = 13
    KIDNEY_CORTEX = 14
    KIDNEY_MEDULLA = 15
    KIDNEY_SINUS = 16
    PANCREAS = 17
    AORTA = 18
    VENA_CAVA = 19
    MARROW = 20
    CORTICAL_BONE = 21
    CANAL = 22
    DISC = 23


Grid = tuple[Field, Field, Field]
"""Coordinates z upward, y to the back, x to the patient's left, each (D, H, W), in millimetres."""


def grow_abdomen(rng: np.random.Generator, at: Grid) -> npt.NDArray[np.uint8]:
    """Draw one patient's abdomen.

    Args:
        rng: Where it is drawn from.
        at: Grid whose middle is the middle of the kidneys.

    Returns:
        Tissues, shape (D, H, W).
    """
    z, y, x = at
    shape = np.broadcast_shapes(z.shape, y.shape, x.shape)
    wide, deep = rng.uniform(150, 174), rng.uniform(112, 130)
    fat_mm, wall_mm = rng.uniform(9, 24), rng.uniform(9, 13)
    warp = [rng.uniform(2.5, 4.5) * noise(rng, shape, cells=(3.0, 6.0, 6.0)) for _ in range(3)]
    bent = (z + warp[0], y + warp[1], x + warp[2])
    tissues = np.full(shape, Tissue.AIR, dtype=np.uint8)
    flank = 4.0 * np.cos(2 * np.pi * z / 260.0)
    depth = _body_depth((z, y + 0.3 * warp[1], x + 0.3 * warp[2]), wide=wide + flank, deep=deep)
    tissues[(np.abs(y - deep - 9.0 + 0.0016 * x**2) < 2.0) & (np.abs(x) < 190)] = Tissue.TABLE
    tissues[depth > 0] = Tissue.SKIN
    tissues[depth > 2.0] = Tissue.FAT
    wall = fat_mm * (1.0 + 0.35 * np.clip(y / deep, -0.6, 1.0)) + 2.0
    tissues[depth > wall] = Tissue.MUSCLE
    cavity = (depth > wall + wall_mm) & (y < 0.36 * deep + 0.0012 * x**2 + 14.0)
    tissues[cavity] = Tissue.VISCERAL_FAT
    _bowel(rng, tissues, bent, cavity=cavity & (z < 38))
    _organs(rng, tissues, bent, cavity=cavity, wide=wide, deep=deep)
    _retroperitoneum(rng, tissues, bent, deep=deep)
    _skeleton(rng, tissues, (z, y, x), deep=deep, depth=depth - wall)
    return tissues


def _body_depth(at: Grid, *, wide: Field, deep: float) -> Field:
    """Depth below the skin in millimetres, about: a superellipse, flat at the back with a furrow over the spine."""
    _, y, x = at
    back = np.where(y > 0, 0.90 - 0.07 * np.exp(-((x / 20.0) ** 2)), 1.0)
    norm = (np.abs(x / wide) ** 2.35 + np.abs(y / (deep * back)) ** 2.35) ** (1 / 2.35)
    return np.asarray((1.0 - norm) * deep * (0.9 + 0.25 * np.abs(x) / wide))


def _ellipsoid(at: Grid, *, centre: tuple[float, float, float], half: tuple[float, float, float]) -> Field:
    """1 on the surface, less inside; centre and half axes as (x, y, z) in millimetres."""
    z, y, x = at
    return np.sqrt(
        ((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 + ((z - centre[2]) / half[2]) ** 2
    )


def _bowel(
    rng: np.random.Generator, tissues: npt.NDArray[np.uint8], at: Grid, *, cavity: npt.NDArray[np.bool_]
) -> None:
    """Loops of small bowel and, along the flanks, colon with gas on top and stool below."""
    _paint(tissues, _distance(_mesentery(rng), at, where=cavity) < 0, Tissue.BOWEL_WALL)
    for _ in range(26):
        centre = (rng.uniform(-85, 95), rng.uniform(-75, 5), rng.uniform(-100, 30))
        half = (rng.uniform(11, 24), rng.uniform(10, 16), rng.uniform(11, 22))
        inside = _ellipsoid(at, centre=centre, half=half)
        _paint(tissues, (inside < 1.0) & cavity, Tissue.BOWEL_WALL)
        content = (inside < 0.76) & cavity
        _paint(tissues, content, Tissue.BOWEL_CONTENT)
        if rng.random() < 0.25:
            _paint(tissues, content & (at[1] < centre[1] - 0.1 * half[1]), Tissue.GAS)
    stool = noise(rng, tissues.shape, cells=(18.0, 40.0, 40.0))
    for side, top in ((-1.0, 5.0), (1.0, 30.0)):
        path = np.stack(
            [np.linspace(-130, top, 24), rng.normal(-15, 3) + np.zeros(24), side * np.full(24, 104.0)], axis=1
        )
        path = path + 5.0 * np.sin(np.linspace(0, 9, 24) + rng.uniform(0, 6))[:, None] * [0.0, 1.0, 0.6]
        radii = 20.0 + 3.0 * np.sin(np.linspace(0, 28, 24))
        distance = _distance([Polyline(path, radii)], at, where=cavity)
        _paint(tissues, distance < 0, Tissue.BOWEL_WALL)
        lumen = distance < -3.0
        _paint(tissues, lumen, Tissue.BOWEL_CONTENT)
        _paint(tissues, lumen & (stool - (at[1] + 22.0) / 9.0 > 0.9), Tissue.GAS)


def _organs(
    rng: np.random.Generator,
    tissues: npt.NDArray[np.uint8],
    at: Grid,
    *,
    cavity: npt.NDArray[np.bool_],
    wide: float,
    deep: float,
) -> None:
    """Stomach, liver with its vessels, gallbladder and spleen: clipped by the abdominal wall, as they are."""
    _, y, x = at
    lift = rng.normal(0.0, 7.0)
    stomach = _ellipsoid(at, centre=(52, -0.30 * deep, 52 + lift), half=(50, 36, 42))
    _paint(tissues, (stomach < 1.0) & cavity, Tissue.STOMACH)
    level = -0.30 * deep - rng.uniform(2, 16)
    _paint(tissues, (stomach < 0.90) & cavity & (y < level), Tissue.GAS)
    right = _ellipsoid(at, centre=(-0.60 * wide, -5, 45 + lift), half=(0.52 * wide, 0.82 * deep, 92))
    left = _ellipsoid(at, centre=(-5, -0.62 * deep, 62 + lift), half=(72, 36, 44))
    liver = (np.minimum(right, left) < 1.0) & cavity & (x < 60) & ~((x > -18) & (y > -0.15 * deep))
    _paint(tissues, liver, Tissue.LIVER)
    branches = _portal_tree(rng, root=(45 + lift, -4.0, -28.0))
    _paint(tissues, _distance(branches, at, where=liver) < 0, Tissue.LIVER_VESSEL)
    gallbladder = _ellipsoid(at, centre=(-48, -0.42 * deep, 2 + lift), half=(13, 20, 26))
    _paint(tissues, (gallbladder < 1.0) & cavity, Tissue.GALLBLADDER)
    spleen = _ellipsoid(at, centre=(0.64 * wide, 0.14 * deep, 45 + lift), half=(46, 62, 56))
    hollow = _ellipsoid(at, centre=(0.36 * wide, 0.04 * deep, 40 + lift), half=(40, 52, 66))
    _paint(tissues, (spleen < 1.0) & (hollow > 1.0) & cavity, Tissue.SPLEEN)


def _portal_tree(rng: np.random.Generator, *, root: tuple[float, float, float]) -> list[Polyline]:
    lines = []
    for heading in np.linspace(1.9, 4.6, 7):
        flat = wander(
            rng, (root[2], root[1]), heading=heading + rng.normal(0, 0.15), length=rng.uniform(60, 95), turn=0.3
        )
        rise = root[0] + np.linspace(0, 1, len(flat)) * rng.uniform(-45, 45)
        path = np.stack([rise, flat[:, 1], flat[:, 0]], axis=1)
        lines.append(Polyline(path, np.linspace(5.5, 1.6, len(path))))
    return lines


def _retroperitoneum(rng: np.random.Generator, tissues: npt.NDArray[np.uint8], at: Grid, *, deep: float) -> None:
    """Kidneys in their fat, psoas muscles, pancreas, aorta and vena cava."""
    z, y, x = at
    spine_y = 0.40 * deep
    for side in (-1.0, 1.0):
        low = -14.0 if side < 0 else -2.0
        middle = (side * (62 + rng.normal(0, 3)), 0.36 * deep, low + rng.normal(0, 5))
        lean = x - 0.16 * side * -(z - middle[2])
        tilted = (z, y + 0.12 * (z - middle[2]), lean)
        size = rng.uniform(0.93, 1.08)
        kidney = _ellipsoid(tilted, centre=middle, half=(27 * size, 29 * size, 56 * size))
        capsule = _ellipsoid(tilted, centre=middle, half=(40 * size, 38 * size, 70 * size))
        free = ~np.isin(tissues, (Tissue.LIVER, Tissue.LIVER_VESSEL, Tissue.SPLEEN))
        inner = y < 0.74 * deep
        _paint(tissues, (((capsule < 1.0) & free) | (kidney < 1.14)) & inner, Tissue.VISCERAL_FAT)
        _paint(tissues, (kidney < 1.0) & inner, Tissue.KIDNEY_CORTEX)
        pyramids = np.cos(np.arctan2(y - middle[1], lean - middle[0]) * 6) + np.cos((z - middle[2]) / 6.5)
        _paint(tissues, (kidney < 0.74) & (pyramids > -0.6), Tissue.KIDNEY_MEDULLA)
        hilum = (middle[0] - side * 15 * size, middle[1] - 3, middle[2])
        sinus = _ellipsoid(tilted, centre=hilum, half=(19 * size, 10 * size, 27 * size))
        _paint(tissues, (sinus < 1.0) & (capsule < 1.0), Tissue.KIDNEY_SINUS)
        psoas = _ellipsoid(at, centre=(side * 36, spine_y + 4, -95), half=(18, 18, 110))
        _paint(tissues, psoas < 1.0, Tissue.MUSCLE)
    pancreas = np.stack([np.linspace(2, 22, 24), np.linspace(-6, 10, 24), np.linspace(-30, 72, 24)], axis=1)
    pancreas[:, 1] -= 22 * np.sin(np.linspace(0, np.pi, 24))
    around = (np.abs(z - 2) < 40) & (np.abs(x - 20) < 75) & (y < spine_y)
    line = Polyline(pancreas, np.linspace(13, 8, 24))
    _paint(tissues, _distance([line], at, where=around) < 0, Tissue.PANCREAS)
    _paint(tissues, np.hypot(x - 8, y - spine_y + 30) < rng.uniform(9, 11.5), Tissue.AORTA)
    _paint(tissues, np.hypot((x + 20) / 1.15, y - spine_y + 27) < rng.uniform(9, 11.5), Tissue.VENA_CAVA)


def _mesentery(rng: np.random.Generator) -> list[Polyline]:
    """Vessels that fan out forward through the fat between the bowel loops."""
    lines = []
    for _ in range(30):
        height = rng.uniform(-105, 20)
        flat = wander(
            rng,
            (rng.normal(5, 15), 10.0),
            heading=rng.uniform(-2.9, -0.2),
            length=rng.uniform(40, 90),
            turn=0.5,
        )
        rise = height + np.linspace(0, 1, len(flat)) * rng.uniform(-25, 10)
        lines.append(Polyline(np.stack([rise, flat[:, 1], flat[:, 0]], axis=1), np.linspace(3.2, 1.2, len(flat))))
    return lines


def _distance(lines: list[Polyline], at: Grid, *, where: npt.NDArray[np.bool_]) -> Field:
    """Signed distance to curves in millimetres where asked for, infinite elsewhere."""
    found = np.full(where.shape, np.inf)
    found[where], _ = stroke_distance(lines, [axis[where] for axis in at], step=2.0)
    return found


def _skeleton(rng: np.random.Generator, tissues: npt.NDArray[np.uint8], at: Grid, *, deep: float, depth: Field) -> None:
    """Lumbar vertebrae, their discs and processes, the canal, and the lower ribs, which slope down to the front."""
    z, y, x = at
    spine_y = 0.40 * deep
    phase = rng.uniform(0, 36)
    within = np.mod(z + phase, 36.0) - 18.0
    waist = 1.0 - 0.08 * np.cos(within / 18.0 * np.pi)
    body = np.hypot(x / (24 * waist), (y - spine_y) / (18 * waist))
    _paint(tissues, body < 1.0, Tissue.CORTICAL_BONE)
    _paint(tissues, body < 0.90, Tissue.MARROW)
    _paint(tissues, (body < 1.0) & (np.abs(within) > 13.5), Tissue.DISC)
    arch_y = spine_y + 27
    ring = np.hypot(x / 17.0, (y - arch_y) / 14.0)
    lamina = (ring < 1.0) & (np.abs(within) < 14)
    spinous = (np.abs(x) < 3.2 + 0 * y) & (y > arch_y + 8) & (y < arch_y + 30) & (np.abs(within + 3) < 11)
    transverse = (np.abs(y - arch_y + 9) < 3.5) & (np.abs(x) > 14) & (np.abs(x) < 40) & (np.abs(within) < 6)
    for part in (lamina, spinous, transverse):
        _paint(tissues, part & (tissues != Tissue.AIR), Tissue.CORTICAL_BONE)
        _paint(tissues, ndimage.binary_erosion(part, iterations=1) & (tissues != Tissue.AIR), Tissue.MARROW)
    _paint(tissues, np.hypot(x / 10.5, (y - arch_y + 2) / 8.5) < 1.0, Tissue.CANAL)
    slope = z + 1.1 * (deep - y) - 0.55 * np.abs(x)
    band = np.abs(np.mod(slope + phase, 30.0) - 15.0)
    ribs = (np.abs(depth - 6.5) < 4.0) & (band < 7.0) & (slope > 62) & (np.abs(x) > 25) & (y > -0.55 * deep)
    _paint(tissues, ribs, Tissue.CORTICAL_BONE)
    _paint(tissues, (np.abs(depth - 6.5) < 2.0) & ribs & (band < 4.5), Tissue.MARROW)


def _paint(tissues: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_], tissue: Tissue) -> None:
    tissues[where] = tissue
