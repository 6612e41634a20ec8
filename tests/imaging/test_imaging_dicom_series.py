"""One series of several: chosen by UID, description or rule; what is no image is left out and counted."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from medgan.errors import ReadError
from medgan.imaging.read import read_image

SEG, REPORT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.11"


@pytest.fixture
def study(rng, make_dicom_series):
    """A folder of folders with three series and what scanners put beside them."""
    stored = rng.integers(0, 4096, size=(4, 6, 7)).astype("uint16")
    for number, (modality, description, count) in enumerate(
        [("CT", "Thorax 3.0 B30f", 4), ("MR", "t1_mprage_sag", 3), ("MR", "T1 & T2 axial", 2)], start=1
    ):
        make_dicom_series(
            stored[:count],
            f"study/{number}",
            uid=f"1.2.3.{number}",
            Modality=modality,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2" if modality == "CT" else "1.2.840.10008.5.1.4.1.1.4",
            SeriesDescription=description,
            SeriesNumber=number,
            FrameOfReferenceUID="1.2.9",
        )
    scout = make_dicom_series(stored[:1], "study/4", uid="1.2.3.4", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    add_other(next(scout.iterdir()), scout / "report.dcm", REPORT, "SR")
    return scout.parent


def add_other(like, path, sop_class, modality):
    """An object without an image of its own."""
    dataset = pydicom.dcmread(like)
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SeriesInstanceUID, dataset.Modality, dataset.SOPInstanceUID = generate_uid(), modality, generate_uid()
    dataset.save_as(path)


def test_all_series_are_listed_and_how_to_choose(study):
    with pytest.raises(ReadError, match="R020") as caught:
        read_image(study)
    for words in ("1.2.3.1 (CT, 'Thorax 3.0 B30f', 4 files)", "1.2.3.2 (MR", "column series", "description~TEXT"):
        assert words in str(caught.value)
    assert "1.2.3.4" not in caught.value.got


@pytest.mark.parametrize(
    ("rule", "uid"),
    [
        ("1.2.3.2", "1.2.3.2"),
        ("1.2.3.4", "1.2.3.4"),
        ("description~mprage", "1.2.3.2"),
        ("MPRAGE", "1.2.3.2"),
        ("T1 & T2", "1.2.3.3"),
        ("modality=ct", "1.2.3.1"),
        ("number=3", "1.2.3.3"),
        ("largest", "1.2.3.1"),
        ("modality=MR & largest", "1.2.3.2"),
        ("largest&modality=MR", "1.2.3.2"),
        ("modality=MR&description~t2", "1.2.3.3"),
    ],
)
def test_rules(study, rule, uid):
    image = read_image(study, series=rule)
    assert image.stored.series == uid
    assert "1 objects that are no images left out" in image.stored.notes
    assert any("by the manifest" in note for note in image.stored.notes)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("modality=MR", r"R020.*several series fit 'modality=MR'.*1\.2\.3\.2.*1\.2\.3\.3"),
        ("t1", r"R020.*1\.2\.3\.2.*1\.2\.3\.3"),
        ("flair", r"R034.*1\.2\.3\.1.*expected 'flair'"),
        ("1.2.3.99", "R034"),
        ("number=7", "R034"),
        ("number=three", "R033"),
        ("kernel=B30", r"R033.*'kernel=B30'.*number=3"),
        ("modality~MR", "R033"),
    ],
)
def test_rules_that_do_not_give_one_series(study, rule, code):
    with pytest.raises(ReadError, match=code):
        read_image(study, series=rule)


def test_localizers_among_other_series_are_left_out(rng, make_dicom_series):
    stored = rng.integers(0, 9, size=(3, 6, 7)).astype("uint16")
    make_dicom_series(stored, "study/a", uid="1.2.3.1")
    scout = make_dicom_series(stored[:1], "study/b", uid="1.2.3.2", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    image = read_image(scout.parent)
    assert image.stored.series == "1.2.3.1"
    assert image.stored.modality == "CT"
    assert "1 localizers left out" in image.stored.notes
    assert read_image(scout).pixels.shape == (1, 1, 6, 7)


@pytest.mark.parametrize(("sop_class", "modality"), [(SEG, "SEG"), ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE")])
def test_objects_with_pixels_that_are_no_image_say_what_they_are(rng, make_dicom_series, sop_class, modality):
    folder = make_dicom_series(
        rng.integers(0, 9, size=(2, 6, 7)).astype("uint16"), SOPClassUID=sop_class, Modality=modality
    )
    with pytest.raises(ReadError, match=rf"R010.*\({modality}\)"):
        read_image(folder)
    with pytest.raises(ReadError, match="R010"):
        read_image(folder, series="1.2.826.0.1.3680043.8.498.1")


def test_a_description_in_an_unknown_character_set_does_not_stop_reading(rng, make_dicom_series):
    folder = make_dicom_series(rng.integers(0, 9, size=(2, 6, 7)).astype("uint16"), SeriesDescription="Kopf")
    for file in folder.iterdir():
        raw = file.read_bytes().replace(b"Kopf", b"K\xff\xfe\x1b")
        at = raw.index(b"\x08\x00\x08\x00CS")
        file.write_bytes(raw[:at] + b"\x08\x00\x05\x00CS\x08\x00ISO_IR 9" + raw[at:])
    assert read_image(folder).pixels.shape == (1, 2, 6, 7)
    with pytest.raises(ReadError, match="R034"):
        read_image(folder, series="description~Kopf")


def test_messages_hold_nothing_of_the_patient(study):
    with pytest.raises(ReadError, match="R020") as caught:
        read_image(study)
    assert "Phantom" not in str(caught.value)
    assert "P1" not in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientName", "Another^Person"), ("RescaleIntercept", None), ("RescaleType", "US"), ("StudyInstanceUID", "1.9")],
)
def test_a_slice_of_other_origin_or_scale_is_refused(rng, make_dicom_series, keyword, value):
    folder = make_dicom_series(rng.integers(0, 100, size=(5, 6, 7)).astype(np.uint16))
    file = sorted(folder.iterdir())[2]
    dataset = pydicom.dcmread(file)
    setattr(dataset, keyword, value)
    dataset.save_as(file)
    with pytest.raises(ReadError, match=f"R026.*{keyword}"):
        read_image(folder)


def test_the_widest_slice_says_which_type_holds_all(rng, make_dicom_series):
    stored = rng.integers(0, 4096, size=(5, 6, 7)).astype(np.uint16)
    folder = make_dicom_series(stored)
    file = sorted(folder.iterdir())[2]
    dataset = pydicom.dcmread(file)
    values = dataset.pixel_array.copy()
    values[0, 0] = 40_000
    dataset.BitsStored, dataset.HighBit, dataset.PixelData = 16, 15, values.tobytes()
    dataset.save_as(file)
    assert read_image(folder).pixels.max() == 40_000 - 1024
