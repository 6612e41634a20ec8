"""Slices that alternate between contrasts without ever sharing a place: refused by the element that tells."""

import numpy as np
import pydicom
import pytest

from medgan.errors import ReadError
from medgan.imaging.read import read_image


@pytest.fixture
def stored(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(6, 6, 7)).astype(np.uint16)


def with_values(folder, **values):
    """Give each slice, along the normal, its own value of an element; None leaves it out."""
    for place, file in enumerate(sorted(folder.iterdir())):
        dataset = pydicom.dcmread(file)
        for keyword, one in values.items():
            if one[place] is None:
                dataset.pop(keyword, None)
            else:
                setattr(dataset, keyword, one[place])
        dataset.save_as(file)
    return folder


WATER, FAT = (["DERIVED", "PRIMARY", "DIXON", word] for word in ("WATER", "FAT"))
MIXED = [
    ("EchoTime", [10.0, 80.0] * 3, r"2 different values of EchoTime \(10, 80\) in 6 slices"),
    ("EchoTime", [10.0, 10.0, 10.0, 80.0, 80.0, 80.0], r"EchoTime \(10, 80\)"),
    ("EchoTime", [10.0, 80.0, None] * 2, "3 different values of EchoTime in 6"),
    ("ImageType", [WATER, FAT] * 3, "2 different values of ImageType in 6"),
    ("EchoNumbers", [1, 2] * 3, r"EchoNumbers \(1, 2\)"),
    ("InversionTime", [100, 900] * 3, r"InversionTime \(100, 900\)"),
    ("FlipAngle", [3, 15] * 3, r"FlipAngle \(3, 15\)"),
    ("DiffusionBValue", [0.0, 1000.0] * 3, r"DiffusionBValue \(0, 1000\)"),
    ("DiffusionBValue", [None, 1000.0] * 3, r"DiffusionBValue \(0, 1000\)"),
    ("TemporalPositionIdentifier", [1, 2] * 3, r"TemporalPositionIdentifier \(1, 2\)"),
    ("NominalPercentageOfCardiacPhase", [30, 70] * 3, r"CardiacPhase \(30, 70\)"),
    ("TriggerTime", [5.0, 300.0] * 3, r"TriggerTime \(5, 300\)"),
    ("ConvolutionKernel", ["SHARP", "BONE"] * 3, "ConvolutionKernel in 6"),
]


@pytest.mark.parametrize(("keyword", "values", "shown"), MIXED)
def test_slices_of_several_contrasts_are_refused(stored, make_dicom_series, keyword, values, shown):
    folder = with_values(make_dicom_series(stored, "series"), **{keyword: values})
    with pytest.raises(ReadError, match=rf"R035.*several contrasts.*{shown}.*one folder for each value"):
        read_image(folder)


ONE = {
    "echo times that differ in the last digits": {"EchoTime": [10.0, 10.02, 9.99, 10.0, 10.01, 10.0]},
    "b-values as reached": {"DiffusionBValue": [995.0, 1000.0, 1002.0, 1000.0, 998.0, 1000.0]},
    "no weighting, written or not": {"DiffusionBValue": [0.0, None] * 3},
    "breath-holds of a CT": {"AcquisitionNumber": [1, 1, 1, 2, 2, 2]},
    "concatenations": {"AcquisitionNumber": [1, 2] * 3, "AcquisitionTime": ["101500", "101630"] * 3},
    "triggers of each slice": {"TriggerTime": [1.0, 61.0, 121.0, 181.0, 241.0, 301.0]},
    "a trigger that is once another": {"TriggerTime": [1.0, 1.0, 1.0, 1.0, 1.0, 301.0]},
    "bed positions": {"FrameReferenceTime": [0.0, 0.0, 0.0, 180.0, 180.0, 180.0]},
    "some slices derived": {"ImageType": [["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "AXIAL"]] * 3},
    "values that are no numbers": {"FlipAngle": [None] * 6},
}


@pytest.mark.parametrize("values", ONE.values(), ids=ONE.keys())
def test_what_differs_within_one_contrast_is_read(stored, make_dicom_series, values):
    folder = with_values(make_dicom_series(stored, "series"), **values)
    np.testing.assert_array_equal(read_image(folder).pixels[0], stored.astype(int) - 1024)


def test_a_chosen_volume_is_one_contrast(stored, make_dicom_series):
    """Two volumes of three places, and in each the flip angle alternates: choosing one does not hide it."""
    folder = make_dicom_series(stored[:3], "series", EchoTime=10.0)
    other = make_dicom_series(stored[3:], "other", EchoTime=80.0)
    for number, file in enumerate(sorted(other.iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID}.9"
        dataset.FlipAngle = (3, 15, 3)[number]
        dataset.save_as(folder / f"other{file.name}")
    assert read_image(folder, volume=0).pixels.shape == (1, 3, 6, 7)
    with pytest.raises(ReadError, match=r"R035.*FlipAngle \(3, 15\) in 3 slices"):
        read_image(folder, volume=1)


def test_frames_of_an_enhanced_file_are_held_to_the_same(stored, tmp_path):
    from dicom_objects import enhanced_mr

    path = enhanced_mr(tmp_path / "enhanced", stored.astype(np.uint16), order=range(len(stored)))
    file = path if path.is_file() else next(path.iterdir())
    assert read_image(file).pixels.shape == (1, 6, 6, 7)
    dataset = pydicom.dcmread(file)
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        echo = pydicom.Dataset()
        echo.EffectiveEchoTime = (10.0, 80.0)[number % 2]
        frame.MREchoSequence = [echo]
    dataset.save_as(file)
    with pytest.raises(ReadError, match=r"R035.*EchoTime \(10, 80\) in 6 slices"):
        read_image(file)
