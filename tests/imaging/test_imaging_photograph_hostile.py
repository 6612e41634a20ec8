"""Photographs that standard readers take in silence: each is read whole or refused by its code."""

import io
import struct
import threading
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from photograph_files import chunk, exif, interlaced_rows, plain_rows, png
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from medgan.errors import GeometryError, ReadError
from medgan.imaging.photograph import read_photograph
from medgan.imaging.photograph_orientation import exif_orientation, upright
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image


@pytest.fixture
def smooth(rng):
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.normal(size=(96, 128, 3)), (6, 6, 0))
    return ((field - field.min()) / np.ptp(field) * 255).astype(np.uint8)


@pytest.fixture
def put(tmp_path):
    def write(raw: bytes, name: str):
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return write


def jpeg(array, **options) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(array).save(buffer, format="JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


class TestPng:
    grey = np.random.default_rng(1).integers(0, 65535, (20, 30)).astype(">u2")
    colour = np.random.default_rng(2).integers(0, 65535, (20, 30, 3)).astype(">u2")

    @pytest.mark.parametrize("kind", [0, 2])
    @pytest.mark.parametrize("interlaced", [0, 1])
    @pytest.mark.parametrize("extra", [b"", b"gAMA", b"sBIT", b"sRGB"])
    def test_sixteen_bits_come_as_stored(self, put, kind, interlaced, extra):
        array = self.colour if kind else self.grey
        rows = interlaced_rows(array) if interlaced else plain_rows(array)
        blocks = {
            b"": b"",
            b"gAMA": chunk(b"gAMA", struct.pack(">I", 100000)),
            b"sBIT": chunk(b"sBIT", b"\x0c" * (3 if kind else 1)),
            b"sRGB": chunk(b"sRGB", b"\0"),
        }
        image = read_image(put(png((30, 20), 16, kind, rows, before=blocks[extra], adam7=interlaced), "a.png"))
        expected = np.moveaxis(array, -1, 0) if kind else array[None]
        np.testing.assert_array_equal(image.pixels, expected)
        assert image.pixels.dtype == np.uint16

    @pytest.mark.parametrize(("bits", "top"), [(1, 255), (2, 85), (4, 17)])
    def test_few_grey_bits_are_stretched_and_noted(self, put, bits, top):
        image = read_image(put(png((8 // bits, 1), bits, 0, b"\0\x1b"), "a.png"))
        stored = [0x1B >> shift & (1 << bits) - 1 for shift in range(8 - bits, -1, -bits)]
        assert image.pixels.ravel().tolist() == [top * value for value in stored]
        assert image.stored.notes == (f"{bits} bit read as levels 0 to 255",)

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (png((30, 20), 8, 0, bytes(31 * 10)), r"R004.*310 of 620"),
            (png((30, 20), 16, 2, plain_rows(colour)[:1000]), "R004"),
            (png((30, 20), 8, 0, bytes(31 * 40)), r"R005.*more than the 620"),
            (png((30, 20), 8, 0, bytes(31 * 20))[:-12], r"R004.*without the end"),
            (png((0, 20), 8, 0, b""), "R005"),
            (png((30, 20), 3, 0, b""), r"R005.*impossible header"),
            (png((60000, 60000), 8, 0, b""), r"R006.*3600\.0 megapixels"),
            (png((8, 1), 8, 3, b"\0" + bytes(range(8)), before=chunk(b"PLTE", bytes(12))), r"R005.*palette of 4"),
            (png((8, 1), 8, 3, bytes(9)), r"R005.*palette of 0"),
            (png((2, 1), 16, 4, bytes(9)), "R011"),
            (png((2, 1), 8, 0, bytes(3), before=chunk(b"tRNS", b"\0\0")), "R011"),
            (png((2, 1), 8, 0, bytes(3), before=chunk(b"acTL", struct.pack(">II", 2, 0))), "R012"),
        ],
    )
    def test_what_would_be_mended_in_silence_is_refused(self, put, raw, code):
        with pytest.raises(ReadError, match=code):
            read_image(put(raw, "a.png"))

    def test_every_flipped_byte_is_noticed(self, put, rng):
        raw = png((30, 20), 8, 0, plain_rows(rng.integers(0, 255, (20, 30)).astype(np.uint8)))
        for place in rng.integers(8, len(raw), 60):
            bad = bytearray(raw)
            bad[place] ^= 0x55
            with pytest.raises(ReadError, match=r"R00[456]|R01[0-2]"):
                read_image(put(bytes(bad), "a.png"))

    @pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
    def test_a_bomb_in_a_text_or_profile_is_not_unpacked(self, put, kind):
        bomb = chunk(kind, b"x\0\0" + zlib.compress(bytes(50_000_000)))
        path = put(png((30, 20), 8, 0, bytes(31 * 20), before=bomb), "a.png")
        read_image(path)
        tracemalloc.start()
        assert read_image(path).pixels.shape == (1, 20, 30)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6

    def test_a_bomb_in_the_pixels_is_refused_early(self, put):
        path = put(png((30, 20), 8, 0, bytes(80_000_000)), "a.png")
        tracemalloc.start()
        with pytest.raises(ReadError, match="R005"):
            read_image(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10e6

    def test_transparent_palette_is_refused_for_an_image_and_kept_for_a_mask(self, put):
        before = chunk(b"PLTE", bytes(12)) + chunk(b"tRNS", b"\0\xff")
        path = put(png((4, 1), 2, 3, b"\0\x1b", before=before), "a.png")
        with pytest.raises(ReadError, match=r"R011.*transparent palette"):
            read_image(path)
        image = read_image(put(png((4, 1), 8, 0, bytes(5)), "i.png"))
        np.testing.assert_array_equal(read_label(path, like=image), [[0, 1, 2, 3]])

    def test_hundred_megapixels_are_refused_unless_raised(self, put):
        path = put(png((10000, 10000), 1, 0, bytes(1251 * 10000)), "a.png")
        with pytest.raises(ReadError, match=r"R006.*100\.0 megapixels.*max_megapixels"):
            read_image(path)
        assert read_image(path, max_megapixels=100).pixels.shape == (1, 10000, 10000)


class TestJpeg:
    def test_an_end_behind_a_cut_is_noticed(self, put, smooth):
        for options in ({}, {"restart_marker_rows": 1}, {"subsampling": 0}, {"progressive": True}):
            raw = jpeg(smooth, **options)
            assert read_image(put(raw, "a.jpg")).pixels.shape == (3, 96, 128)
            for share in (0.5, 0.7, 0.9):
                with pytest.raises(ReadError, match=r"R00[45]"):
                    read_image(put(raw[: int(len(raw) * share)] + b"\xff\xd9", "a.jpg"))

    def test_a_grey_corner_alone_is_no_cut(self, put, smooth):
        smooth[-48:, -64:] = 128
        np.testing.assert_allclose(read_image(put(jpeg(smooth), "a.jpg")).pixels[:, -8:, -8:], 128, atol=2)

    def test_missing_scans_of_a_progressive_picture_are_noticed(self, put, smooth):
        raw = jpeg(smooth, progressive=True)
        scans = [place for place in range(len(raw) - 1) if raw[place : place + 2] == b"\xff\xda"]
        for scan in scans[1:]:
            with pytest.raises(ReadError, match=r"R004.*last scans"):
                read_image(put(raw[:scan] + b"\xff\xd9", "a.jpg"))

    def test_an_erased_sector_is_noticed(self, put, rng):
        raw = bytearray(jpeg(rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)))
        raw[len(raw) // 2 : len(raw) // 2 + 512] = bytes(512)
        with pytest.raises(ReadError, match=r"R005.*erased sector"):
            read_image(put(bytes(raw), "a.jpg"))

    @pytest.mark.parametrize(("frame", "name"), [(0xC9, "arithmetic"), (0xC3, "without loss"), (0xCA, "arithmetic")])
    def test_other_codings_are_refused(self, put, smooth, frame, name):
        raw = bytearray(jpeg(smooth))
        raw[raw.index(b"\xff\xc0") + 1] = frame
        with pytest.raises(ReadError, match=f"R010.*{name}"):
            read_image(put(bytes(raw), "a.jpg"))

    def test_twelve_bits_are_refused(self, put, smooth):
        raw = bytearray(jpeg(smooth))
        raw[raw.index(b"\xff\xc0") + 4] = 12
        with pytest.raises(ReadError, match=r"R010.*12 bits"):
            read_image(put(bytes(raw), "a.jpg"))

    def test_a_preview_behind_is_ignored_and_a_second_view_refused(self, put, smooth):
        small = jpeg(smooth[::2, ::2])
        image = read_image(put(jpeg(smooth) + small, "a.jpg"))
        assert image.stored.notes == ("first picture taken, 1 smaller behind it ignored",)
        np.testing.assert_array_equal(image.pixels, read_image(put(jpeg(smooth), "b.jpg")).pixels)
        with pytest.raises(ReadError, match=r"R012.*stereo"):
            read_image(put(jpeg(smooth) + jpeg(smooth[::-1]), "a.jpg"))
        assert "40 bytes" in read_image(put(jpeg(smooth) + b"trailing" * 5, "a.jpg")).stored.notes[0]

    def test_cmyk_is_not_inverted(self, put, smooth):
        buffer = io.BytesIO()
        Pillow.fromarray(smooth).convert("CMYK").save(buffer, format="JPEG", quality=95)
        image = read_image(put(buffer.getvalue(), "a.jpg"))
        assert np.abs(np.moveaxis(image.pixels, 0, -1).astype(int) - smooth).mean() < 6

    @pytest.mark.parametrize("at_least_px", [16, 31, 64, 200])
    def test_a_smaller_version_says_how_large_the_picture_is(self, put, smooth, at_least_px):
        image = read_image(put(jpeg(smooth[:91, :125]), "a.jpg"), at_least_px=at_least_px)
        assert image.grid_shape == (91, 125)
        assert max(image.pixels.shape) >= min(at_least_px, 125)
        assert (image.full_shape is None) == (image.pixels.shape == (3, 91, 125))
        with pytest.raises(ReadError, match="R004"):
            read_image(put(jpeg(smooth)[:-300] + b"\xff\xd9", "b.jpg"), at_least_px=at_least_px)

    def test_nothing_is_written_from_a_smaller_version(self, put, smooth, tmp_path):
        from medgan.errors import WriteError

        path = put(jpeg(smooth), "a.jpg")
        small = read_image(path, at_least_px=16)
        with pytest.raises(WriteError, match="W002"):
            write_image(small, tmp_path / "b.jpg", like=small)


class TestTiff:
    @pytest.mark.parametrize(
        "options",
        [
            {"byteorder": ">"},
            {"bigtiff": True},
            {"tile": (16, 16), "compression": "zlib"},
            {"compression": "zlib", "predictor": 2, "byteorder": ">"},
            {"rowsperstrip": 3},
        ],
    )
    def test_sixteen_bit_colour_in_any_layout(self, tmp_path, rng, options):
        array = rng.integers(0, 65535, (33, 45, 3)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", **options)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.moveaxis(array, -1, 0))

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_planes(self, tmp_path, rng, compression):
        array = rng.integers(0, 65535, (3, 33, 45)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", planarconfig="separate", compression=compression)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, array)

    @pytest.mark.parametrize("compressor", ["LZW", "PACKBITS", "DEFLATE"])
    def test_sixteen_bit_colour_compressed_by_another_library(self, tmp_path, rng, compressor):
        sitk = pytest.importorskip("SimpleITK")
        array = rng.integers(0, 65535, (33, 45, 3)).astype(np.uint16)
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(tmp_path / "a.tif"))
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        writer.Execute(sitk.GetImageFromArray(array, isVector=True))
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.moveaxis(array, -1, 0))

    @pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
    @pytest.mark.parametrize("turn", range(1, 9))
    def test_turned_in_any_compression(self, tmp_path, rng, compression, turn):
        for array in (
            rng.integers(0, 65535, (30, 40)).astype(np.uint16),
            rng.integers(0, 255, (30, 40, 3)).astype(np.uint8),
        ):
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            tags[274] = turn
            Pillow.fromarray(array).save(tmp_path / "a.tif", compression=compression, tiffinfo=tags)
            expected = upright(array, turn)
            expected = expected[None] if expected.ndim == 2 else np.moveaxis(expected, -1, 0)
            np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, expected)

    def test_white_as_zero_is_turned_round_and_noted(self, tmp_path):
        array = np.array([[0, 1], [2, 60000]], dtype=np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", array, photometric="miniswhite")
        image = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(image.pixels[0], 65535 - array)
        assert "white as 0" in image.stored.notes[0]

    @pytest.mark.parametrize(
        ("array", "options", "code"),
        [
            (np.zeros((9, 9), np.float32), {}, r"R010.*32-bit floating-point"),
            (np.zeros((9, 9), np.int16), {}, r"R010.*16-bit signed"),
            (np.zeros((9, 9), np.uint32), {}, r"R010.*32-bit whole"),
            (
                np.zeros((9, 9, 4), np.uint16),
                {"photometric": "rgb", "extrasamples": ["unspecified"]},
                "R011.*4 channels",
            ),
            (np.zeros((9, 9, 4), np.uint8), {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "R011"),
            (np.zeros((5, 9, 9), np.uint8), {"imagej": True}, r"R012.*5 pages"),
        ],
    )
    def test_other_pixels_are_refused(self, tmp_path, array, options, code):
        tifffile.imwrite(
            tmp_path / "a.tif", array, **({} if "imagej" in options else {"photometric": "minisblack"}) | options
        )
        with pytest.raises(ReadError, match=code):
            read_image(tmp_path / "a.tif")

    def test_a_tag_that_cannot_be_read_is_no_small_matter_and_not_logged(self, tmp_path, caplog):
        tifffile.imwrite(
            tmp_path / "a.tif", np.zeros((9, 9), np.uint8), photometric="minisblack", description="DOE^JANE"
        )
        raw = bytearray((tmp_path / "a.tif").read_bytes())
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            place = file.pages[0].tags["XResolution"].offset
        raw[place + 2] = 99
        (tmp_path / "a.tif").write_bytes(bytes(raw))
        with pytest.raises(ReadError, match=r"R005.*tags or pages"):
            read_image(tmp_path / "a.tif")
        assert caplog.text == ""

    def test_fax_compression_is_refused(self, tmp_path):
        Pillow.fromarray(np.eye(16, dtype=bool)).save(tmp_path / "a.tif", compression="group4")
        with pytest.raises(ReadError, match=r"R010.*fax"):
            read_image(tmp_path / "a.tif")

    def test_a_strip_that_unpacks_to_more_than_its_rows_is_refused(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), compression="zlib", photometric="minisblack")
        raw = bytearray((tmp_path / "a.tif").read_bytes())
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            tag = file.pages[0].tags["StripByteCounts"].valueoffset
            start = file.pages[0].tags["StripOffsets"].valueoffset
        bomb = zlib.compress(bytes(20_000_000))
        raw[start : start + 4], raw[tag : tag + 4] = struct.pack("<I", len(raw)), struct.pack("<I", len(bomb))
        (tmp_path / "a.tif").write_bytes(bytes(raw) + bomb)
        with pytest.raises(ReadError, match=r"R00[45]"):
            read_image(tmp_path / "a.tif")


class TestOrientationOfAMask:
    turned = (2, 3, 4, 5, 6, 7, 8)

    def picture(self, put, array, turn):
        return read_image(put(jpeg(array, exif=b"Exif\0\0" + exif(turn)), "p.jpg"))

    @pytest.mark.parametrize("turn", [5, 6, 7, 8])
    def test_a_mask_on_the_stored_pixels_is_turned_and_an_upright_one_stays(self, put, make_photograph, smooth, turn):
        image = self.picture(put, smooth, turn)
        mask = np.zeros((96, 128), dtype=np.uint8)
        mask[3:20, 9:70] = 255
        expected = upright(mask, turn)
        np.testing.assert_array_equal(read_label(make_photograph(mask, "m.png"), like=image), expected)
        np.testing.assert_array_equal(read_label(make_photograph(expected.copy(), "m.png"), like=image), expected)

    @pytest.mark.parametrize("turn", turned)
    def test_a_mask_that_says_itself_how_it_is_held_is_believed(self, put, make_photograph, smooth, turn):
        image = self.picture(put, smooth[:, :96], turn)
        mask = np.zeros((96, 96), dtype=np.uint8)
        mask[3:20, 9:70] = 255
        own = make_photograph(mask, "m.png", exif=exif(turn))
        np.testing.assert_array_equal(read_label(own, like=image), upright(mask, turn))
        as_shown = make_photograph(mask, "m.png", exif=exif(1))
        np.testing.assert_array_equal(read_label(as_shown, like=image), mask)

    @pytest.mark.parametrize("turn", turned)
    def test_where_nobody_can_tell_it_is_refused(self, put, make_photograph, smooth, turn):
        image = self.picture(put, smooth[:, :96], turn)
        mask = np.zeros((96, 96), dtype=np.uint8)
        assert not read_label(make_photograph(mask, "m.png"), like=image).any()
        mask[3:20, 9:70] = 255
        with pytest.raises(GeometryError, match=r"G074.*EXIF"):
            read_label(make_photograph(mask, "m.png"), like=image)

    def test_other_shapes_are_still_refused(self, put, make_photograph, smooth):
        image = self.picture(put, smooth, 6)
        with pytest.raises(GeometryError, match=r"G003.*EXIF orientation 6"):
            read_label(make_photograph(np.zeros((50, 50), np.uint8), "m.png"), like=image)

    @pytest.mark.parametrize("block", [b"", b"II*\0", b"XX*\0aaaa", b"II*\0\xff\xff\xff\xff", exif(0), exif(9)])
    def test_a_block_without_meaning_turns_nothing(self, block):
        assert exif_orientation(block) is None

    def test_a_broken_block_leaves_the_pixels(self, put, smooth):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = read_image(put(jpeg(smooth, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "a.jpg"))
        assert image.stored.notes == ()


class TestPrivacyAndColour:
    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
    def test_nothing_of_the_exif_block_is_written(self, tmp_path, smooth, suffix):
        block = Pillow.Exif()
        block[0x0112], block[0x013B], block[0x0132] = 6, "DOE^JANE", "1961:04:02 10:00:00"
        path, out = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
        block.get_ifd(0x8825)[1] = "N"
        Pillow.fromarray(smooth).save(path, exif=block)
        assert b"DOE^JANE" in path.read_bytes()
        image = read_image(path)
        write_image(image, out, like=image)
        assert not any(word in out.read_bytes() for word in (b"DOE^JANE", b"1961", b"Exif", b"eXIf"))
        again = read_image(out)
        assert again.pixels.shape == (3, 128, 96)
        assert not any("EXIF" in note for note in again.stored.notes)
        assert not any("DOE" in note for note in image.stored.notes)

    @pytest.mark.parametrize(("suffix", "dtype"), [("png", "u1"), ("jpg", "u1"), ("tif", "u1"), ("png", "u2")])
    def test_the_colour_profile_is_kept_and_another_than_srgb_noted(self, tmp_path, smooth, suffix, dtype):
        profile = bytes(128) + b"desc\0\0\0\0Adobe RGB (1998)\0 made for DOE^JANE" + bytes(40)
        path, out = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
        if dtype == "u2":
            before = chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))
            rows = plain_rows((smooth.astype(">u2") * 257).astype(">u2"))
            path.write_bytes(png((128, 96), 16, 2, rows, before=before))
        else:
            Pillow.fromarray(smooth).save(path, icc_profile=profile)
        image = read_image(path)
        assert image.stored.notes == ("colour profile kept, values as stored: Adobe RGB",)
        write_image(image, out, like=image)
        again = read_image(out)
        assert again.stored == image.stored
        if suffix != "jpg":
            np.testing.assert_array_equal(again.pixels, image.pixels)
        with Pillow.open(out) as opened:
            assert opened.info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"BM\0\0", "BMP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    ],
)
def test_other_picture_formats_are_named_with_a_remedy(put, head, name):
    with pytest.raises(ReadError, match=rf"R002.*{name}.*save it as PNG"):
        read_image(put(head + bytes(200), "a.jpg"))


def test_threads_leave_the_filter_of_warnings_as_it_was(tmp_path, rng):
    paths = []
    for index in range(6):
        tifffile.imwrite(
            tmp_path / f"{index}.tif", rng.integers(0, 255, (40, 40, 3)).astype(np.uint8), photometric="rgb"
        )
        paths.append(tmp_path / f"{index}.tif")
    before, limit = list(warnings.filters), Pillow.MAX_IMAGE_PIXELS
    workers = [threading.Thread(target=read_photograph, args=(path,)) for path in paths * 4]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert warnings.filters == before
    assert limit == Pillow.MAX_IMAGE_PIXELS
