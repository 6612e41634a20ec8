"""DICOM segmentations: written and read back exactly, refused where they do not fit."""

import sys
from dataclasses import replace

import dicom_objects as objects
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medgan.errors import GeometryError, ReadError, WriteError
from medgan.imaging.derivation import Derivation
from medgan.imaging.dicom_seg import read_segmentation
from medgan.imaging.geometry import Geometry
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image
from medgan.imaging.write_dicom_seg import write_segmentation

pytest.importorskip("highdicom", reason='highdicom is not installed: pip install "medgan[dicom]"')

NAMES = {1: "liver", 2: "unheard of", 7: "Lesion", 300: "grey matter"}


@pytest.fixture
def image(rng, tmp_path):
    return read_image(objects.mr(tmp_path / "mr", rng.integers(0, 4096, size=(4, 6, 5)).astype(np.uint16)))


@pytest.fixture
def labels(rng, image) -> np.ndarray:
    return rng.choice([0, 0, 0, *NAMES], size=image.pixels.shape[1:])


@pytest.fixture
def written(image, labels, tmp_path):
    path = tmp_path / "seg.dcm"
    write_segmentation(labels, path, like=image, names=NAMES, derivation=Derivation(method="unet", run="r1"))
    return path


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrays(np.uint16, (4, 6, 5), elements=st.sampled_from([0, *NAMES])))
def test_round_trip(image, tmp_path, labels):
    write_segmentation(labels, tmp_path / "seg.dcm", like=image, names=NAMES)
    again = read_segmentation(tmp_path / "seg.dcm", like=image)
    np.testing.assert_array_equal(again, labels)
    assert again.dtype == (np.uint16 if (labels == 300).any() else np.uint8)


def test_round_trip_on_every_kind_of_source(rng, tmp_path):
    stored = rng.integers(0, 4096, size=(3, 6, 5)).astype(np.uint16)
    colour = rng.integers(0, 256, size=(7, 5, 3)).astype(np.uint8)
    sources = [
        objects.ct(tmp_path / "ct", stored),
        objects.pet(tmp_path / "pet", stored.astype(np.int16)),
        objects.enhanced_mr(tmp_path / "enhanced", stored, order=[1, 2, 0]),
        objects.picture(tmp_path / "cr", "CR", stored[0], shown="MONOCHROME1"),
        objects.picture(tmp_path / "xc", "XC", colour, shown="RGB"),
        objects.picture(tmp_path / "op", "OP", colour, shown="RGB"),
    ]
    for source in sources:
        like = read_image(source)
        labels = rng.choice([0, 1, 2], size=like.pixels.shape[1:])
        path = tmp_path / "masks" / f"{source.name}.dcm"
        write_segmentation(labels, path, like=like, names=["liver", "lesion"])
        np.testing.assert_array_equal(read_label(path, like=like), labels, err_msg=source.name)
        dataset, header = pydicom.dcmread(path), pydicom.dcmread(next(source.iterdir()))
        (series,) = dataset.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == header.SeriesInstanceUID
        assert {item.ReferencedSOPClassUID for item in series.ReferencedInstanceSequence} == {header.SOPClassUID}


def test_segments_are_described(written, image):
    dataset = pydicom.dcmread(written)
    assert dataset.SegmentationType == "BINARY"
    assert [item.SegmentLabel for item in dataset.SegmentSequence] == list(NAMES.values())
    kinds = [item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for item in dataset.SegmentSequence]
    assert kinds == ["Liver", "Tissue", "Lesion", "Gray Matter"]
    assert {item.SegmentAlgorithmType for item in dataset.SegmentSequence} == {"AUTOMATIC"}
    assert {item.SegmentAlgorithmName for item in dataset.SegmentSequence} == {"medgan unet"}
    assert "SyntheticData" not in dataset
    source = pydicom.dcmread(next(image.path.iterdir()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "ContentDate"):
        assert dataset[keyword].value == source[keyword].value


def test_same_bytes_and_no_clock(written, image, labels, tmp_path):
    derivation = Derivation(method="unet", run="r1")
    write_segmentation(labels, tmp_path / "again.dcm", like=image, names=NAMES, derivation=derivation)
    assert (tmp_path / "again.dcm").read_bytes() == written.read_bytes()
    assert {item.name for item in tmp_path.iterdir()} == {"mr", "seg.dcm", "again.dcm"}
    assert not [item for item in pydicom.dcmread(written).iterall() if item.VR == "DT"]


def test_labels_of_a_synthetic_image_are_synthetic(image, labels, tmp_path):
    write_image(image, tmp_path / "derived", like=image)
    derived = read_image(tmp_path / "derived")
    write_segmentation(labels, tmp_path / "seg.dcm", like=derived, names=NAMES)
    assert pydicom.dcmread(tmp_path / "seg.dcm").SyntheticData == "YES"
    # and they fit the source, whose frame of reference is the same
    np.testing.assert_array_equal(read_label(tmp_path / "seg.dcm", like=image), labels)


def test_it_serves_as_a_label_image_beside_other_files(written, image, labels, tmp_path):
    folder = tmp_path / "mask"
    folder.mkdir()
    (folder / "notes.txt").write_text("drawn by hand")
    written.rename(folder / "mask.dcm")
    np.testing.assert_array_equal(read_label(folder, like=image), labels)
    np.testing.assert_array_equal(read_label(folder / "mask.dcm", like=image, guard=True), labels)
    with pytest.raises(ReadError, match="R014"):
        read_label(image.path, like=image)


def test_frames_in_another_order_and_direction_are_placed(written, image, labels):
    dataset = pydicom.dcmread(written)
    frames = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    count, rows, columns = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    frames = frames[: count * rows * columns].reshape(count, rows, columns)[::-1, :, ::-1]
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes().ljust(len(dataset.PixelData), b"\0")
    groups = list(dataset.PerFrameFunctionalGroupsSequence)[::-1]
    across = np.array(
        [
            float(v)
            for v in dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient[:3]
        ]
    )
    for group in groups:
        place = group.PlanePositionSequence[0]
        moved = np.array(place.ImagePositionPatient, dtype=float) + across * 0.75 * (columns - 1)
        place.ImagePositionPatient = [f"{value:.10g}" for value in moved]
    dataset.PerFrameFunctionalGroupsSequence = groups
    plane = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [*(-across), *plane.ImageOrientationPatient[3:]]
    dataset.save_as(written)
    np.testing.assert_array_equal(read_segmentation(written, like=image), labels)


def test_overlap_is_refused(written, image):
    dataset = pydicom.dcmread(written)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence
    dataset.PixelData = b"\xff" * len(dataset.PixelData)
    dataset.save_as(written)
    with pytest.raises(ReadError, match=r"R016.*overlap"):
        read_label(written, like=image)


def test_another_frame_of_reference_is_refused(written, image):
    dataset = pydicom.dcmread(written)
    dataset.FrameOfReferenceUID = "1.2.3"
    dataset.save_as(written)
    with pytest.raises(ReadError, match=r"R017.*1\.2\.3"):
        read_label(written, like=image)


def test_another_grid_is_refused(written, image):
    moved = image.geometry.affine.copy()
    moved[0, 3] += 0.3
    with pytest.raises(GeometryError, match=r"G004.*voxels beside"):
        read_segmentation(written, like=replace(image, geometry=Geometry(moved)))
    far = image.geometry.affine.copy()
    far[:3, 3] += far[:3, 0] * 2
    with pytest.raises(GeometryError, match=r"G004.*beyond the image"):
        read_segmentation(written, like=replace(image, geometry=Geometry(far)))


def test_damaged_and_fractional_ones_are_refused(written, image):
    dataset = pydicom.dcmread(written)
    whole = dataset.PixelData
    dataset.PixelData = whole[:4]
    dataset.save_as(written)
    with pytest.raises(ReadError, match="R004"):
        read_label(written, like=image)
    dataset.PixelData, dataset.SegmentationType = whole, "FRACTIONAL"
    dataset.save_as(written)
    with pytest.raises(ReadError, match=r"R016.*fractional"):
        read_label(written, like=image)
    dataset.SegmentationType = "BINARY"
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(written)
    with pytest.raises(ReadError, match=r"R016.*without a segment"):
        read_label(written, like=image)


def test_what_does_not_fit_is_not_written(image, labels, tmp_path, make_photograph):
    out = tmp_path / "seg.dcm"
    with pytest.raises(WriteError, match=r"W017.*got 300; expected one of 1, 2, 7"):
        write_segmentation(np.where(labels, 300, 0), out, like=image, names={1: "a", 2: "b", 7: "c"})
    with pytest.raises(WriteError, match=r"W017.*a name"):
        write_segmentation(labels, out, like=image, names=[])
    with pytest.raises(WriteError, match="W016"):
        write_segmentation(labels[1:], out, like=image, names=NAMES)
    with pytest.raises(WriteError, match=r"W016.*float64"):
        write_segmentation(labels * 0.5, out, like=image, names=NAMES)
    photograph = read_image(make_photograph(np.zeros((4, 4), np.uint8)))
    with pytest.raises(WriteError, match=r"W016.*png"):
        write_segmentation(np.zeros((4, 4), int), out, like=photograph, names=NAMES)
    assert not out.exists()


def test_a_missing_package_is_named(image, labels, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(WriteError, match=r'W015.*pip install "medgan\[dicom\]"'):
        write_segmentation(labels, tmp_path / "seg.dcm", like=image, names=NAMES)
