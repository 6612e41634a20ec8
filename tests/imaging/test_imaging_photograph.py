"""Photographs: full range, upright, nothing mended in silence."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from medgan.errors import GeometryError, ReadError, WriteError
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import suffix_of, write_image


def colours(rng, dtype=np.uint8, shape=(13, 17, 3)):
    return rng.integers(0, np.iinfo(dtype).max, size=shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3)])
def test_identity_through_a_lossless_file(rng, tmp_path, suffix, dtype, shape):
    array = colours(rng, dtype, shape)
    pixels = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    made = Image(
        pixels=pixels,
        stored=StoredAs(format={".png": "png", ".tif": "tiff"}[suffix], dtype=pixels.dtype.name, unit="level"),
    )
    assert write_image(made, tmp_path / f"a{suffix}", like=made) == 0
    first = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(first.pixels, pixels)
    assert first.pixels.dtype == dtype
    assert first.stored == made.stored
    write_image(first, tmp_path / f"b{suffix}", like=first)
    again = read_image(tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.stored == made.stored


def test_sixteen_bit_png_keeps_its_levels(make_photograph):
    array = np.arange(16 * 64, dtype=np.uint16).reshape(16, 64) * 61
    assert np.unique(read_image(make_photograph(array)).pixels).size == 1024


def test_jpeg_is_written_close_and_without_subsampling(make_photograph, rng, tmp_path):
    base = np.kron(colours(rng, shape=(4, 4, 3)), np.ones((8, 8, 1), dtype=np.uint8))
    image = read_image(make_photograph(base, "a.jpg", quality=95, subsampling=0))
    write_image(image, tmp_path / "b.jpg", like=image)
    again = read_image(tmp_path / "b.jpg")
    assert np.abs(again.pixels.astype(int) - image.pixels).mean() < 2
    with Pillow.open(tmp_path / "b.jpg") as opened:
        assert opened.layer[0][1:3] == (1, 1)


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(make_photograph, rng, turn):
    from PIL import ImageOps

    exif = Pillow.Exif()
    exif[0x0112] = turn
    path = make_photograph(colours(rng), "turned.png", exif=exif)
    image = read_image(path)
    with Pillow.open(path) as opened:
        expected = np.moveaxis(np.asarray(ImageOps.exif_transpose(opened)), -1, 0)
    np.testing.assert_array_equal(image.pixels, expected)
    assert any("EXIF orientation" in note for note in image.stored.notes) == (turn != 1)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_turned_tiff_is_upright(tmp_path, rng, compression, dtype, shape):
    array = colours(rng, dtype, shape)
    kind = "rgb" if len(shape) == 3 else "minisblack"
    turn = [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "t.tif", array, photometric=kind, compression=compression, extratags=turn)
    upright = np.rot90(array, -1)
    expected = upright[None] if upright.ndim == 2 else np.moveaxis(upright, -1, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "t.tif").pixels, expected)


def test_lzw_tiff_is_read(make_photograph, rng):
    array = colours(rng)
    image = read_image(make_photograph(array, "l.tif", compression="tiff_lzw"))
    np.testing.assert_array_equal(image.pixels, np.moveaxis(array, -1, 0))


def test_palette_is_expanded_for_an_image_and_kept_for_a_mask(tmp_path):
    indices = np.array([[0, 1], [2, 1]], dtype=np.uint8)
    picture = Pillow.fromarray(indices, mode=None).convert("P")
    picture.putdata(indices.ravel().tolist())
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "p.png")
    image = read_image(tmp_path / "p.png")
    np.testing.assert_array_equal(image.pixels[:, 0, 1], [255, 0, 0])
    assert "palette expanded to RGB" in image.stored.notes
    np.testing.assert_array_equal(read_label(tmp_path / "p.png", like=image), indices)


def test_cmyk_is_converted_and_noted(make_photograph, rng, tmp_path):
    Pillow.fromarray(colours(rng, shape=(16, 16, 3))).convert("CMYK").save(tmp_path / "c.jpg")
    image = read_image(tmp_path / "c.jpg")
    assert image.pixels.shape == (3, 16, 16)
    assert any("CMYK" in note for note in image.stored.notes)


def test_alpha_is_refused(make_photograph, rng):
    with pytest.raises(ReadError, match="R011"):
        read_image(make_photograph(colours(rng, shape=(8, 8, 4))))


def test_several_pages_are_refused(tmp_path, rng):
    tifffile.imwrite(tmp_path / "m.tif", colours(rng, shape=(3, 9, 9)), photometric="minisblack")
    with pytest.raises(ReadError, match="R012"):
        read_image(tmp_path / "m.tif")


def test_animation_is_refused(tmp_path, rng):
    frames = [Pillow.fromarray(colours(rng, shape=(8, 8, 3))) for _ in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(ReadError, match="R012"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_truncated_picture_is_refused(make_photograph, rng, name, share):
    path = make_photograph(colours(rng, shape=(64, 64, 3)), name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ReadError, match=r"R00[45]"):
        read_image(path)


def test_truncated_sixteen_bit_colour_is_refused(tmp_path, rng):
    pixels = np.moveaxis(colours(rng, np.uint16, (64, 64, 3)), -1, 0)
    made = Image(pixels=pixels, stored=StoredAs(format="png", dtype="uint16", unit="level"))
    write_image(made, tmp_path / "a.png", like=made)
    raw = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ReadError, match=r"R00[45]"):
        read_image(tmp_path / "a.png")


def test_flipped_bit_in_a_png_is_refused(tmp_path, rng):
    for dtype in (np.uint8, np.uint16):
        pixels = np.moveaxis(colours(rng, dtype, (64, 64, 3)), -1, 0)
        made = Image(pixels=pixels, stored=StoredAs(format="png", dtype=pixels.dtype.name, unit="level"))
        write_image(made, tmp_path / "a.png", like=made)
        raw = bytearray((tmp_path / "a.png").read_bytes())
        raw[len(raw) // 2] ^= 8
        (tmp_path / "a.png").write_bytes(bytes(raw))
        with pytest.raises(ReadError, match=r"R00[45]"):
            read_image(tmp_path / "a.png")


def test_cap_on_pixels_holds_before_decoding(make_photograph):
    path = make_photograph(np.zeros((300, 400), dtype=np.uint8))
    with pytest.raises(ReadError, match=r"R006.*0\.1 megapixels"):
        read_image(path, max_megapixels=0.1)
    assert read_image(path, max_megapixels=0.12).pixels.shape == (1, 300, 400)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "R001"),
        (b"<!DOCTYPE html><html></html>", "R002.*HTML"),
        (b"GIF89a........", "R002.*GIF"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "R00[45]"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 40, "R00[45]"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, code):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ReadError, match=code):
        read_image(tmp_path / "x.png")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ReadError, match="R000"):
        read_image(tmp_path / "none.png")


def test_mask_keeps_its_values(make_photograph):
    mask = np.zeros((6, 8), dtype=np.uint8)
    mask[2:4, 3:5] = 255
    image = read_image(make_photograph(np.zeros((6, 8, 3), dtype=np.uint8), "i.png"))
    np.testing.assert_array_equal(read_label(make_photograph(mask, "m.png"), like=image), mask)
    grey_rgb = np.repeat(mask[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_label(make_photograph(grey_rgb, "m3.png"), like=image), mask)


def test_mask_of_another_shape_colour_or_jpeg_is_refused(make_photograph, rng):
    image = read_image(make_photograph(np.zeros((6, 8, 3), dtype=np.uint8), "i.png"))
    with pytest.raises(GeometryError, match=r"G003.*\(8, 6\).*\(6, 8\)"):
        read_label(make_photograph(np.zeros((8, 6), dtype=np.uint8), "m.png"), like=image)
    with pytest.raises(ReadError, match="R014"):
        read_label(make_photograph(colours(rng, shape=(6, 8, 3)), "c.png"), like=image)
    with pytest.raises(ReadError, match="R015"):
        read_label(make_photograph(np.zeros((6, 8), dtype=np.uint8), "m.jpg"), like=image)


def test_writing_counts_what_it_clips_and_refuses_what_it_must(make_photograph, tmp_path, caplog):
    image = read_image(make_photograph(np.full((4, 5), 7, dtype=np.uint8)))
    values = np.full((1, 4, 5), 7.4, dtype=np.float32)
    values[0, 0, :3] = (-3, 400, 255.4)
    assert write_image(image.with_pixels(values), tmp_path / "o.png", like=image) == 2
    assert "clipped 2 of 20" in caplog.text
    np.testing.assert_array_equal(read_image(tmp_path / "o.png").pixels[0, 0], [0, 255, 255, 7, 7])
    with pytest.raises(WriteError, match="W003"):
        write_image(image, tmp_path / "o.jpg", like=image)
    with pytest.raises(WriteError, match="W002"):
        write_image(image.with_pixels(image.pixels[:, :2]), tmp_path / "o.png", like=image)
    values[0, 0, 0] = np.nan
    with pytest.raises(WriteError, match="W005"):
        write_image(image.with_pixels(values), tmp_path / "o.png", like=image)


def test_failed_write_leaves_the_old_file_and_no_rest(make_photograph, tmp_path, monkeypatch):
    image = read_image(make_photograph(np.full((4, 5), 7, dtype=np.uint8), "in/a.png"))
    out = tmp_path / "out" / "a.png"
    write_image(image, out, like=image)
    before = out.read_bytes()

    def full(*args, **kwargs):
        Path(args[1]).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Pillow.Image, "save", full)
    with pytest.raises(WriteError, match=r"W001.*No space"):
        write_image(image, out, like=image)
    assert out.read_bytes() == before
    assert [item.name for item in out.parent.iterdir()] == ["a.png"]


def test_suffix_of_each_format():
    assert suffix_of(StoredAs(format="nifti", dtype="int16", unit="HU")) == ".nii.gz"
    assert suffix_of(StoredAs(format="dicom", dtype="int16", unit="HU")) == ""
