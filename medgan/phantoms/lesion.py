"""Pigmented skin lesions in two looks, dermoscopy and smartphone photograph, with exact masks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.errors import SettingsError
from medgan.manifests.manifest import Case
from medgan.phantoms._skin import (
    SKIN_TYPES,
    LesionShape,
    absorb,
    draw_shape,
    globules,
    hairs,
    network,
    pigment,
    relief,
)
from medgan.phantoms._study import check_request, finish, save_labels, save_photograph, to_levels
from medgan.phantoms._texture import Field, fractal, generator, noise, plane, soft

__all__ = ["DOMAINS", "LesionPhoto", "render_lesion", "write_study"]

DOMAINS = ("dermoscopy", "clinical")
_Grid = tuple[Field, Field]


@dataclass(frozen=True, kw_only=True)
class LesionPhoto:
    """One photograph of one lesion and its truth.

    Args:
        pixels: RGB levels 0-255, shape (3, H, W).
        mask: Where the lesion is, shape (H, W).
        domain: ``"dermoscopy"`` or ``"clinical"``.
        malignant: Whether it is drawn as a melanoma (lopsided, notched, of several colours) or a naevus.
        skin_type: Fitzpatrick type, 1-6.
    """

    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    domain: str
    malignant: bool
    skin_type: int


def render_lesion(
    rng: np.random.Generator, *, size_px: int, domain: str, malignant: bool, skin_type: int
) -> LesionPhoto:
    """Photograph an invented lesion.

    Args:
        rng: Where everything is drawn from.
        size_px: Width and height.
        domain: ``"dermoscopy"``: contact optics, cool light, pigment network and globules, dark corners at times.
            ``"clinical"``: a telephone's warm light from one side, skin relief, some blur, a smaller lesion.
        malignant: Melanoma or naevus.
        skin_type: Fitzpatrick type, 1-6.

    Raises:
        SettingsError: S061 for an unknown domain or skin type.
    """
    if domain not in DOMAINS or not 1 <= skin_type <= len(SKIN_TYPES):
        raise SettingsError(
            "S061",
            "no such photograph",
            got=f"domain {domain!r}, skin type {skin_type}",
            expected=" or ".join(DOMAINS) + ", skin type 1-6",
        )
    form, look, sensor = rng.spawn(3)
    at = plane(size_px)
    low, high = (0.30, 0.62) if domain == "dermoscopy" else (0.17, 0.38)
    radius = form.uniform(low, high)
    centre = form.normal(0.0, 0.10, size=2) * (1.0 - radius)
    shape = draw_shape(
        form, at, radius=radius, centre=centre, irregular=form.uniform(0.5, 1.0) * (1 if malignant else 0.4)
    )
    draw = _dermoscopy if domain == "dermoscopy" else _clinical
    image = draw(look, at, shape, skin=SKIN_TYPES[skin_type - 1], malignant=malignant)
    grain = sensor.normal(0.0, 0.007 if domain == "dermoscopy" else 0.014, size=image.shape)
    return LesionPhoto(
        pixels=to_levels(image + grain),
        mask=shape.depth <= 1.0,
        domain=domain,
        malignant=malignant,
        skin_type=skin_type,
    )


def write_study(
    folder: Path, *, seed: int, subjects: int, size_px: int = 128, image_format: str = "png", first_subject: int = 0
) -> Path:
    """Write a study of two unpaired domains: for each subject one lesion by dermoscopy and another by telephone.

    The manifest's ``mask`` holds 0 and 1, ``grade`` 0 for a naevus and 1 for a melanoma; the free column
    ``skin_type`` is 1-6.

    Args:
        folder: Where to write; made if missing.
        seed: Subject k depends on the seed and on k alone.
        subjects: How many; two photographs each.
        size_px: Width and height.
        image_format: ``"png"`` or ``"jpeg"`` (quality 95); masks are always PNG.
        first_subject: Number of the first subject, for a further set of other people under the same seed.

    Returns:
        Path of the manifest.

    Raises:
        SettingsError: S060 for a study that cannot be made.
    """
    check_request(subjects=subjects, size_px=size_px, image_format=image_format)
    cases = []
    for number in range(first_subject, first_subject + subjects):
        rng = generator(seed, "lesion", number)
        skin_type = int(rng.choice(6, p=[0.16, 0.26, 0.24, 0.16, 0.11, 0.07])) + 1
        for place, domain in enumerate(DOMAINS):
            photo = render_lesion(
                rng, size_px=size_px, domain=domain, malignant=bool((number + place) % 2), skin_type=skin_type
            )
            cases.append(_write_case(folder, photo, number=number, image_format=image_format))
    return finish(folder, cases)


def _write_case(folder: Path, photo: LesionPhoto, *, number: int, image_format: str) -> Case:
    name = f"L{number:04d}_{photo.domain}"
    return Case(
        case_id=name,
        subject_id=f"L{number:04d}",
        domain=photo.domain,
        image=save_photograph(folder, f"{photo.domain}/{name}", pixels=photo.pixels, image_format=image_format),
        mask=save_labels(folder, f"masks/{name}", labels=photo.mask),
        grade=int(photo.malignant),
        extra={"skin_type": str(photo.skin_type)},
    )


def _dermoscopy(rng: np.random.Generator, at: _Grid, shape: LesionShape, *, skin: Field, malignant: bool) -> Field:
    grid = at[0].shape
    melanin, blood, veil = pigment(rng, shape, malignant=malignant)
    inside = soft(shape.depth - 1.0, width=0.25)
    lines = network(rng, at, cell=rng.uniform(0.035, 0.055))
    regional = np.clip(0.6 + 0.6 * noise(rng, grid, cells=3.0), 0.0, 1.3)
    melanin = melanin * (1.0 + rng.uniform(0.15, 0.5) * inside * regional * (lines - 0.35))
    if rng.random() < 0.6:
        melanin = melanin + rng.uniform(0.25, 0.6) * globules(rng, at, shape, count=int(rng.integers(10, 60)))
    background = 0.05 * np.clip(fractal(rng, grid, cells=7.0, octaves=3, falloff=0.8), -1, 3)
    flush = 0.06 + 0.04 * fractal(rng, grid, cells=9.0)
    image = np.ones((3, *grid)) * (skin**0.75)[:, None, None] * 1.02
    image = absorb(image, melanin=melanin + background + 0.02 * lines, blood=blood + flush)
    image = image + veil * (np.array([0.46, 0.48, 0.56])[:, None, None] - image) * 0.7
    image = image * rng.uniform([0.93, 0.94, 1.0], [1.02, 1.0, 1.14])[:, None, None]
    image = image * (1.05 - rng.uniform(0.08, 0.25) * np.hypot(*at)[None] ** 2 * 0.6)
    if rng.random() < 0.6:
        image = _comb_hairs(rng, image, at, count=int(rng.integers(2, 14)), radius=0.011)
    if rng.random() < 0.4:
        image = _bubbles(rng, image, at)
    if rng.random() < 0.35:
        ring = rng.uniform(1.06, 1.22)
        image = image * (0.03 + 0.97 * soft(np.hypot(*at) - ring, width=0.05))
    return image


def _clinical(rng: np.random.Generator, at: _Grid, shape: LesionShape, *, skin: Field, malignant: bool) -> Field:
    grid = at[0].shape
    pixel = float(at[0][0, 1] - at[0][0, 0])
    melanin, blood, veil = pigment(rng, shape, malignant=malignant)
    mottle = 0.05 * fractal(rng, grid, cells=4.0, octaves=4, falloff=0.8)
    flush = np.clip(0.06 + 0.05 * fractal(rng, grid, cells=3.0), 0.0, None)
    halo = 0.15 * np.exp(-(((shape.depth - 1.05) / 0.3) ** 2))
    image = np.ones((3, *grid)) * skin[:, None, None]
    image = absorb(image, melanin=1.3 * melanin + mottle, blood=blood + flush + halo * rng.random())
    image = image + 0.35 * veil * (np.array([0.36, 0.36, 0.40])[:, None, None] - image)
    shading = relief(rng, at, cell=rng.uniform(0.035, 0.075))
    dome = np.clip(1.0 - shape.depth, 0.0, 1.0)
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(dome, 0.03 / pixel), pixel)
    angle = rng.uniform(0, 2 * np.pi)
    toward = np.array([np.cos(angle), np.sin(angle)])
    shading = rng.uniform(0.05, 0.13) * shading + 0.05 * shape.radius * (slope_x * toward[0] + slope_y * toward[1])
    light = 1.0 + rng.uniform(0.10, 0.35) * (at[0] * toward[0] + at[1] * toward[1])
    image = image * np.clip(1.0 + shading, 0.45, 1.6) * light * rng.uniform(0.85, 1.05)
    shine = np.clip(shading - 0.10, 0.0, None) * rng.uniform(0.2, 0.9)
    image = image + shine * np.array([0.95, 0.9, 0.8])[:, None, None]
    image = image * rng.uniform([1.0, 0.90, 0.72], [1.08, 0.98, 0.92])[:, None, None]
    if rng.random() < 0.45:
        image = _comb_hairs(rng, image, at, count=int(rng.integers(3, 25)), radius=0.005)
    focus = rng.uniform(0.003, 0.013) / pixel
    return np.stack([ndimage.gaussian_filter(channel, focus) for channel in image])


def _comb_hairs(rng: np.random.Generator, image: Field, at: _Grid, *, count: int, radius: float) -> Field:
    colour = np.array([0.16, 0.11, 0.09]) * rng.uniform(0.6, 2.0)
    return image + 0.85 * hairs(rng, at, count=count, radius=radius) * (colour[:, None, None] - image)


def _bubbles(rng: np.random.Generator, image: Field, at: _Grid) -> Field:
    """Air in the contact fluid: thin bright rings with a glint."""
    for _ in range(rng.integers(1, 6)):
        centre, radius = rng.uniform(-0.95, 0.95, size=2), rng.uniform(0.02, 0.08)
        distance = np.hypot(at[0] - centre[0], at[1] - centre[1])
        ring = np.exp(-(((distance - radius) / 0.010) ** 2))
        glint = np.exp(-((np.hypot(at[0] - centre[0] + 0.4 * radius, at[1] - centre[1] + 0.4 * radius) / 0.012) ** 2))
        image = image * (1.0 - 0.12 * ring) + 0.22 * np.maximum(glint, 0.4 * ring)
    return image
