"""Derived objects hold what the tables of PS3.3 require, and no attribute of another object's."""

from dataclasses import replace
from pathlib import Path

import dicom_objects as objects
import numpy as np
import pydicom
import pytest

pytest.importorskip("highdicom", reason="highdicom, whose tables these are, is not installed")

from iod_tables import unknown_attributes, violations

from medgan.imaging.read import read_image
from medgan.imaging.write import write_image
from medgan.imaging.write_dicom_seg import write_segmentation

GREY = np.arange(90, dtype=np.uint16).reshape(3, 6, 5)
COLOUR = np.arange(90, dtype=np.uint8).reshape(6, 5, 3)


def make(kind: str, folder: Path) -> Path:
    if kind in ("ct", "mr"):
        return getattr(objects, kind)(folder, GREY)
    if kind == "pet":
        return objects.pet(folder, GREY.astype(np.int16))
    if kind == "enhanced":
        return objects.enhanced_mr(folder, GREY, order=[2, 0, 1])
    grey = kind in ("CR", "DX")
    return objects.picture(folder, kind, GREY[0] if grey else COLOUR, shown="MONOCHROME1" if grey else "RGB")


def datasets(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_the_tables_see_what_is_wrong(tmp_path):
    dataset = datasets(make("ct", tmp_path / "ct"))[0]
    assert not violations(dataset)
    del dataset.StudyID, dataset.RescaleSlope
    dataset.FrameOfReferenceUID = ""
    dataset.EchoTime = 3
    assert violations(dataset) == [
        "ct-image: RescaleSlope (type 1) is missing",
        "frame-of-reference: FrameOfReferenceUID (type 1) is empty",
        "general-study: StudyID (type 2) is missing",
    ]
    assert unknown_attributes(dataset) == ["EchoTime"]


@pytest.mark.parametrize("kind", ["ct", "mr", "pet", "enhanced", "CR", "DX", "US", "SC", "XC", "OP"])
def test_the_same_class(kind, tmp_path):
    image = read_image(make(kind, tmp_path / "source"))
    write_image(image, tmp_path / "out", like=image)
    for dataset in datasets(tmp_path / "out"):
        assert not violations(dataset)
        assert not unknown_attributes(dataset)


@pytest.mark.parametrize("kind", ["mr", "pet", "enhanced"])
def test_a_ct_of_another_modality_is_nothing_but_a_ct(kind, tmp_path):
    image = read_image(make(kind, tmp_path / "source"))
    result = replace(image.with_pixels(image.pixels.astype(np.int32) - 1000), stored=replace(image.stored, unit="HU"))
    write_image(result, tmp_path / "out", like=image)
    for dataset in datasets(tmp_path / "out"):
        assert dataset.SOPClassUID == objects.BASE + "2"
        assert not violations(dataset)
        assert not unknown_attributes(dataset)


def test_an_mr_of_a_ct_has_no_more_than_a_rescale(tmp_path):
    image = read_image(make("ct", tmp_path / "source"))
    result = replace(image.with_pixels(image.pixels * 1.37), stored=replace(image.stored, unit="a.u."))
    write_image(result, tmp_path / "out", like=image)
    for dataset in datasets(tmp_path / "out"):
        assert not violations(dataset)
        assert unknown_attributes(dataset) == ["RescaleIntercept", "RescaleSlope", "RescaleType"]


@pytest.mark.parametrize("kind", ["mr", "enhanced", "CR", "OP"])
def test_segmentations(kind, tmp_path):
    image = read_image(make(kind, tmp_path / "source"))
    labels = np.arange(image.pixels[0].size).reshape(image.pixels.shape[1:]) % 3
    write_segmentation(labels, tmp_path / "seg" / "1.dcm", like=image, names=["liver", "lesion"])
    (dataset,) = datasets(tmp_path / "seg")
    assert not violations(dataset)
    assert not unknown_attributes(dataset)
