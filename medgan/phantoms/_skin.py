"""Skin and the pigment in it: absorption by melanin and blood, lesion shapes, networks, globules, hairs, furrows."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, spatial

from medgan.phantoms._texture import Field, Polyline, fractal, noise, outline, soft, stroke_distance, wander

# Reflected colour of skin types I to VI of Fitzpatrick 1988, Arch Dermatol 124:869, as sRGB; the values are by eye.
SKIN_TYPES = np.array(
    [
        [0.93, 0.79, 0.73],
        [0.90, 0.73, 0.64],
        [0.84, 0.64, 0.52],
        [0.72, 0.51, 0.38],
        [0.52, 0.35, 0.25],
        [0.35, 0.23, 0.17],
    ]
)
# How much more of blue than of red melanin takes, and of green blood: relative absorption of (R, G, B).
_MELANIN = np.array([0.60, 0.88, 1.12])
_BLOOD = np.array([0.10, 0.85, 0.65])


@dataclass(frozen=True, kw_only=True)
class LesionShape:
    """Where a lesion lies on a grid (H, W).

    Args:
        depth: 0 at the centre, 1 on the border, more outside; unitless.
        angle: Direction from the centre, in radians.
        radius: Mean radius in half widths of the frame.
        centre: Centre (x, y) in half widths of the frame.
    """

    depth: Field
    angle: Field
    radius: float
    centre: Field


def absorb(colour: Field, *, melanin: Field, blood: Field) -> Field:
    """Light of a colour (3, H, W) in [0, 1] after passing pigment of the given densities (H, W), by Beer's law."""
    density = _MELANIN[:, None, None] * melanin + _BLOOD[:, None, None] * blood
    return colour * np.exp(-density)


def draw_shape(
    rng: np.random.Generator, at: tuple[Field, Field], *, radius: float, centre: Field, irregular: float
) -> LesionShape:
    """Draw a lesion's outline.

    Args:
        rng: Where it is drawn from.
        at: Coordinates x and y, each (H, W), in half widths.
        radius: Mean radius.
        centre: Centre (x, y).
        irregular: 0 is an ellipse, 1 is notched and lopsided.
    """
    ratio, tilt = rng.uniform(0.72, 1.0), rng.uniform(0, np.pi)
    x, y = at[0] - centre[0], at[1] - centre[1]
    wave = 0.05 + 0.10 * irregular
    x = x + radius * wave * fractal(rng, x.shape, cells=1.7 / radius, octaves=5, falloff=0.62)
    y = y + radius * wave * fractal(rng, y.shape, cells=1.7 / radius, octaves=5, falloff=0.62)
    along = x * np.cos(tilt) + y * np.sin(tilt)
    across = (y * np.cos(tilt) - x * np.sin(tilt)) / ratio
    angle = np.arctan2(across, along)
    edge = radius * outline(rng, angle, roughness=0.03 + 0.10 * irregular)
    return LesionShape(depth=np.hypot(along, across) / edge, angle=angle, radius=radius, centre=centre)


def pigment(rng: np.random.Generator, shape: LesionShape, *, malignant: bool) -> tuple[Field, Field, Field]:
    """Densities of melanin, blood and blue-white veil in a lesion, each (H, W), fading across its border."""
    grid = shape.depth.shape
    fine = 2.2 / shape.radius
    border = rng.uniform(0.06, 0.14) if malignant else rng.uniform(0.10, 0.22)
    grainy = fractal(rng, grid, cells=5.0 * fine, octaves=3, falloff=0.8)
    body = soft(shape.depth - 1.0 + 0.25 * border + 0.035 * grainy, width=border)
    strength = rng.uniform(0.8, 1.5) if malignant else rng.uniform(0.45, 1.0)
    centre_dark = rng.uniform(-0.25, 0.5)
    patches = fractal(rng, grid, cells=fine, octaves=4, falloff=0.65)
    melanin = (
        body * strength * np.clip(1.0 + centre_dark * (0.6 - shape.depth) + 0.20 * patches + 0.13 * grainy, 0.2, None)
    )
    blood = body * np.clip(0.05 + 0.06 * noise(rng, grid, cells=fine), 0.0, None)
    veil = np.zeros(grid)
    if malignant:
        lobe = np.cos(shape.angle - rng.uniform(0, 6.3))
        uneven = 0.9 * lobe * np.clip(shape.depth, 0, 1) + 0.5 * noise(rng, grid, cells=fine * 0.8)
        melanin = melanin * np.clip(1.0 + 0.55 * uneven, 0.35, 2.2)
        veil = body * np.clip(0.8 * noise(rng, grid, cells=fine) + 0.15 * grainy - 0.75, 0.0, 0.6)
        blood = blood + body * 0.3 * np.clip(noise(rng, grid, cells=fine) - 0.6, 0.0, 1.0)
    return melanin, blood, veil


def network(rng: np.random.Generator, at: tuple[Field, Field], *, cell: float) -> Field:
    """Honeycomb of pigment lines, (H, W) in [0, 1]: the borders between cells ``cell`` half widths across."""
    count = int(np.ceil(2.6 / cell))
    columns, rows = np.meshgrid(np.arange(count), np.arange(count))
    points = np.stack([columns + 0.5 * (rows % 2), rows * 0.87], axis=-1).reshape(-1, 2) * cell - 1.25
    points = points + rng.normal(0.0, 0.24 * cell, size=points.shape)
    found, _ = spatial.cKDTree(points).query(np.stack([axis.ravel() for axis in at], axis=1), k=2)
    distances = np.asarray(found)
    gap = (distances[:, 1] - distances[:, 0]).reshape(at[0].shape) / cell
    return np.clip(1.0 - gap / 0.6, 0.0, 1.0)


def globules(rng: np.random.Generator, at: tuple[Field, Field], shape: LesionShape, *, count: int) -> Field:
    """Round dark clods in a lesion, most near its border, (H, W) in [0, 1]."""
    place = np.sqrt(rng.uniform(0.1, 0.95, size=count)) * shape.radius
    turn = rng.uniform(0, 2 * np.pi, size=count)
    points = shape.centre + np.stack([np.cos(turn), np.sin(turn)], axis=1) * place[:, None]
    radii = rng.uniform(0.012, 0.03, size=count) * (0.5 + shape.radius)
    distances, nearest = spatial.cKDTree(points).query(np.stack([axis.ravel() for axis in at], axis=1))
    distance = (distances - radii[nearest]).reshape(at[0].shape)
    return soft(distance, width=0.035) * soft(shape.depth - 0.97, width=0.1)


def hairs(rng: np.random.Generator, at: tuple[Field, Field], *, count: int, radius: float) -> Field:
    """Coverage (H, W) in [0, 1] of curved hairs that cross the frame, combed roughly one way."""
    pixel = float(at[0][0, 1] - at[0][0, 0])
    comb = rng.uniform(0, 2 * np.pi)
    lines = []
    for _ in range(count):
        path = wander(
            rng,
            tuple(rng.uniform(-1.1, 1.1, size=2)),
            heading=comb + rng.normal(0, 0.5),
            length=rng.uniform(0.5, 1.5),
            turn=0.15,
            bend=rng.normal(0, 0.7),
        )
        lines.append(Polyline(path, radius * np.linspace(1.0, 0.4, len(path))))
    distance, _ = stroke_distance(lines, at, step=pixel / 2)
    thin = min(1.0, (2.0 * radius + 0.15 * pixel) / pixel)
    return soft(distance, width=pixel) * thin


def relief(rng: np.random.Generator, at: tuple[Field, Field], *, cell: float) -> Field:
    """Shading (H, W), about 0, of skin furrows and pores lit from one side."""
    furrows = network(rng, at, cell=cell) ** 2
    bumps = 0.45 * fractal(rng, at[0].shape, cells=0.5 / cell, octaves=3, falloff=0.8)
    height = bumps - furrows * np.clip(0.45 + 0.45 * noise(rng, at[0].shape, cells=4.0), 0.0, 1.2)
    pixel = float(at[0][0, 1] - at[0][0, 0])
    height = ndimage.gaussian_filter(height, max(0.5, 0.10 * cell / pixel))
    angle = rng.uniform(0, 2 * np.pi)
    slope_y, slope_x = np.gradient(height, pixel)
    return np.asarray((slope_x * np.cos(angle) + slope_y * np.sin(angle)) * cell + 0.25 * height)
