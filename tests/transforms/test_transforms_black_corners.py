"""Dark corners of dermoscopy are found; what only looks like them is not."""

import csv

import numpy as np
import pytest

from medgan.imaging.image import Image, StoredAs
from medgan.imaging.read import read_image
from medgan.settings.preparation import Preparation
from medgan.transforms.black_corners import find_lit_field
from medgan.transforms.prepare import prepare, restore

SHAPE = (180, 240)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)


def skin(rng) -> np.ndarray:
    shade = 190 + 15 * np.sin(ROWS / 30) + rng.normal(0, 4, SHAPE)
    return np.clip(np.stack([shade, shade * 0.8, shade * 0.7]), 0, 255).astype(np.uint8)


def disc(radius: float, row: float = 90, column: float = 120) -> np.ndarray:
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 <= radius**2


def overlap(first, second) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("radius", [80, 100, 125])
@pytest.mark.parametrize("dark", [0, 12, 35])
def test_a_tube_is_found(rng, radius, dark):
    field = disc(radius)
    pixels = np.where(field, skin(rng), dark).astype(np.uint8)
    assert overlap(find_lit_field(pixels), field) > 0.99
    assert overlap(find_lit_field(pixels.astype(np.uint16) * 257), field) > 0.99


def test_a_smooth_vignette_is_found(rng):
    distance = np.hypot(ROWS - 90, COLUMNS - 120)
    pixels = (skin(rng) * np.clip((150 - distance) / 35, 0.05, 1)).astype(np.uint8)
    found = find_lit_field(pixels)
    assert overlap(found, distance < 134) > 0.98


def test_cut_off_corners_of_a_rectangle_are_found(rng):
    near = np.minimum(ROWS, SHAPE[0] - 1 - ROWS) + np.minimum(COLUMNS, SHAPE[1] - 1 - COLUMNS)
    field = near > 18
    assert overlap(find_lit_field(np.where(field, skin(rng), 20).astype(np.uint8)), field) > 0.99


def test_what_is_no_tube_is_left_alone(rng):
    lesion = disc(60, 10, 10)
    arm = (COLUMNS < 60) | (COLUMNS > 200)
    hole = ~disc(60)
    two = disc(40, 0, 0) | disc(40, 0, 239)
    for name, dark in {
        "none": lesion & False,
        "lesion": lesion,
        "two corners": two,
        "frame": arm & hole & lesion,
    }.items():
        assert find_lit_field(np.where(dark, 25, skin(rng)).astype(np.uint8)).all(), name
    assert find_lit_field(np.zeros((3, 40, 40), np.uint8)).all()
    assert find_lit_field(np.full((1, 2, 2), 90, np.uint8)).all()


def test_a_star_is_no_field(rng):
    star = np.abs(ROWS - 90) * np.abs(COLUMNS - 120) < 900
    assert find_lit_field(np.where(star, skin(rng), 10).astype(np.uint8)).all()


def test_preparation_marks_corners_and_changes_no_pixel(rng):
    field = disc(100)
    pixels = np.where(field, skin(rng), 10).astype(np.uint8)
    image = Image(pixels=pixels, stored=StoredAs(format="png", dtype="uint8", unit="level"))
    prepared = prepare(image, Preparation(preset="photograph", size_px=120))
    assert prepared.field.shape == (90, 120)
    assert overlap(prepared.field, field[::2, ::2]) > 0.98
    assert prepared.pixels[:, 0, 0] == pytest.approx(10 / 127.5 - 1, abs=0.02)
    back = restore(prepared.pixels, prepared.trace, source=image, prepared_source=prepared.pixels)
    np.testing.assert_array_equal(back.pixels, pixels)


@pytest.mark.real_data
def test_real_corners_are_found_and_phones_have_none(data_root):
    def rows(folder):
        with (data_root / folder / "manifest.csv").open() as file:
            return [data_root / folder / row[next(iter(row))] for row in csv.DictReader(file)][::3]

    corners = []
    for path in rows("derm_isic2017"):
        pixels = read_image(path).pixels
        level = pixels.max(axis=0)
        ends = [level[:6, :6], level[:6, -6:], level[-6:, :6], level[-6:, -6:]]
        if max(np.median(end) for end in ends) < 0.2 * np.percentile(level, 75):
            corners.append(not find_lit_field(pixels).all())
    assert len(corners) >= 10
    assert np.mean(corners) > 0.9
    phones = [not find_lit_field(read_image(path).pixels).all() for path in rows("derm_padufes")]
    assert np.mean(phones) <= 0.02
