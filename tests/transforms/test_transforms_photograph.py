"""Photographs to [-1, 1] and back: the field is found, the identity is exact, detail stays."""

import time

import numpy as np
import pytest

from medgan.errors import GeometryError
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.intensity import Window
from medgan.imaging.read import read_image
from medgan.settings.preparation import Preparation
from medgan.transforms.field_of_view import find_field, square_box
from medgan.transforms.prepare import Trace, prepare, restore, restore_label
from medgan.transforms.trace import Prepared


def picture(array: np.ndarray) -> Image:
    pixels = array[None] if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, -1, 0))
    return Image(pixels=pixels, stored=StoredAs(format="png", dtype=pixels.dtype.name, unit="level"))


def overlap(first, second) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_field_of_view_is_found(fundus):
    array, disc = fundus
    assert overlap(find_field(picture(array).pixels), disc) > 0.98


def test_field_is_found_under_a_shadow_with_a_label_beside_it(fundus):
    array, disc = fundus
    dim = array.copy()
    dim[60:110, 34:60] //= 6  # a dark rim belongs to the field
    dim[2:8, 2:30] = 200  # burnt-in text in the corner does not
    assert overlap(find_field(picture(dim).pixels), disc) > 0.97


def test_field_is_the_whole_picture_where_there_is_no_border(rng):
    array = rng.integers(100, 140, size=(60, 80, 3)).astype(np.uint8)
    assert find_field(picture(array).pixels).all()
    assert find_field(picture(np.zeros((60, 80, 3), dtype=np.uint8)).pixels).all()


def test_field_is_found_on_white_ground_and_in_large_pictures(fundus):
    array, disc = fundus
    white = np.where(disc[..., None], array, 255).astype(np.uint8)
    assert overlap(find_field(picture(white).pixels), disc) > 0.98
    large = np.kron(array, np.ones((5, 5, 1), dtype=np.uint8))
    assert overlap(find_field(picture(large).pixels), np.kron(disc, np.ones((5, 5), dtype=bool))) > 0.98


def test_square_reaches_beyond_a_cut_field(fundus):
    array, disc = fundus
    top, left, height, width = square_box(disc)
    assert height == width == 141
    assert top < 0
    assert (left, left + width) == (34, 175)
    prepared = prepare(picture(array), Preparation(preset="fundus", size_px=64))
    assert prepared.pixels.shape == (3, 64, 64)
    assert (prepared.pixels[:, ~prepared.field] == -1).all()
    assert prepared.trace.crop is not None
    np.testing.assert_allclose(prepared.trace.crop, (top, left, height, width), atol=3)


@pytest.mark.parametrize("preset", ["fundus", "photograph"])
@pytest.mark.parametrize("size_px", [None, 48, 64, 300])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_identity_gives_the_source_bit_by_bit(fundus, preset, size_px, dtype):
    image = picture(fundus[0].astype(dtype) * (257 if dtype == np.uint16 else 1))
    prepared = prepare(image, Preparation(preset=preset, size_px=size_px))
    assert prepared.pixels.dtype == np.float32
    assert np.abs(prepared.pixels).max() <= 1
    for known in (prepared.pixels, None):
        back = restore(prepared.pixels.copy(), prepared.trace, source=image, prepared_source=known)
        np.testing.assert_array_equal(back.pixels, image.pixels)
        assert back.stored == image.stored
        assert back.pixels.dtype == dtype


def test_longer_side_is_sized_and_the_aspect_kept(rng):
    image = picture(rng.integers(0, 255, size=(90, 200, 3)).astype(np.uint8))
    prepared = prepare(image, Preparation(preset="photograph", size_px=100))
    assert prepared.pixels.shape == (3, 45, 100)
    assert prepared.field.all()
    assert prepared.trace.losses == ("resampled from 90 x 200 to 45 x 100 pixels",)
    assert prepare(image, Preparation(preset="photograph")).trace.losses == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_whole_range_maps_to_the_whole_range(dtype):
    top = np.iinfo(dtype).max
    image = picture(np.array([[0, top] * 8] * 16, dtype=dtype))
    prepared = prepare(image, Preparation(preset="photograph"))
    assert set(np.unique(prepared.pixels)) == {-1, 1}
    assert prepared.trace.window == Window(low=0, high=top, unit="level")


def test_a_change_reaches_the_source_and_fine_detail_stays(rng):
    detail = rng.integers(90, 110, size=(128, 128, 3)).astype(np.uint8)
    image = picture(detail)
    prepared = prepare(image, Preparation(preset="photograph", size_px=32))
    brighter = restore(prepared.pixels + np.float32(0.2), prepared.trace, source=image)
    np.testing.assert_allclose(brighter.pixels.astype(int) - image.pixels, 25, atol=1)


def test_outside_the_field_the_source_stays(fundus, rng):
    image = picture(fundus[0])
    prepared = prepare(image, Preparation(preset="fundus", size_px=64))
    noise = rng.uniform(-1, 1, size=prepared.pixels.shape).astype(np.float32)
    result = restore(noise, prepared.trace, source=image)
    outside = ~find_field(image.pixels)
    np.testing.assert_array_equal(result.pixels[:, outside], image.pixels[:, outside])
    assert (result.pixels != image.pixels).mean() > 0.3


def test_other_channels_are_enlarged_plainly(fundus):
    image = picture(fundus[0])
    prepared = prepare(image, Preparation(preset="fundus", size_px=64))
    grey = restore(np.zeros((1, 64, 64), dtype=np.float32), prepared.trace, source=image)
    assert grey.pixels.shape == (1, 160, 200)
    assert grey.pixels[0, 66, 104] == 128
    assert grey.pixels[0, 0, 0] == 0


def test_sixteen_bits_are_not_cut_to_eight(rng):
    image = picture((30000 + rng.integers(0, 200, size=(40, 40))).astype(np.uint16))
    prepared = prepare(image, Preparation(preset="photograph"))
    assert np.unique(prepared.pixels).size > 150


def test_labels_follow_the_picture(fundus):
    array, disc = fundus
    label = np.zeros(disc.shape, dtype=np.uint8)
    label[50:90, 80:130] = 255
    prepared = prepare(picture(array), Preparation(preset="fundus", size_px=96), label=label)
    assert prepared.label is not None
    assert prepared.label.shape == (96, 96)
    assert set(np.unique(prepared.label)) == {0, 255}
    assert overlap(restore_label(prepared.label, prepared.trace) > 0, label > 0) > 0.95
    same = prepare(picture(array), Preparation(preset="photograph"), label=label)
    np.testing.assert_array_equal(restore_label(same.label, same.trace), label)


def test_many_labels_are_taken_from_the_nearest():
    label = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 8), dtype=int)).astype(np.int16)
    image = picture(np.zeros((32, 32), dtype=np.uint8))
    prepared = prepare(image, Preparation(preset="photograph", size_px=16), label=label)
    np.testing.assert_array_equal(prepared.label, np.kron(np.arange(16).reshape(4, 4), np.ones((4, 4), dtype=int)))
    np.testing.assert_array_equal(restore_label(prepared.label, prepared.trace), label)


def test_trace_survives_json(fundus):
    prepared = prepare(picture(fundus[0]), Preparation(preset="fundus", size_px=48))
    assert isinstance(prepared, Prepared)
    assert Trace.from_json(prepared.trace.to_json()) == prepared.trace


def test_what_does_not_belong_together_is_refused(fundus):
    image = picture(fundus[0])
    prepared = prepare(image, Preparation(preset="photograph", size_px=64))
    with pytest.raises(GeometryError, match="G021"):
        prepare(image, Preparation(preset="mr"))
    with pytest.raises(GeometryError, match="G003"):
        prepare(image, Preparation(preset="photograph"), label=np.zeros((3, 3), dtype=np.uint8))
    with pytest.raises(GeometryError, match=r"G022.*array"):
        restore(prepared.pixels[:, :-1], prepared.trace, source=image)
    with pytest.raises(GeometryError, match=r"G022.*label"):
        restore_label(np.zeros((3, 3), dtype=np.uint8), prepared.trace)


@pytest.mark.real_data
@pytest.mark.parametrize("domain", ["good", "mid", "poor"])
def test_real_fields_agree_with_their_measured_share(data_root, domain):
    import csv

    folder = data_root / "fundus_deepdrid"
    with (folder / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["domain"] == domain][:40]
    assert rows
    for row in rows:
        share = find_field(read_image(folder / row["path"]).pixels).mean()
        assert share == pytest.approx(float(row["fov_fraction"]), abs=0.02), row["path"]


@pytest.mark.real_data
def test_real_photographs_come_back_and_are_prepared_fast(data_root):
    paths = [
        *sorted((data_root / "fundus_deepdrid" / "open" / "poor").glob("*.jpg"))[:5],
        *sorted((data_root / "derm_padufes" / "open" / "images").iterdir())[:3],
    ]
    assert len(paths) == 8
    seconds = []
    for path in paths:
        image = read_image(path)
        preparation = Preparation(preset="fundus" if "fundus" in str(path) else "photograph", size_px=256)
        start = time.process_time()
        prepared = prepare(image, preparation)
        seconds.append(time.process_time() - start)
        back = restore(prepared.pixels, prepared.trace, source=image, prepared_source=prepared.pixels)
        np.testing.assert_array_equal(back.pixels, image.pixels)
    assert min(seconds) < 0.025
