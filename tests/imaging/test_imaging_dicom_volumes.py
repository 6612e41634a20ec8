"""Several volumes in one series: told apart by what differs between them, chosen by number, never mixed."""

import shutil

import numpy as np
import pydicom
import pytest

from medgan.errors import ReadError
from medgan.imaging.dicom import read_series, volume_of
from medgan.imaging.read import read_image


@pytest.fixture
def stored(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(6, 6, 7)).astype(np.uint16)


def two_volumes(make, stored, **values):
    """Volumes of three slices each in one folder; values holds, for each element, one a volume."""
    for number in range(2):
        elements = {keyword: pair[number] for keyword, pair in values.items()}
        folder = make(stored[3 * number : 3 * number + 3], f"part{number}", **elements)
        for file in sorted(folder.iterdir()):
            dataset = pydicom.dcmread(file)
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID}.{number}"
            dataset.save_as(folder / f"{number}_{file.name}")
            file.unlink()
    for file in (folder.parent / "part1").iterdir():
        shutil.move(file, folder.parent / "part0")
    return folder.parent / "part0"


@pytest.mark.parametrize(
    ("keyword", "pair", "shown"),
    [
        ("EchoTime", (10.0, 2.5), r"EchoTime 2\.5; 1: EchoTime 10"),
        (
            "ImageType",
            (["ORIGINAL", "PRIMARY", "P"], ["ORIGINAL", "PRIMARY", "M"]),
            r"0: ImageType ORIGINAL\\PRIMARY\\M",
        ),
        ("AcquisitionNumber", (10, 9), "0: AcquisitionNumber 9; 1: AcquisitionNumber 10"),
        ("TemporalPositionIdentifier", (2, 1), "0: TemporalPosition 1"),
        ("DiffusionBValue", (1000.0, 0.0), "0: DiffusionBValue 0; 1: DiffusionBValue 1000"),
        ("InversionTime", (900, 100), "0: InversionTime 100"),
        ("ConvolutionKernel", ("SHARP", "BONE"), "0: ConvolutionKernel BONE; 1: ConvolutionKernel SHARP"),
        ("NominalPercentageOfCardiacPhase", (70.0, 30.0), "0: CardiacPhase 30"),
    ],
)
def test_volumes_are_told_apart_and_chosen(stored, make_dicom_series, keyword, pair, shown):
    folder = two_volumes(make_dicom_series, stored, **{keyword: pair})
    with pytest.raises(ReadError, match=rf"R008.*2 volumes \(.*{shown}.*volume: in the manifest"):
        read_image(folder)
    first, second = (read_image(folder, volume=number) for number in (0, 1))
    np.testing.assert_array_equal(first.pixels[0], stored[3:].astype(int) - 1024)  # the lesser value
    np.testing.assert_array_equal(second.pixels[0], stored[:3].astype(int) - 1024)
    assert any(note.startswith("volume 1 of 2") for note in second.stored.notes)
    assert volume_of(second.stored) == 1
    again = read_series(folder, series=second.stored.series, volume=volume_of(second.stored), whole=True)
    np.testing.assert_array_equal(again.stored, stored[:3])
    with pytest.raises(ReadError, match=r"R008.*no such volume.*0 to 1"):
        read_image(folder, volume=2)


def test_elements_that_differ_from_slice_to_slice_tell_nothing_apart(stored, make_dicom_series):
    folder = two_volumes(make_dicom_series, stored)
    for number, file in enumerate(sorted(folder.iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.AcquisitionNumber = number
        dataset.save_as(file)
    with pytest.raises(ReadError, match=r"R027.*at 100\.00 mm"):
        read_image(folder)


def test_two_elements_together(rng, make_dicom_series):
    stored = rng.integers(0, 4096, size=(8, 6, 7)).astype(np.uint16)
    target = make_dicom_series(stored[:2], "all", EchoTime=1, FlipAngle=5)
    for number, (echo, flip) in enumerate([(1, 9), (2, 5), (2, 9)], start=1):
        part = make_dicom_series(stored[2 * number : 2 * number + 2], "part", EchoTime=echo, FlipAngle=flip)
        for file in part.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.SOPInstanceUID += f".{number}"
            dataset.save_as(target / f"{number}_{file.name}")
    for number in range(4):
        image = read_image(target, volume=number)
        np.testing.assert_array_equal(image.pixels[0], stored[2 * number : 2 * number + 2].astype(int) - 1024)
    assert "volume 3 of 4 (EchoTime and FlipAngle 2 and 9)" in image.stored.notes


def test_an_incomplete_volume_is_not_guessed(stored, make_dicom_series):
    folder = two_volumes(make_dicom_series, stored, EchoTime=(1, 2))
    max(folder.iterdir()).unlink()
    for volume in (None, 0):
        with pytest.raises(ReadError, match=r"R027|R008"):
            read_image(folder, volume=volume)


def test_volume_zero_of_one(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    assert read_image(folder, volume=0).stored.notes == ()
    assert volume_of(read_image(folder).stored) is None
    with pytest.raises(ReadError, match="R008"):
        read_image(folder, volume=1)


def test_a_folder_copied_into_itself_is_one_volume(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    shutil.copytree(folder, folder.parent / "twice")
    shutil.move(folder.parent / "twice", folder)
    image = read_image(folder)
    assert image.pixels.shape == (1, 6, 6, 7)
    assert "6 duplicate slices dropped" in image.stored.notes


def enhanced(make, stored, places, **functional):
    """One multi-frame file; functional holds, for each sequence, its keyword and one value a frame."""
    path = min(make(stored[:1]).iterdir())
    dataset = pydicom.dcmread(path)
    groups = []
    for index, place in enumerate(places):
        position, group = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = [-10, 20, place]
        group.PlanePositionSequence = [position]
        for sequence, (keyword, values) in functional.items():
            inner = pydicom.Dataset()
            setattr(inner, keyword, values[index])
            setattr(group, sequence, [inner])
        groups.append(group)
    plane, measures, scale, shared = (pydicom.Dataset() for _ in range(4))
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 3
    scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = 2, -7, "US"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [measures]
    shared.PixelValueTransformationSequence = [scale]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(dataset, keyword)
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.4.1", "MR"
    dataset.NumberOfFrames, dataset.PerFrameFunctionalGroupsSequence = len(places), groups
    dataset.SharedFunctionalGroupsSequence, dataset.PixelData = [shared], stored.tobytes()
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(
    ("sequence", "keyword", "values"),
    [
        ("MREchoSequence", "EffectiveEchoTime", [5.0, 2.0]),
        ("FrameContentSequence", "TemporalPositionIndex", [2, 1]),
        ("MRDiffusionSequence", "DiffusionBValue", [800.0, 0.0]),
        ("MRImageFrameTypeSequence", "FrameType", [["ORIGINAL", "P"], ["ORIGINAL", "M"]]),
        ("FrameContentSequence", "StackID", ["2", "1"]),
    ],
)
def test_enhanced_files_of_several_volumes(stored, make_dicom_series, sequence, keyword, values):
    path = enhanced(
        make_dicom_series, stored, [0, 3, 6, 0, 3, 6], **{sequence: (keyword, np.repeat(values, 3, 0).tolist())}
    )
    with pytest.raises(ReadError, match=r"R008.*2 volumes"):
        read_image(path)
    for volume, part in ((0, stored[3:]), (1, stored[:3])):
        image = read_image(path, volume=volume)
        np.testing.assert_array_equal(image.pixels[0], part.astype(int) * 2 - 7)
        assert image.geometry.spacing_mm == pytest.approx((3.0, 0.8, 0.7))
        assert image.stored.unit == "a.u."


def test_stacks_in_different_places_are_volumes(stored, make_dicom_series):
    path = enhanced(make_dicom_series, stored, [0, 3, 6, 50, 53, 56], FrameContentSequence=("StackID", list("111222")))
    assert read_image(path, volume=1).geometry.affine[2, 3] == pytest.approx(50)
    with pytest.raises(ReadError, match=r"R008.*0: stack 1; 1: stack 2"):
        read_image(path)


def test_enhanced_in_a_zip_with_long_sequences(rng, make_dicom_series, tmp_path):
    import zipfile

    stored = rng.integers(0, 4096, size=(60, 6, 7)).astype(np.uint16)
    path = enhanced(make_dicom_series, stored, [3 * index for index in range(60)])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "one.dcm")
    for place in (path, tmp_path / "a.zip"):
        np.testing.assert_array_equal(read_image(place).pixels[0], stored.astype(int) * 2 - 7)
