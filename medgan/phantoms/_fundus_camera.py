"""What goes wrong when a fundus photograph is taken: blur, haze, uneven light, artefacts."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.phantoms._texture import Field, Polyline, noise, soft, stroke_distance, wander


@dataclass(frozen=True, kw_only=True)
class Defects:
    """Strength of each defect, 0 (none) to 1 (the photograph is nearly useless).

    Args:
        blur: Out of focus; 1 is a Gaussian of 3 % of the field's radius.
        haze: A veil of scattered light, as behind a cataract; 1 keeps a third of the contrast.
        uneven: One side dark, the opposite rim glaring.
        artefact: Dust on the lens, lashes at the lower edge, reflections.
    """

    blur: float = 0.0
    haze: float = 0.0
    uneven: float = 0.0
    artefact: float = 0.0

    def __str__(self) -> str:
        return ";".join(f"{name}={strength:.2f}" for name, strength in asdict(self).items())


def draw_defects(rng: np.random.Generator) -> Defects:
    """Draw what makes a photograph poor: two or three defects, at least one of them blur or haze."""
    first = rng.choice(["blur", "haze"])
    others = [name for name in ("blur", "haze", "uneven", "artefact") if name != first]
    chosen = [first, *rng.choice(others, size=rng.integers(1, 3), replace=False)]
    return Defects(**{str(name): float(rng.uniform(0.4, 0.9)) for name in chosen})


def degrade(
    rng: np.random.Generator,
    scene: Field,
    *,
    defects: Defects,
    at: tuple[Field, Field],
    field_of_view: npt.NDArray[np.bool_],
) -> Field:
    """Photograph a scene badly.

    Args:
        rng: Where place and shape of the defects are drawn from.
        scene: Colour in [0, 1], shape (3, H, W).
        defects: How strong each defect is.
        at: Coordinates x and y, each (H, W), in radii of the field of view.
        field_of_view: Where the camera sees the retina, shape (H, W).

    Returns:
        The photograph, shape (3, H, W); unchanged where every strength is 0.
    """
    pixel = float(at[0][0, 1] - at[0][0, 0])
    hazing, lighting, dirt = rng.spawn(3)
    image = scene
    if defects.haze:
        image = _haze(hazing, image, strength=defects.haze, pixel=pixel, field_of_view=field_of_view)
    if defects.blur:
        image = _blur(image, sigma=0.03 * defects.blur / pixel, field_of_view=field_of_view)
    if defects.uneven:
        image = _uneven(lighting, image, strength=defects.uneven, at=at)
    if defects.artefact:
        image = _artefacts(dirt, image, strength=defects.artefact, at=at)
    return image * field_of_view


def _blur(image: Field, *, sigma: float, field_of_view: npt.NDArray[np.bool_]) -> Field:
    """Blur inside the field alone, so that the black surround does not bleed in."""
    inside = field_of_view.astype(np.float64)
    weight = ndimage.gaussian_filter(inside, sigma)
    return np.stack([ndimage.gaussian_filter(plane * inside, sigma) for plane in image]) / np.maximum(weight, 1e-3)


def _haze(
    rng: np.random.Generator, image: Field, *, strength: float, pixel: float, field_of_view: npt.NDArray[np.bool_]
) -> Field:
    scattered = _blur(image, sigma=0.25 / pixel, field_of_view=field_of_view)
    soft_focus = _blur(image, sigma=0.01 * strength / pixel, field_of_view=field_of_view)
    thickness = strength * np.clip(0.8 + 0.16 * noise(rng, image.shape[1:], cells=2.5), 0.4, 1.0)
    tint = np.array([0.62, 0.55, 0.50])[:, None, None] * rng.uniform(0.8, 1.1)
    veil = 0.6 * scattered + 0.4 * tint
    return soft_focus * (1 - 0.8 * thickness) + veil * 0.8 * thickness


def _uneven(rng: np.random.Generator, image: Field, *, strength: float, at: tuple[Field, Field]) -> Field:
    x, y = at
    angle = rng.uniform(0, 2 * np.pi)
    toward = x * np.cos(angle) + y * np.sin(angle)
    shade = 1.0 / (1.0 + np.exp(-(toward + rng.uniform(-0.1, 0.35)) / 0.22))
    gain = 1.0 - 0.8 * strength * (1.0 - shade)
    rim = np.clip((np.hypot(x, y) - 0.78) / 0.22, 0, 1) ** 1.6 * np.clip(toward + 0.1, 0, 1)
    glare = np.array([[0.75, 0.62, 0.30], [0.70, 0.40, 0.15], [0.45, 0.55, 0.28]])[rng.integers(3)]
    return image * gain + 0.9 * strength * rim * glare[:, None, None]


def _artefacts(rng: np.random.Generator, image: Field, *, strength: float, at: tuple[Field, Field]) -> Field:
    for paint in (_dust, _lashes, _reflection):
        share = strength * rng.uniform(0.5, 1.0)
        if rng.random() < 0.45 + 0.5 * strength:
            image = paint(rng, image, strength=share, at=at)
    return image


def _dust(rng: np.random.Generator, image: Field, *, strength: float, at: tuple[Field, Field]) -> Field:
    for _ in range(int(4 + 10 * strength)):
        centre, radius = rng.uniform(-0.8, 0.8, size=2), rng.uniform(0.015, 0.06)
        distance = np.hypot(at[0] - centre[0], at[1] - centre[1]) - radius
        bright = rng.random() < 0.6
        opacity = soft(distance, width=radius) * strength * rng.uniform(0.15, 0.5)
        image = image + opacity * ((np.array([0.95, 0.75, 0.65])[:, None, None] if bright else 0.1) - image)
    return image


def _lashes(rng: np.random.Generator, image: Field, *, strength: float, at: tuple[Field, Field]) -> Field:
    """Lashes at the lower edge, far out of focus, and the light that they scatter."""
    lines = []
    for start in rng.uniform(-0.7, 0.7, size=int(3 + 6 * strength)):
        path = wander(
            rng,
            (start, 1.05),
            heading=-np.pi / 2 + rng.normal(0, 0.25),
            length=rng.uniform(0.3, 0.65),
            turn=0.1,
            bend=rng.normal(0, 0.5),
        )
        lines.append(Polyline(path, np.linspace(0.035, 0.004, len(path))))
    distance, _ = stroke_distance(lines, at, step=0.02)
    shadow = soft(distance - 0.02, width=0.09)
    glow = np.clip((at[1] - 0.35) / 0.65, 0, 1) ** 2 * (0.6 + 0.4 * noise(rng, at[0].shape, cells=7.0))
    lit = image + np.clip(0.6 * strength * glow, 0, None) * np.array([0.75, 0.62, 0.50])[:, None, None]
    return lit * (1 - 0.75 * strength * shadow)


def _reflection(rng: np.random.Generator, image: Field, *, strength: float, at: tuple[Field, Field]) -> Field:
    """Two pale spots of the lamp near the middle, or a large pale crescent."""
    x, y = at
    if rng.random() < 0.5:
        middle, apart = rng.normal(0.0, 0.12, size=2), rng.uniform(0.1, 0.16)
        light = sum(
            np.exp(-(((x - middle[0] - shift) / 0.07) ** 2 + ((y - middle[1]) / 0.055) ** 2))
            for shift in (-apart, apart)
        )
    else:
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.85)
        across = np.cos(np.arctan2(y, x) - angle)
        light = np.exp(-(((np.hypot(x, y) - radius) / 0.09) ** 2)) * np.clip(across, 0, 1) ** 3
    return image + 0.65 * strength * np.asarray(light) * np.array([1.0, 0.85, 0.78])[:, None, None]
