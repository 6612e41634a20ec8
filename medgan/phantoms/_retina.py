"""The anatomy of a retina in a fundus photograph: disc, fovea and two vessel trees."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from medgan.phantoms._texture import Field, Polyline, wander

EYES = ("left", "right")
_VEIN_RADIUS, _ARTERY_RADIUS = 0.0205, 0.0150
_FOVEAL_RADIUS = 0.13
_THINNEST = 0.0030


class Vessel(NamedTuple):
    """One vessel segment; lengths in radii of the field of view, x to the right, y down."""

    line: Polyline
    is_vein: bool


@dataclass(frozen=True, kw_only=True)
class Retina:
    """Where things lie in one eye, in radii of the field of view from its centre.

    Args:
        eye: ``"left"`` or ``"right"``; the disc lies on the left of a left eye's photograph.
        disc: Centre of the optic disc (x, y).
        fovea: Centre of the fovea (x, y).
        disc_radius: Half the disc's height.
        cup_ratio: Cup diameter over disc diameter.
        vessels: Arteries and veins, every branch.
    """

    eye: str
    disc: Field
    fovea: Field
    disc_radius: float
    cup_ratio: float
    vessels: tuple[Vessel, ...]

    @property
    def temporal(self) -> float:
        """Sign of x from the disc towards the fovea: 1 in a left eye, -1 in a right one."""
        return 1.0 if self.eye == "left" else -1.0


def grow_retina(rng: np.random.Generator, *, eye: str) -> Retina:
    """Draw the anatomy of one eye.

    A 45 degree field is about 13 mm wide, so that a disc of 1.8 mm has a radius near 0.14 and the fovea lies
    2.5 disc diameters to the temporal side and a little below.

    Args:
        rng: Where it is drawn from.
        eye: ``"left"`` or ``"right"``.
    """
    side = 1.0 if eye == "left" else -1.0
    reach = rng.uniform(0.66, 0.76)
    offset = np.array([side * reach, rng.uniform(0.03, 0.12)])
    jitter = rng.normal(0.0, 0.04, size=2)
    disc_centred = rng.random() < 0.25
    disc = jitter if disc_centred else jitter - offset * np.array([0.93, 0.8])
    bare = Retina(
        eye=eye,
        disc=disc,
        fovea=disc + offset,
        disc_radius=rng.uniform(0.135, 0.165),
        cup_ratio=rng.uniform(0.3, 0.55),
        vessels=(),
    )
    vessels: list[Vessel] = []
    for is_vein in (True, False):
        for path, width in _trunks(
            rng, bare, apart=0.0 if is_vein else rng.choice([-1.0, 1.0]) * rng.uniform(0.05, 0.11)
        ):
            radius = (_VEIN_RADIUS if is_vein else _ARTERY_RADIUS) * width
            vessels += _branch(rng, bare, path=path, radius=radius, is_vein=is_vein, depth=0)
    return Retina(**{**vars(bare), "vessels": tuple(vessels)})


def _trunks(rng: np.random.Generator, retina: Retina, *, apart: float) -> list[tuple[Field, float]]:
    """Paths of the vessels that leave the disc, with their relative width: arcades, nasal ones, macular twigs.

    ``apart`` is how far the arteries' arcades lie outside the veins'.
    """
    scale = abs(retina.fovea[0] - retina.disc[0]) / 0.72
    paths = []
    for down in (-1.0, 1.0):
        temporal = [(-0.02, 0.0), (0.00, 0.42), (0.30, 0.80), (0.95, 0.85), (1.75, 0.55)]
        nasal = [(-0.03, 0.0), (-0.10, 0.28), (-0.42, 0.42), (-0.70, 0.75), (-0.95, 1.15)]
        for knots, width, loose in ((temporal, 1.0, 0.085), (nasal, 0.72, 0.10)):
            spread = np.linspace(0.15, 1.3, 5)[:, None]
            control = np.array(knots) * rng.uniform(0.88, 1.1) + rng.normal(size=(5, 2)) * loose * spread
            control += np.array([0.3, 1.0]) * apart * np.array([[0.2], [1.0], [1.4], [1.2], [1.0]])
            paths.append((_bezier(control * [1.0, down] * scale), width * rng.uniform(0.85, 1.1)))
        start = (0.02, 0.03 * down)
        bend = -down * rng.uniform(0.2, 0.6)
        twig = wander(
            rng, start, heading=down * rng.uniform(0.35, 0.7), length=rng.uniform(0.4, 0.62), turn=0.25, bend=bend
        )
        paths.append((twig, 0.42))
    flip = np.array([retina.temporal, 1.0])
    return [(retina.disc + (path + _ripple(rng, path)) * flip, width) for path, width in paths]


def _branch(
    rng: np.random.Generator, retina: Retina, *, path: Field, radius: float, is_vein: bool, depth: int
) -> list[Vessel]:
    path = _stop(path, retina)
    if len(path) < 4 or radius < _THINNEST * 0.8:
        return []
    taper = np.linspace(1.0, 0.45 if depth == 0 else 0.5, len(path))
    radii = np.maximum(radius * taper, _THINNEST)
    found = [Vessel(Polyline(path, radii), is_vein)]
    if depth == 3:
        return found
    for place in np.sort(rng.uniform(0.14 if depth == 0 else 0.25, 0.95, size=rng.integers(*_CHILDREN[depth]))):
        at = int(place * (len(path) - 2))
        tangent = np.arctan2(*(path[at + 1] - path[at])[::-1])
        side = rng.choice([-1.0, 1.0])
        child = wander(
            rng,
            tuple(path[at]),
            heading=tangent + side * rng.uniform(0.5, 0.95),
            length=rng.uniform(0.35, 0.8) * 0.68**depth,
            turn=0.22,
            bend=-side * rng.uniform(-0.3, 0.5),
        )
        share = rng.uniform(0.45, 0.72)
        found += _branch(rng, retina, path=child, radius=radii[at] * share, is_vein=is_vein, depth=depth + 1)
    return found


_CHILDREN = ((5, 9), (1, 3), (0, 3))


def _stop(path: Field, retina: Retina) -> Field:
    """End a path where it leaves the field or meets the vessel-free zone of the fovea."""
    outside = np.hypot(*path.T) > 1.08
    avascular = np.hypot(*(path - retina.fovea).T) < _FOVEAL_RADIUS
    ends = np.flatnonzero(outside | avascular)
    return path[: ends[0]] if len(ends) else path


def _bezier(control: Field) -> Field:
    t = np.linspace(0.0, 1.0, 64)[:, None]
    weights = np.concatenate(
        [(1 - t) ** 4, 4 * t * (1 - t) ** 3, 6 * t**2 * (1 - t) ** 2, 4 * t**3 * (1 - t), t**4], axis=1
    )
    return np.asarray(weights @ control)


def _ripple(rng: np.random.Generator, path: Field) -> Field:
    """Tortuosity: a slow sideways wave that starts at nothing."""
    t = np.linspace(0.0, 1.0, len(path))
    wave = np.sin(2 * np.pi * (rng.uniform(2.0, 4.0) * t + rng.random())) * rng.uniform(0.004, 0.014)
    return np.stack([wave * t, -wave * t], axis=1)
