"""Elements that files share: the same values as pydicom gives, whatever they share them with."""

import numpy as np
import pydicom
import pytest

from medgan.imaging.dicom_parse import parse, shared_elements
from medgan.imaging.dicom_sources import Source
from medgan.imaging.dicom_values import element_value


def test_a_value_is_converted_once_and_the_same_for_all(make_dicom_series, rng):
    folder = make_dicom_series(rng.integers(0, 99, (4, 5, 6)).astype(np.uint16), "series", PatientName="Müller^J")
    shared = shared_elements()
    files = [parse(Source(path), shared) for path in sorted(folder.iterdir())]
    for file in files:
        alone = pydicom.dcmread(file.path)
        for element in alone:
            if element.tag in file.dataset and element.keyword != "PixelData":
                assert element_value(file.dataset, element.keyword) == element.value
                assert file.dataset.get(element.keyword) == element.value
    orientations = [file.dataset["ImageOrientationPatient"] for file in files]
    assert orientations[1] is orientations[2] is orientations[3]
    positions = [list(file.dataset.ImagePositionPatient) for file in files]
    assert len(set(map(tuple, positions))) == 4


@pytest.mark.parametrize("keyword", ["PatientName", "SeriesDescription"])
def test_the_same_bytes_in_two_character_sets_are_two_values(make_dicom_series, rng, keyword):
    """é in Latin-1 is another letter in Cyrillic."""
    stored = rng.integers(0, 99, (4, 5, 6)).astype(np.uint16)
    folder = make_dicom_series(stored, "series")
    sets = ["ISO_IR 100", "ISO_IR 144", "ISO_IR 100", "ISO_IR 144"]
    for path, characters in zip(sorted(folder.iterdir()), sets, strict=True):
        dataset = pydicom.dcmread(path)
        dataset.SpecificCharacterSet = characters
        setattr(dataset, keyword, b"\xe9\xe9".decode("iso8859-1" if characters.endswith("100") else "iso8859-5"))
        dataset.save_as(path)
    shared = shared_elements()
    found = [str(parse(Source(path), shared).dataset.get(keyword)) for path in sorted(folder.iterdir())]
    assert found == ["éé", "щщ", "éé", "щщ"]


def test_what_is_absent_or_unknown_is_none(make_dicom_series, rng):
    folder = make_dicom_series(rng.integers(0, 99, (1, 5, 6)).astype(np.uint16), "series")
    dataset = parse(Source(next(folder.iterdir())), shared_elements()).dataset
    assert element_value(dataset, "EchoTime") is None
    assert element_value(dataset, "NoSuchKeyword") is None


def test_a_value_that_cannot_be_read_stops_nothing_that_does_not_need_it(make_dicom_series, rng):
    """The same unreadable EchoTime in every slice, and another in each."""
    from medgan.imaging.read import read_image

    stored = rng.integers(0, 99, (4, 5, 6)).astype(np.uint16)
    folder = make_dicom_series(stored, "series", EchoTime=10.0)
    for path in folder.iterdir():
        raw = path.read_bytes()
        at = raw.index(b"\x18\x00\x81\x00DS\x04\x00") + 8
        path.write_bytes(raw[:at] + b"ab" + b"cd" + raw[at + 4 :])
    before = read_image(folder).pixels
    np.testing.assert_array_equal(before[0], stored.astype(int) - 1024)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.write_bytes(path.read_bytes().replace(b"abcd", b"ab" + b"%02d" % number))
    np.testing.assert_array_equal(read_image(folder).pixels, before)
