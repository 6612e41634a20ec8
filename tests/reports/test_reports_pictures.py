"""Pictures keep their pixels, outlines lie on their masks, sheets put each picture in its cell."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from medgan.errors import WriteError
from medgan.reports.content import BeforeAfter, CurveSet
from medgan.reports.panels import contact_sheet
from medgan.reports.pictures import Fidelity, data_uri, outline


def decoded(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 3)])
def test_small_pictures_are_kept_exactly(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    uri = data_uri(picture, fidelity=Fidelity(640, 90))
    assert uri.startswith("data:image/png;base64,")
    np.testing.assert_array_equal(decoded(uri), picture)


def test_large_pictures_are_reduced_with_their_aspect_kept() -> None:
    uri = data_uri(np.full((400, 800, 3), 90, np.uint8), fidelity=Fidelity(512, 90))
    assert uri.startswith("data:image/jpeg;base64,")
    assert decoded(uri).shape == (256, 512, 3)
    assert abs(int(decoded(uri).mean()) - 90) <= 1


def test_outline_encloses_the_mask_on_its_pixels() -> None:
    mask = np.zeros((40, 60), np.int16)
    mask[10:20, 30:50] = 1
    mask[30:35, 0:10] = 2
    parts = re.findall(r"M(.*?)Z", outline(mask))
    boxes = []
    for part in parts:
        points = np.array([[float(value) for value in point.split()] for point in part.split("L")])
        boxes.append((*points.min(axis=0), *points.max(axis=0)))
    assert boxes == [(30, 10, 50, 20), (0, 30, 10, 35)]
    assert outline(np.zeros((5, 5), np.int16)) == ""


def picture(value: int, shape: tuple[int, ...] = (8, 8)) -> np.ndarray:
    return np.full(shape, value, np.uint8)


def test_contact_sheet_puts_each_picture_in_its_cell() -> None:
    sheet = contact_sheet(
        [[picture(10), picture(60, (8, 4, 3))], [picture(110), None]],
        ["source", "output"],
        row_labels=["case 1", "case 2"],
        cell_px=64,
    )
    assert sheet.dtype == np.uint8
    assert sheet.shape == (6 + 22 + 2 * (22 + 64 + 6) + 22, 6 + 2 * (64 + 6), 3)
    top = 6 + 22 + 22
    assert (sheet[top : top + 64, 6:70] == 10).all()
    assert (sheet[top : top + 64, 76 + 16 : 76 + 48] == 60).all()
    assert (sheet[top : top + 64, 76:90] == 255).all()
    assert (sheet[top + 92 : top + 156, 6:70] == 110).all()
    assert (sheet[-22:] < 128).any()


def test_contact_sheet_refuses_what_does_not_fit() -> None:
    with pytest.raises(WriteError, match="W085"):
        contact_sheet([[picture(1)]], ["source", "output"])
    with pytest.raises(WriteError, match="W085"):
        contact_sheet([[picture(1)]], ["source"], row_labels=["a", "b"])
    with pytest.raises(WriteError, match="W081"):
        contact_sheet([[np.zeros((8, 8))]], ["source"])


def test_pictures_that_cannot_be_laid_on_one_another_are_refused() -> None:
    shared = {"case_id": "C1", "note": "", "worst": False}
    BeforeAfter(source=picture(1), output=picture(1, (16, 16)), **shared)
    with pytest.raises(WriteError, match="W082"):
        BeforeAfter(source=picture(1), output=picture(1, (8, 10)), **shared)
    with pytest.raises(WriteError, match="W082"):
        BeforeAfter(source=picture(1), output=picture(1), source_mask=np.zeros((4, 4), int), **shared)
    with pytest.raises(WriteError, match="W081"):
        BeforeAfter(source=picture(1).astype(np.float32), output=picture(1), **shared)
    with pytest.raises(WriteError, match="W081"):
        BeforeAfter(source=picture(1), output=picture(1, (8, 8, 4)), **shared)


def test_series_must_be_as_long_as_its_steps() -> None:
    with pytest.raises(WriteError, match="W084"):
        CurveSet(name="run", steps=[1, 2], series={"cycle": [0.1]})
