"""Grids by position and orientation only; tilt, crookedness, gaps and bad directions each by its own code."""

import numpy as np
import pydicom
import pytest

from medgan.errors import GeometryError, ReadError
from medgan.imaging.read import read_image


@pytest.fixture
def stored(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(5, 6, 7)).astype(np.uint16)


def change(folder, edit):
    """Edit each slice's dataset, given its number from the bottom."""
    for number, file in enumerate(sorted(folder.iterdir(), reverse=True)):
        dataset = pydicom.dcmread(file)
        edit(dataset, number)
        dataset.save_as(file)
    return folder


def test_an_oblique_series_lies_where_simpleitk_puts_it(stored, make_dicom_series):
    import SimpleITK

    turn = np.linalg.qr(np.array([[1.0, 0.2, -0.3], [0.1, 1.0, 0.4], [0.3, -0.2, 1.0]]))[0]
    turn[:, 2] = np.cross(turn[:, 0], turn[:, 1])

    def edit(dataset, number):
        dataset.ImageOrientationPatient = [f"{x:.10f}" for x in (*turn[:, 0], *turn[:, 1])]
        dataset.ImagePositionPatient = [f"{x:.8f}" for x in np.array([5.0, 6.0, 7.0]) + 2.5 * number * turn[:, 2]]

    folder = change(make_dicom_series(stored), edit)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other, image = reader.Execute(), read_image(folder)
    np.testing.assert_array_equal(image.pixels[0], SimpleITK.GetArrayFromImage(other))
    for index in ((0, 0, 0), (6, 5, 4), (3, 1, 2)):
        ours = (image.geometry.affine @ [*index[::-1], 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(ours, other.TransformIndexToPhysicalPoint(index), atol=1e-5)


def test_a_series_on_its_side_is_only_geometry(stored, make_dicom_series):
    def edit(dataset, number):
        dataset.PatientPosition, dataset.ImageOrientationPatient = "HFDR", [0, 1, 0, -1, 0, 0]

    image = read_image(change(make_dicom_series(stored), edit))
    np.testing.assert_array_equal(image.pixels[0], stored.astype(int) - 1024)
    np.testing.assert_allclose((image.geometry.affine @ [0, 1, 0, 1])[:3], [10.8, -20, 100])


def test_tilt_states_its_angle_and_is_not_uneven_spacing(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    change(folder, lambda dataset, number: dataset.ImagePositionPatient.__setitem__(1, 20 + 3 * number * np.tan(0.2)))
    with pytest.raises(GeometryError, match=r"G013.*tilted gantry.*11\.46 degrees"):
        read_image(folder)


def test_slices_beside_their_line(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    change(folder, lambda dataset, number: dataset.ImagePositionPatient.__setitem__(0, -10 + 5 * (number == 2)))
    with pytest.raises(GeometryError, match=r"G014.*5 mm beside"):
        read_image(folder)


def test_uneven_and_missing_are_told_apart(stored, make_dicom_series):
    heights = [0, 3, 6, 15, 18]
    folder = make_dicom_series(stored)
    change(folder, lambda dataset, number: dataset.ImagePositionPatient.__setitem__(2, heights[number]))
    with pytest.raises(ReadError, match=r"R028.*2 missing at 9\.00, 12\.00 mm"):
        read_image(folder)
    heights = [0, 3, 6.8, 10, 14]
    change(folder, lambda dataset, number: dataset.ImagePositionPatient.__setitem__(2, heights[number]))
    with pytest.raises(ReadError, match=r"R029.*gaps from 3 to 4 mm"):
        read_image(folder)


def test_a_header_with_a_monstrous_gap_is_refused_at_once(stored, make_dicom_series):
    heights = [0, 3, 6, 9, 3e9]
    folder = make_dicom_series(stored)
    change(folder, lambda dataset, number: dataset.ImagePositionPatient.__setitem__(2, heights[number]))
    with pytest.raises(ReadError, match=r"R02[89]"):
        read_image(folder)


@pytest.mark.parametrize(
    "orientation", [[2, 0, 0, 0, 1, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0.1, 0.99, 0]]
)
def test_directions_that_are_no_plane(stored, make_dicom_series, orientation):
    with pytest.raises(GeometryError, match=r"G015.*direction"):
        read_image(make_dicom_series(stored, ImageOrientationPatient=orientation))


@pytest.mark.parametrize(
    ("elements", "match"),
    [
        ({"PixelSpacing": [0, 0.7]}, r"R024.*PixelSpacing"),
        ({"PixelSpacing": [-0.8, 0.7]}, r"R024.*PixelSpacing"),
        ({"ImagePositionPatient": [0, 0]}, r"R024.*ImagePositionPatient of 2 numbers"),
        ({"ImageOrientationPatient": None}, r"R024.*ImageOrientationPatient"),
    ],
)
def test_places_that_are_none(stored, make_dicom_series, elements, match):
    with pytest.raises(ReadError, match=match):
        read_image(make_dicom_series(stored, **elements))


def test_one_slice_needs_its_thickness(stored, make_dicom_series):
    file = min(make_dicom_series(stored, SliceThickness=None).iterdir())
    with pytest.raises(ReadError, match="R024"):
        read_image(file)
    file = min(make_dicom_series(stored, SpacingBetweenSlices=-4).iterdir())
    assert read_image(file).geometry.spacing_mm[0] == pytest.approx(4)


@pytest.mark.parametrize("step", [4.0, -4.0])
def test_nuclear_reconstructions_are_stacked_by_the_sign_of_their_spacing(stored, make_dicom_series, step):
    path = min(make_dicom_series(stored[:1]).iterdir())
    dataset, detector = pydicom.dcmread(path), pydicom.Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [1, 2, 50], [1, 0, 0, 0, 1, 0]
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.20", "NM"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.DetectorInformationSequence, dataset.SpacingBetweenSlices = [detector], step
    dataset.NumberOfFrames, dataset.SliceVector, dataset.PixelData = 5, [1, 2, 3, 4, 5], stored.tobytes()
    dataset.save_as(path)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0], stored if step > 0 else stored[::-1])
    assert image.geometry.affine[2, 3] == pytest.approx(50 if step > 0 else 34)
    dataset.SliceVector = [1, 1, 2, 2, 3]
    dataset.save_as(path)
    with pytest.raises(ReadError, match=r"R024.*gates"):
        read_image(path)


def test_pet_stays_in_its_units_each_slice_by_its_own_rescale(stored, make_dicom_series):
    def edit(dataset, number):
        dataset.SOPClassUID, dataset.Modality, dataset.Units = "1.2.840.10008.5.1.4.1.1.128", "PT", "BQML"
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.NumberOfSlices = 0.5 + number, 0, 5
        del dataset.RescaleType

    folder = change(make_dicom_series(stored), edit)
    image = read_image(folder)
    assert (image.stored.unit, image.stored.modality, image.pixels.dtype) == ("BQML", "PT", np.float32)
    slopes = (0.5 + np.arange(5))[:, None, None]
    np.testing.assert_array_equal(image.pixels[0], (stored * slopes).astype(np.float32))
    assert any("each slice by its own" in note for note in image.stored.notes)
    min(folder.iterdir()).unlink()
    with pytest.raises(ReadError, match=r"R028.*4 slices.*5 by NumberOfSlices"):
        read_image(folder)


def test_a_perfusion_map_is_not_in_hu(stored, make_dicom_series):
    image = read_image(
        make_dicom_series(stored, ImageType=["DERIVED", "PRIMARY", "PERFUSION", "RCBF"], RescaleType="US")
    )
    assert image.stored.unit == "a.u."
