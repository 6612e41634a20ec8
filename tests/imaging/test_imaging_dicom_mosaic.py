"""Siemens mosaics: tiles in their places by the private header, which is parsed within its bounds."""

import struct

import numpy as np
import pydicom
import pytest

from medgan.errors import ReadError
from medgan.imaging.dicom_csa import csa_numbers
from medgan.imaging.read import read_image


def csa_header(**tags):
    """A private header of the second kind with numbers under names."""
    raw = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, values in tags.items():
        raw += struct.pack("<64si4siii", name.encode(), len(values), b"FD", 4, len(values), 77)
        for value in values:
            text = f"{value:.8f}".encode() + b"\0"
            raw += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + b"\0" * (-len(text) % 4)
    return raw


@pytest.fixture
def make_mosaic(rng, make_dicom_series):
    """A mosaic of 5 slices of 4 x 6 in 3 x 3 tiles, and the slices."""

    def make(normal=(0, 0, 1), count=5, header=None, **elements):
        slices = rng.integers(0, 4096, size=(9, 4, 6)).astype(np.uint16)
        slices[5:] = 0
        picture = slices.reshape(3, 3, 4, 6).swapaxes(1, 2).reshape(1, 12, 18)
        path = min(make_dicom_series(picture, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]).iterdir())
        dataset = pydicom.dcmread(path)
        dataset.SpacingBetweenSlices = 5
        if count is not None:
            dataset.private_block(0x19, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
        header = csa_header(EchoLinePosition=[32], SliceNormalVector=normal) if header is None else header
        if header:
            dataset.private_block(0x29, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", header)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
        return path, slices[:5]

    return make


@pytest.mark.parametrize("sign", [1, -1])
def test_tiles_lie_along_the_private_normal(make_mosaic, sign):
    path, slices = make_mosaic(normal=(0, 0, sign))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0], (slices if sign > 0 else slices[::-1]).astype(int) - 1024)
    assert image.geometry.spacing_mm == pytest.approx((5, 0.8, 0.7))
    # the corner of a slice lies half the difference in size inside the corner that the header gives
    corner = np.array([-10 + 0.7 * (18 - 6) / 2, 20 + 0.8 * (12 - 4) / 2, 100 if sign > 0 else 80])
    np.testing.assert_allclose(image.geometry.affine[:3, 3], corner * [-1, -1, 1])


def test_count_from_the_private_header_alone(make_mosaic):
    header = csa_header(NumberOfImagesInMosaic=[5], SliceNormalVector=[0, 0, 1])
    path, slices = make_mosaic(count=None, header=header)
    np.testing.assert_array_equal(read_image(path).pixels[0], slices.astype(int) - 1024)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"header": b""}, "no CSA header"),
        ({"header": csa_header(Other=[1])}, "without SliceNormalVector"),
        ({"header": b"SV10\4\3\2\1"}, "truncated"),
        ({"header": b"rubbish "}, "second kind"),
        ({"count": 0}, "NumberOfImagesInMosaic"),
        ({"count": 17}, "17 slices"),
        ({"normal": (0, 1, 0)}, "not the normal"),
        ({"normal": (0, 0, 2)}, "without SliceNormalVector"),
        ({"SpacingBetweenSlices": None}, "no SpacingBetweenSlices"),
        ({"SpacingBetweenSlices": 0}, "no SpacingBetweenSlices"),
    ],
)
def test_mosaics_that_cannot_be_told_apart(make_mosaic, given, match):
    path, _ = make_mosaic(**given)
    with pytest.raises(ReadError, match=rf"R023.*{match}"):
        read_image(path)


def test_header_agrees_with_nibabel():
    csareader = pytest.importorskip("nibabel.nicom.csareader")
    raw = csa_header(A=[1, 2, 3], SliceNormalVector=[0.25, -0.5, 0.75], Empty=[])
    for name, tag in csareader.read(raw)["tags"].items():
        np.testing.assert_allclose(csa_numbers(raw, name), [float(item) for item in tag["items"]])
    assert csa_numbers(raw, "Missing") == []


def test_hostile_headers_raise_and_stop(rng):
    raw = csa_header(A=[1, 2, 3], SliceNormalVector=[0.25, -0.5, 0.75])
    assert csa_numbers(raw, "SliceNormalVector") == [0.25, -0.5, 0.75]
    for end in range(len(raw) - 4):
        with pytest.raises(ValueError, match="CSA"):
            csa_numbers(raw[:end], "SliceNormalVector")
    for place in (8, 16 + 76, 16 + 84 + 4):
        bad = bytearray(raw)
        bad[place : place + 4] = b"\xff\xff\xff\x7f"
        with pytest.raises(ValueError, match=r"absurd|beyond"):
            csa_numbers(bytes(bad), "Nothing")
