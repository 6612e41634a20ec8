"""What a DICOM header says against its pixels or positions: refused, or read with a remark that the check tells."""

import numpy as np
import pydicom
import pytest

from medgan.errors import ReadError
from medgan.imaging.read import read_image


@pytest.fixture
def stored(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(5, 6, 7)).astype("uint16")


def test_pixels_longer_than_the_header_announces(stored, make_dicom_series):
    folder = make_dicom_series(stored[:1], Rows=5)
    with pytest.raises(ReadError, match=r"R041.*84 bytes.*70 bytes for \(1, 5, 7\).*Rows, Columns"):
        read_image(folder)
    path = next(folder.iterdir())
    header = pydicom.dcmread(path)
    header.Rows, header.PixelData = 6, header.PixelData + b"\0" * 4  # padding, as some writers leave it
    header.save_as(path)
    np.testing.assert_array_equal(read_image(folder).pixels[0], stored[:1].astype(int) - 1024)


def test_a_colour_picture_longer_than_its_header_announces(tmp_path):
    from dicom_objects import BASE, header, set_pixels

    picture = header(BASE + "7", "OT")
    set_pixels(picture, np.zeros((6, 8, 3), np.uint8), bits=8, shown="RGB")
    picture.Rows = 5
    picture.save_as(tmp_path / "picture.dcm", enforce_file_format=True)
    with pytest.raises(ReadError, match=r"R041.*144 bytes.*120 bytes for \(1, 5, 8\) in RGB"):
        read_image(tmp_path / "picture.dcm")


def test_bits_above_those_stored_are_told(stored, make_dicom_series):
    stored &= 1023
    assert read_image(make_dicom_series(stored, BitsStored=10, HighBit=9)).stored.notes == ()
    stored[2, 0, 0] |= 1 << 11
    image = read_image(make_dicom_series(stored, BitsStored=10, HighBit=9))
    np.testing.assert_array_equal(image.pixels[0], (stored & 1023).astype(int) - 1024)
    assert image.stored.notes == ("1 slices hold bits above BitsStored, an overlay or lost values; left out",)


@pytest.mark.parametrize("above", [0xF000, 0x0000])
def test_a_sign_above_the_stored_bits_or_none_is_no_loss(above, make_dicom_series):
    negative = np.full((2, 6, 7), 0x0FFF | above, dtype=np.uint16).view(np.int16)  # -1 in 12 bits
    image = read_image(make_dicom_series(negative))
    assert (image.pixels == -1025).all()
    assert image.stored.notes == ()


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"SpacingBetweenSlices": 3.0}, None),
        ({"SpacingBetweenSlices": -3.0, "SliceThickness": 1.0}, None),
        ({"SliceThickness": 2.0}, None),
        ({"SpacingBetweenSlices": 1.5}, "slices lie 3 mm apart, while SpacingBetweenSlices is 1.5 mm"),
        ({"SliceThickness": 1.5}, "slices of 1.5 mm lie 3 mm apart: some may be missing"),
    ],
)
def test_slices_that_lie_wider_apart_than_their_headers_say(stored, make_dicom_series, elements, note):
    image = read_image(make_dicom_series(stored, **elements))
    assert image.geometry.spacing_mm[0] == pytest.approx(3)
    assert [said.startswith(note) for said in image.stored.notes] == ([True] if note else [])


def test_a_ct_without_a_rescale_is_told(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        del header.RescaleSlope, header.RescaleIntercept
        header.save_as(path)
    image = read_image(folder)
    np.testing.assert_array_equal(image.pixels[0], stored)
    assert image.stored.notes == ("CT without a rescale in its header: stored numbers taken as HU",)
