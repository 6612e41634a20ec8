"""Text in the pixels: found where cameras print it, silent on what is no text."""

import io
import time

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from medgan.errors import ReadError
from medgan.imaging.burned_in import burned_in_text, refuse_unreviewed
from medgan.imaging.geometry import Geometry
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.read import read_image

TEXTS = ("DOE, JANE 1961-04-02", "12/03/2019 14:22", "ID 0048213")
INKS = ((255, 255, 255), (255, 255, 0), (160, 160, 160))


def retina(rng, longer: int, *, ground: int = 3) -> Pillow.Image:
    """A retina with noise on a ground of one level, 4:3, the disc as high as nine tenths of the picture."""
    height, width = longer * 3 // 4, longer
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    disc = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 <= (0.45 * height) ** 2
    shade = 110 + 50 * np.cos((rows + columns) * 12 / width)
    colours = np.stack([1.4 * shade, 0.7 * shade, 0.4 * shade], axis=-1) * disc[..., None] + ground * ~disc[..., None]
    return Pillow.fromarray(np.clip(colours + rng.normal(0, 2, colours.shape), 0, 255).astype(np.uint8))


def as_image(picture: Pillow.Image, *, quality: int | None = None) -> Image:
    if quality is not None:
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=quality)
        picture = Pillow.open(buffer)
    array = np.asarray(picture)
    pixels = array[None] if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, -1, 0))
    return Image(pixels=pixels, stored=StoredAs(format="png", dtype=pixels.dtype.name, unit="level"))


def write_on(picture: Pillow.Image, text: str, size: int, ink: object, *, corner: int) -> Pillow.Image:
    drawn, font = picture.copy(), ImageFont.load_default(size=size)
    pen = ImageDraw.Draw(drawn)
    _, _, right, bottom = pen.textbbox((0, 0), text, font=font)
    left, top = (6, drawn.width - right - 6)[corner % 2], (6, drawn.height - bottom - 6)[corner // 2]
    pen.text((left, top), text, fill=ink, font=font)
    return drawn


@pytest.mark.parametrize(("longer", "size"), [(512, 10), (512, 24), (512, 40), (1024, 10), (1024, 40), (2400, 16)])
def test_text_in_a_corner_is_found(rng, longer, size):
    plain = retina(rng, longer)
    for quality in (None, 90, 60):
        assert burned_in_text(as_image(plain, quality=quality)) == ""
    for corner, (text, ink) in enumerate(zip(TEXTS, INKS, strict=True)):
        drawn = write_on(plain, text, size, ink, corner=corner)
        for quality in (None, 75):
            assert "text" in burned_in_text(as_image(drawn, quality=quality)), (text, quality)


@pytest.mark.parametrize("longer", [512, 1024])
def test_a_picture_decoded_at_half_its_size_hides_small_text(rng, tmp_path, longer):
    """Why a picture is looked at in full before it is prepared: letters of seven pixels are no longer letters."""
    plain = retina(rng, longer)
    for corner, (text, ink) in enumerate(zip(TEXTS, INKS, strict=True)):
        path = tmp_path / f"{corner}.jpg"
        write_on(plain, text, 10, ink, corner=corner).save(path, quality=75)
        assert burned_in_text(read_image(path))
        assert not burned_in_text(read_image(path, at_least_px=longer // 2))


def test_dark_text_on_white_ground_grey_and_sixteen_bit_pictures(rng):
    white = retina(rng, 640, ground=250)
    assert burned_in_text(as_image(white)) == ""
    assert burned_in_text(as_image(write_on(white, TEXTS[0], 18, (0, 0, 0), corner=3)))
    grey = retina(rng, 640).convert("L")
    assert burned_in_text(as_image(grey)) == ""
    drawn = as_image(write_on(grey, TEXTS[0], 18, 255, corner=2))
    assert burned_in_text(drawn)
    deep = Image(pixels=drawn.pixels.astype(np.uint16) * 257, stored=drawn.stored)
    assert burned_in_text(deep)


def test_bars_frames_specks_and_single_letters_are_no_text(rng):
    plain = retina(rng, 800)
    marks = {
        "bar": lambda pen: pen.rectangle((10, 10, 150, 24), fill=(255, 255, 255)),
        "frame": lambda pen: pen.rectangle((0, 0, 799, 599), outline=(255, 255, 255), width=3),
        "letter": lambda pen: pen.text((10, 10), "R", fill=(255, 255, 255), font=ImageFont.load_default(size=30)),
        "line": lambda pen: pen.line((10, 590, 200, 590), fill=(255, 255, 255), width=2),
    }
    for name, mark in marks.items():
        drawn = plain.copy()
        mark(ImageDraw.Draw(drawn))
        assert burned_in_text(as_image(drawn)) == "", name
    specks = np.asarray(plain).copy()
    specks[rng.integers(0, 600, 150), rng.integers(0, 800, 150)] = 255
    assert burned_in_text(as_image(Pillow.fromarray(specks))) == ""


def test_a_picture_without_ground_is_not_searched(rng):
    skin = rng.integers(140, 180, (300, 400, 3)).astype(np.uint8)
    assert burned_in_text(as_image(Pillow.fromarray(skin))) == ""
    assert burned_in_text(as_image(Pillow.new("RGB", (60, 40)))) == ""
    assert burned_in_text(as_image(Pillow.new("L", (1, 1), 7))) == ""


def test_the_header_speaks_first_and_volumes_are_not_searched(rng):
    plain = as_image(retina(rng, 512))
    told = Image(pixels=plain.pixels, stored=StoredAs(format="dicom", dtype="uint8", unit="level", burned_in="US"))
    assert burned_in_text(told) == "US"
    volume = Image(pixels=plain.pixels[:1, None], stored=plain.stored, geometry=Geometry(np.eye(4)))
    assert burned_in_text(volume) == ""


def test_a_picture_with_text_waits_for_a_review(rng):
    image = as_image(write_on(retina(rng, 512), TEXTS[0], 16, (255, 255, 255), corner=0))
    with pytest.raises(ReadError, match=r"R050.*row 3.*column reviewed") as caught:
        refuse_unreviewed(image, reviewed=False, where="row 3")
    assert "DOE" not in str(caught.value)
    refuse_unreviewed(image, reviewed=True, where="row 3")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "pattern"),
    [
        ("fundus_deepdrid", "*.jpg"),
        ("fundus_idrid", "images/*.jpg"),
        ("fundus_chase", "images/*.jpg"),
        ("derm_isic2017", "images/*.jpg"),
        ("derm_padufes", "images/*"),
    ],
)
def test_real_pictures_without_text_pass_quickly(data_root, folder, pattern):
    paths = sorted((data_root / folder).rglob(pattern))[::6]
    assert paths
    seconds, found = [], []
    for path in paths:
        image = read_image(path)
        start = time.process_time()
        if burned_in_text(image):
            found.append(path.name)
        seconds.append(time.process_time() - start)
    assert len(found) <= 0.005 * len(paths), found
    assert np.median(seconds) < 0.03
