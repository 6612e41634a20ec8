"""Fundus photographs of healthy and diabetic eyes, well and badly taken, with vessels and lesions known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medgan.errors import SettingsError
from medgan.manifests.manifest import Case
from medgan.phantoms._fundus_camera import Defects, degrade, draw_defects
from medgan.phantoms._retina import EYES, Retina, grow_retina
from medgan.phantoms._retina_lesions import (
    COTTON_WOOL,
    COUNTS,
    HAEMORRHAGE,
    HARD_EXUDATE,
    MICROANEURYSM,
    NEOVESSELS,
    draw_blobs,
    draw_tufts,
    paint_blobs,
    paint_tufts,
)
from medgan.phantoms._study import check_request, finish, save_labels, save_photograph, to_levels
from medgan.phantoms._texture import Field, fractal, generator, noise, plane, soft, stroke_distance

__all__ = [
    "COTTON_WOOL",
    "HAEMORRHAGE",
    "HARD_EXUDATE",
    "MICROANEURYSM",
    "NEOVESSELS",
    "Defects",
    "FundusPhoto",
    "render_fundus",
    "write_study",
]

_HALF_WIDTH = 1.04
# What fundi look like through different cameras and pigments: orange, brown, pink, red.
_PALETTE = np.array([[0.82, 0.44, 0.21], [0.62, 0.38, 0.17], [0.90, 0.55, 0.45], [0.70, 0.31, 0.19]])
_Grid = tuple[Field, Field]


@dataclass(frozen=True, kw_only=True)
class FundusPhoto:
    """One photograph and its truth; every array on the same grid (H, W).

    Args:
        pixels: RGB levels 0-255, shape (3, H, W), black outside the field of view.
        clean: The same eye without the defects, shape (3, H, W); equals ``pixels`` for a good photograph.
        field_of_view: Where the retina is seen.
        vessels: Retinal arteries and veins (new vessels are lesions, not these).
        disc: Optic disc.
        lesions: 0 none, 1 microaneurysm, 2 haemorrhage, 3 hard exudate, 4 cotton wool spot, 5 new vessels;
            None where the eye has none.
        grade: Diabetic retinopathy, 0-4.
        quality: 1 good, 0 poor.
        eye: ``"left"`` or ``"right"``.
        defects: What is wrong with the photograph.
    """

    pixels: npt.NDArray[np.uint8]
    clean: npt.NDArray[np.uint8]
    field_of_view: npt.NDArray[np.bool_]
    vessels: npt.NDArray[np.bool_]
    disc: npt.NDArray[np.bool_]
    lesions: npt.NDArray[np.uint8] | None
    grade: int
    quality: int
    eye: str
    defects: Defects


def render_fundus(
    rng: np.random.Generator, *, size_px: int, grade: int, eye: str, defects: Defects | None = None
) -> FundusPhoto:
    """Photograph an invented eye.

    Args:
        rng: Where everything is drawn from. The eye does not depend on ``defects`` nor, up to the pixel
            grid, on ``size_px``.
        size_px: Width and height.
        grade: Diabetic retinopathy, 0-4.
        eye: ``"left"`` or ``"right"``.
        defects: What is wrong with the photograph; None for a good one.

    Raises:
        SettingsError: S061 for an unknown grade or eye.
    """
    if not 0 <= grade < len(COUNTS) or eye not in EYES:
        raise SettingsError(
            "S061", "no such eye", got=f"grade {grade}, eye {eye!r}", expected="grade 0-4, left or right"
        )
    anatomy, disease, tissue, camera, sensor = rng.spawn(5)
    at = plane(size_px, half_width=_HALF_WIDTH)
    pixel = 2 * _HALF_WIDTH / size_px
    retina = grow_retina(anatomy, eye=eye)
    field_of_view = np.hypot(*at) <= 1.0
    scene = _background(tissue, retina, at)
    scene, disc = _paint_disc(tissue, scene, retina, at=at, pixel=pixel)
    scene, vessels = _paint_vessels(scene, retina, at=at, pixel=pixel)
    scene, lesions = _paint_disease(disease, scene, retina, grade=grade, at=at, pixel=pixel)
    scene = scene * _light(tissue, at)
    rim = soft(np.hypot(*at) - 1.0 + 0.5 * pixel, width=1.5 * pixel) * field_of_view
    good, poor = scene * rim, scene * rim
    if defects is not None:
        poor = degrade(camera, scene, defects=defects, at=at, field_of_view=field_of_view) * rim
    grain = sensor.normal(0.0, 0.006, size=scene.shape) * field_of_view
    lesions[~field_of_view] = 0
    return FundusPhoto(
        pixels=to_levels(poor + grain),
        clean=to_levels(good + grain),
        field_of_view=field_of_view,
        vessels=vessels & field_of_view,
        disc=disc & field_of_view,
        lesions=lesions if lesions.any() else None,
        grade=grade,
        quality=1 if defects is None else 0,
        eye=eye,
        defects=defects or Defects(),
    )


def write_study(
    folder: Path, *, seed: int, subjects: int, size_px: int = 128, image_format: str = "png", first_subject: int = 0
) -> Path:
    """Write a study of two unpaired domains, ``good`` and ``poor``: for each subject one eye in each.

    The manifest's ``mask`` holds lesion labels (blank for a healthy eye). Its free columns are ``vessels`` (0 or 1),
    ``clean`` (what a poor photograph would have looked like; blank for a good one), ``eye`` and ``defects``.
    Truth is always PNG.

    Args:
        folder: Where to write; made if missing.
        seed: Subject k depends on the seed and on k alone.
        subjects: How many; two photographs each. Grades 0-4 occur equally often.
        size_px: Width and height.
        image_format: ``"png"`` or ``"jpeg"`` (quality 95).
        first_subject: Number of the first subject, for a further set of other people under the same seed.

    Returns:
        Path of the manifest.

    Raises:
        SettingsError: S060 for a study that cannot be made.
    """
    check_request(subjects=subjects, size_px=size_px, image_format=image_format)
    cases = []
    for number in range(first_subject, first_subject + subjects):
        rng = generator(seed, "fundus", number)
        eyes = EYES if rng.random() < 0.5 else EYES[::-1]
        grade = (number + seed) % len(COUNTS)
        fellow_grade = int(np.clip(grade + rng.choice([-1, 0, 0, 0, 1]), 0, len(COUNTS) - 1))
        defects = draw_defects(rng)
        good = render_fundus(rng, size_px=size_px, grade=grade, eye=eyes[0])
        poor = render_fundus(rng, size_px=size_px, grade=fellow_grade, eye=eyes[1], defects=defects)
        cases += [_write_case(folder, photo, number=number, image_format=image_format) for photo in (good, poor)]
    return finish(folder, cases)


def _write_case(folder: Path, photo: FundusPhoto, *, number: int, image_format: str) -> Case:
    domain = "good" if photo.quality else "poor"
    name = f"F{number:04d}_{photo.eye}"
    extra = {
        "vessels": save_labels(folder, f"vessels/{name}", labels=photo.vessels),
        "eye": photo.eye,
        "defects": str(photo.defects),
    }
    if domain == "poor":
        extra["clean"] = save_photograph(folder, f"clean/{name}", pixels=photo.clean, image_format="png")
    return Case(
        case_id=name,
        subject_id=f"F{number:04d}",
        domain=domain,
        image=save_photograph(folder, f"{domain}/{name}", pixels=photo.pixels, image_format=image_format),
        mask=None if photo.lesions is None else save_labels(folder, f"lesions/{name}", labels=photo.lesions),
        grade=photo.grade,
        quality=photo.quality,
        extra=extra,
    )


def _background(rng: np.random.Generator, retina: Retina, at: _Grid) -> Field:
    """Pigment epithelium and choroid: mottled, tessellated in some, darker at the macula."""
    shape = at[0].shape
    colour = rng.dirichlet([0.9, 0.7, 0.6, 0.6]) @ _PALETTE
    image = np.ones((3, *shape)) * colour[:, None, None]
    mottle = 0.03 * fractal(rng, shape, cells=6.0, octaves=5, falloff=0.95)
    ridges = 1.0 - np.abs(fractal(rng, shape, cells=11.0, octaves=2))
    tessellation = rng.uniform(0.0, 1.0) ** 3 * 0.11
    image *= 1.0 + (mottle + tessellation * ridges) * np.array([0.6, 1.0, 0.9])[:, None, None]
    from_fovea = np.hypot(at[0] - retina.fovea[0], at[1] - retina.fovea[1])
    depth = rng.uniform(0.16, 0.30)
    macula = depth * np.exp(-((from_fovea / 0.20) ** 2)) + 0.6 * depth * np.exp(-((from_fovea / 0.055) ** 2))
    return image * (1.0 - macula * np.array([0.75, 1.0, 0.95])[:, None, None])


def _paint_disc(
    rng: np.random.Generator, image: Field, retina: Retina, *, at: _Grid, pixel: float
) -> tuple[Field, npt.NDArray[np.bool_]]:
    """Optic disc: pinkish rim, paler on the temporal side, and a pale cup; a faint halo round it."""
    x, y = at[0] - retina.disc[0], at[1] - retina.disc[1]
    radius = retina.disc_radius
    wobble = 1.0 + 0.03 * noise(rng, x.shape, cells=9.0)
    across = np.hypot(x / 0.93, y) * wobble
    halo = np.exp(-((across / (1.6 * radius)) ** 4)) * rng.uniform(0.02, 0.08)
    image = image * (1.0 + halo)
    pallor = 0.5 + 0.5 * np.clip(retina.temporal * x / radius, -1, 1)
    rim = np.array([0.90, 0.60, 0.30])[:, None, None] + pallor * np.array([0.04, 0.10, 0.06])[:, None, None]
    rim = rim * (1.0 + 0.025 * fractal(rng, x.shape, cells=20.0))
    opacity = soft(across - radius, width=max(0.028, 1.5 * pixel)) * 0.9
    image = image + opacity * (rim - image)
    shifted = np.hypot(x / 0.95 - retina.temporal * 0.12 * radius, y)
    cup = soft(shifted - radius * retina.cup_ratio, width=max(0.05, 2 * pixel)) * 0.75
    image = image + cup * (np.array([0.98, 0.86, 0.55])[:, None, None] - image)
    return image, across <= radius


def _paint_vessels(image: Field, retina: Retina, *, at: _Grid, pixel: float) -> tuple[Field, npt.NDArray[np.bool_]]:
    """Veins, then arteries over them: blood takes most from green; a wide artery has a bright middle."""
    mask = np.zeros(at[0].shape, dtype=bool)
    for is_vein, passed in ((True, (0.66, 0.42, 0.50)), (False, (0.80, 0.52, 0.54))):
        lines = [vessel.line for vessel in retina.vessels if vessel.is_vein == is_vein]
        distance, radius = stroke_distance(lines, at, step=pixel / 2)
        opacity = soft(distance, width=pixel) * np.clip(0.32 + radius / 0.022, 0.0, 1.0)
        # A lumen thinner than a pixel covers a part of it.
        opacity = opacity * np.clip((2.0 * radius + 0.25 * pixel) / pixel, 0.0, 1.0)
        image = image * (1.0 - opacity * (1.0 - np.array(passed)[:, None, None]))
        if not is_vein:
            reflex = np.clip(-distance / np.maximum(radius, 1e-6), 0, 1) ** 3 * (radius > 0.007)
            image = image * (1.0 + 0.22 * reflex)
        mask |= distance <= 0.0
    return image, mask


def _paint_disease(
    rng: np.random.Generator, image: Field, retina: Retina, *, grade: int, at: _Grid, pixel: float
) -> tuple[Field, npt.NDArray[np.uint8]]:
    opacity, labels = paint_blobs(rng, draw_blobs(rng, retina, grade=grade), at=at, pixel=pixel)
    grain = 1.0 + 0.08 * noise(rng, at[0].shape, cells=40.0)
    for kind, passed in ((MICROANEURYSM, (0.68, 0.36, 0.40)), (HAEMORRHAGE, (0.55, 0.26, 0.30))):
        image = image * (1.0 - 0.9 * opacity[kind] * (1.0 - np.array(passed)[:, None, None]))
    for kind, colour, strength in ((COTTON_WOOL, (0.95, 0.84, 0.68), 0.72), (HARD_EXUDATE, (0.99, 0.88, 0.48), 0.85)):
        image = image + strength * opacity[kind] * (np.array(colour)[:, None, None] * grain - image)
    tufts = paint_tufts(draw_tufts(rng, retina, grade=grade), at=at, pixel=pixel)
    labels[tufts > 0.5] = NEOVESSELS
    return image * (1.0 - 0.8 * tufts * (1.0 - np.array([0.75, 0.36, 0.40])[:, None, None])), labels


def _light(rng: np.random.Generator, at: _Grid) -> Field:
    """The lamp's uneven but fair light: brightest somewhere near the middle."""
    middle = rng.normal(0.0, 0.2, size=2)
    falloff = rng.uniform(0.18, 0.38)
    distance = np.hypot(at[0] - middle[0], at[1] - middle[1])
    return rng.uniform(0.9, 1.12) * (1.08 - falloff * distance**2) * (1.0 + 0.03 * noise(rng, at[0].shape, cells=2.0))
