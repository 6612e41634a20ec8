"""A JPEG decoded at a part of its size is prepared like the whole one, and nothing is restored on it."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

from medgan.errors import GeometryError
from medgan.imaging.read import read_image, read_label
from medgan.settings.preparation import Preparation
from medgan.transforms.photograph import reading_px
from medgan.transforms.prepare import prepare, restore, restore_label


@pytest.fixture
def make_jpeg(tmp_path, rng):
    def make(shape, *, round_field=False, turn=1):
        noise = gaussian_filter(rng.normal(size=(*shape, 3)), (9, 9, 0))
        array = 60 + 150 * (noise - noise.min()) / np.ptp(noise)
        if round_field:
            rows, columns = np.mgrid[: shape[0], : shape[1]]
            array *= ((rows - shape[0] / 2) ** 2 + (columns - shape[1] / 2) ** 2 < (0.45 * shape[0]) ** 2)[..., None]
        exif = Pillow.Exif()
        exif[0x0112] = turn
        buffer = io.BytesIO()
        Pillow.fromarray(array.astype(np.uint8)).save(buffer, format="JPEG", quality=95, exif=exif)
        (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
        return tmp_path / "a.jpg"

    return make


@pytest.mark.parametrize("shape", [(512, 640), (507, 645), (645, 507)])
@pytest.mark.parametrize("preset", ["photograph", "fundus"])
@pytest.mark.parametrize("turn", [1, 3, 6])
def test_prepared_alike(make_jpeg, shape, preset, turn):
    path = make_jpeg(shape, round_field=preset == "fundus", turn=turn)
    preparation = Preparation(preset=preset, size_px=64)
    small, whole = read_image(path, at_least_px=reading_px(preparation)), read_image(path)
    assert small.grid_shape == whole.grid_shape == whole.pixels.shape[1:]
    if turn == 1 or shape == (512, 640):
        assert max(small.pixels.shape) <= 200
    label = np.zeros(whole.grid_shape, dtype=np.uint8)
    label[200:300, 150:350] = 255
    first, second = prepare(small, preparation, label=label), prepare(whole, preparation, label=label)
    assert first.trace.source_shape == second.trace.source_shape == whole.pixels.shape
    assert first.pixels.shape == second.pixels.shape
    np.testing.assert_allclose(first.trace.crop, second.trace.crop, atol=8)
    both = first.field & second.field
    assert np.abs(first.pixels - second.pixels)[:, both].mean() * 127.5 < (1 if preset == "photograph" else 8)
    if preset == "photograph":
        np.testing.assert_array_equal(first.label, second.label)
    back = restore_label(first.label, first.trace)
    assert 2 * ((back > 0) & (label > 0)).sum() / ((back > 0).sum() + (label > 0).sum()) > 0.9


def test_what_was_prepared_small_is_restored_on_the_whole(make_jpeg):
    path = make_jpeg((512, 640), round_field=True)
    preparation = Preparation(preset="fundus", size_px=64)
    small, whole = read_image(path, at_least_px=reading_px(preparation)), read_image(path)
    prepared = prepare(small, preparation)
    back = restore(prepared.pixels, prepared.trace, source=whole, prepared_source=prepared.pixels)
    np.testing.assert_array_equal(back.pixels, whole.pixels)
    with pytest.raises(GeometryError, match=r"G022.*source"):
        restore(prepared.pixels, prepared.trace, source=small, prepared_source=prepared.pixels)


def test_a_mask_lies_on_the_whole_picture(make_jpeg, tmp_path):
    path = make_jpeg((512, 640), turn=6)
    small = read_image(path, at_least_px=64)
    mask = np.zeros((512, 640), dtype=np.uint8)
    mask[10:60, 20:300] = 255
    Pillow.fromarray(mask).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_label(tmp_path / "m.png", like=small), np.rot90(mask, -1))


def test_only_photographs_of_a_wanted_size_are_read_smaller():
    assert reading_px(Preparation(preset="fundus", size_px=256)) == 512
    assert reading_px(Preparation(preset="photograph")) is None
    assert reading_px(Preparation(preset="mr")) is None
