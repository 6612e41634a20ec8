"""DICOM series: ordered by place, whole or refused, written back as derived."""

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from medgan.errors import GeometryError, ReadError, WriteError
from medgan.imaging.image import Image
from medgan.imaging.read import read_image, read_label
from medgan.imaging.write import write_image


@pytest.fixture
def stored(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(5, 6, 7)).astype(np.uint16)


def files(folder):
    return sorted(folder.iterdir())


def test_order_geometry_and_units(stored, make_dicom_series):
    image = read_image(make_dicom_series(stored))
    np.testing.assert_array_equal(image.pixels[0], stored.astype(int) - 1024)
    assert image.pixels.dtype == np.int16
    assert image.stored.unit == "HU"
    assert image.geometry.spacing_mm == pytest.approx((3.0, 0.8, 0.7))
    assert image.geometry.axis_codes == "SPL"
    np.testing.assert_allclose(image.geometry.affine @ [2, 1, 3, 1], [10 - 3 * 0.7, -20 - 0.8, 106, 1])


def test_agrees_with_simpleitk(stored, make_dicom_series):
    import SimpleITK

    folder = make_dicom_series(stored)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other = reader.Execute()
    image = read_image(folder)
    np.testing.assert_array_equal(image.pixels[0], SimpleITK.GetArrayFromImage(other))
    lps = np.array(other.TransformIndexToPhysicalPoint((3, 1, 2)))
    np.testing.assert_allclose((image.geometry.affine @ [2, 1, 3, 1])[:3], lps * [-1, -1, 1])


def test_identity_is_exact_and_says_that_it_is_synthetic(stored, make_dicom_series, tmp_path):
    folder = make_dicom_series(stored, WindowCenter=40, IconImageSequence=[pydicom.Dataset()])
    image = read_image(folder)
    assert write_image(image, tmp_path / "out", like=image) == 0
    again = read_image(tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, image.pixels)
    assert (again.geometry, again.stored) == (image.geometry, image.stored)
    old, new = pydicom.dcmread(files(folder)[-1]), pydicom.dcmread(files(tmp_path / "out")[-1])
    assert list(new.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert new.SeriesDescription == "SYNTHETIC - NOT FOR DIAGNOSIS"
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    assert new.SOPInstanceUID == new.file_meta.MediaStorageSOPInstanceUID != old.SOPInstanceUID
    assert (new.PatientID, new.StudyInstanceUID, new.WindowCenter) == ("P1", old.StudyInstanceUID, 40)
    assert "IconImageSequence" not in new
    sources = {
        pydicom.dcmread(file).SourceImageSequence[0].ReferencedSOPInstanceUID for file in files(tmp_path / "out")
    }
    assert sources == {pydicom.dcmread(file).SOPInstanceUID for file in files(folder)}


def test_writing_again_replaces_the_folder(stored, make_dicom_series, tmp_path):
    image = read_image(make_dicom_series(stored))
    for value in (7, 8):
        write_image(image.with_pixels(np.full_like(image.pixels, value)), tmp_path / "out", like=image)
    assert (read_image(tmp_path / "out").pixels == 8).all()
    assert {item.name for item in tmp_path.iterdir()} == {"series", "out"}


def test_values_beyond_the_stored_bits_get_a_rescale_of_their_own(stored, make_dicom_series, tmp_path):
    image = read_image(make_dicom_series(stored))
    wanted = image.pixels.astype(np.int32) * 3 - 5000
    assert write_image(image.with_pixels(wanted), tmp_path / "out", like=image) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, wanted)
    floats = (image.pixels * 1.7 - 5000).astype(np.float32)
    write_image(image.with_pixels(floats), tmp_path / "out", like=image)
    np.testing.assert_allclose(read_image(tmp_path / "out").pixels, floats, atol=0.06)


def test_signed_and_fractional_rescale(rng, make_dicom_series, tmp_path):
    signed = rng.integers(-2048, 2048, size=(3, 4, 5)).astype(np.int16)
    image = read_image(make_dicom_series(signed, RescaleSlope="0.37", RescaleIntercept="-3"))
    np.testing.assert_allclose(image.pixels[0], signed * 0.37 - 3, rtol=1e-6, atol=1e-5)
    write_image(image, tmp_path / "out", like=image)
    assert [pydicom.dcmread(file).PixelData for file in files(tmp_path / "out")] == [s.tobytes() for s in signed]


def test_bits_above_the_stored_ones_are_no_values(rng, make_dicom_series):
    signed = rng.integers(-2048, 2048, size=(2, 4, 5)).astype(np.int16)
    overlaid = (signed.view(np.uint16) & 0x0FFF) | 0x8000
    image = read_image(make_dicom_series(overlaid, PixelRepresentation=1, RescaleIntercept=0))
    np.testing.assert_array_equal(image.pixels[0], signed)


def test_each_slice_by_its_own_rescale(stored, make_dicom_series, tmp_path):
    folder = make_dicom_series(stored)
    for number, file in enumerate(files(folder)):
        dataset = pydicom.dcmread(file)
        dataset.RescaleSlope = 1 + number
        dataset.save_as(file)
    image = read_image(folder)
    slopes = np.arange(5, 0, -1)[:, None, None]
    np.testing.assert_array_equal(image.pixels[0], stored * slopes.astype(np.float32) - 1024)
    write_image(image, tmp_path / "out", like=image)
    np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, image.pixels)


def test_monochrome1_stays_as_stored(stored, make_dicom_series):
    image = read_image(make_dicom_series(stored, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(image.pixels[0], stored.astype(int) - 1024)
    assert any("MONOCHROME1" in note for note in image.stored.notes)


def test_compressed_series_is_decoded_and_written_plain(stored, make_dicom_series, tmp_path):
    folder = make_dicom_series(stored)
    for file in files(folder):
        dataset = pydicom.dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)
    image = read_image(folder)
    np.testing.assert_array_equal(image.pixels[0], stored.astype(int) - 1024)
    write_image(image, tmp_path / "out", like=image)
    np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, image.pixels)


def test_damaged_compressed_pixels_are_refused(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    dataset = pydicom.dcmread(files(folder)[0])
    dataset.compress(RLELossless)
    dataset.PixelData = dataset.PixelData[:60]
    dataset.save_as(files(folder)[0])
    with pytest.raises(ReadError, match=r"R0(22|30)"):
        read_image(folder)


def test_missing_middle_slice_is_placed(stored, make_dicom_series):
    with pytest.raises(ReadError, match=r"R028.*1 missing at 106\.00 mm"):
        read_image(make_dicom_series(stored, skip=(2,)))


def test_missing_end_slice_where_the_count_is_known(stored, make_dicom_series):
    with pytest.raises(ReadError, match=r"R028.*4 files.*expected 5"):
        read_image(make_dicom_series(stored, skip=(4,), NumberOfSeriesRelatedInstances=5))
    image = read_image(make_dicom_series(stored, "other", skip=(4,), ImagesInAcquisition=5))
    assert any("5 images in the acquisition" in note for note in image.stored.notes)


def test_uneven_spacing_is_refused(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    dataset = pydicom.dcmread(files(folder)[2])
    dataset.ImagePositionPatient[2] += 0.7
    dataset.save_as(files(folder)[2])
    with pytest.raises(ReadError, match="R029"):
        read_image(folder)


def test_tilted_gantry_is_refused(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    for number, file in enumerate(files(folder)):
        dataset = pydicom.dcmread(file)
        dataset.ImagePositionPatient[1] += number
        dataset.save_as(file)
    with pytest.raises(GeometryError, match=r"G013.*series.*18\.43 degrees"):
        read_image(folder)


def test_duplicate_slices(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    shutil.copy(files(folder)[1], folder / "copy.dcm")
    image = read_image(folder)
    assert image.pixels.shape == (1, 5, 6, 7)
    assert "1 duplicate slices dropped" in image.stored.notes
    dataset = pydicom.dcmread(folder / "copy.dcm")
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(folder / "copy.dcm")
    with pytest.raises(ReadError, match=r"R027.*copy\.dcm"):
        read_image(folder)


def test_several_series_are_listed(stored, make_dicom_series):
    make_dicom_series(stored, uid="1.2.3.1")
    with pytest.raises(ReadError, match=r"R020.*1\.2\.3\.1 \(CT, 5 files\); 1\.2\.3\.2 \(CT, 3 files\)"):
        read_image(make_dicom_series(stored[:3], uid="1.2.3.2"))


def test_localizer_is_left_out_and_other_planes_are_refused(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    dataset = pydicom.dcmread(files(folder)[0])
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.SOPInstanceUID += ".9"
    dataset.save_as(folder / "scout.dcm")
    with pytest.raises(ReadError, match=r"R026.*scout\.dcm"):
        read_image(folder)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.save_as(folder / "scout.dcm")
    image = read_image(folder)
    assert image.pixels.shape == (1, 5, 6, 7)
    assert "1 localizers left out" in image.stored.notes


def test_other_files_are_skipped_and_counted(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    (folder / "readme.txt").write_text("notes")
    assert "1 files are not DICOM images; skipped" in read_image(folder).stored.notes
    (folder / "empty").mkdir()
    with pytest.raises(ReadError, match="R021"):
        read_image(folder / "empty")


def test_truncated_pixels_state_both_sizes(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    dataset = pydicom.dcmread(files(folder)[0])
    dataset.PixelData = dataset.PixelData[:-10]
    dataset.save_as(files(folder)[0])
    with pytest.raises(ReadError, match=r"R004.*got 74 bytes.*expected 84 bytes"):
        read_image(folder)


def test_truncated_file_is_refused(stored, make_dicom_series):
    folder = make_dicom_series(stored)
    raw = files(folder)[0].read_bytes()
    files(folder)[0].write_bytes(raw[:-10])
    with pytest.raises(ReadError, match=r"R0(04|22)"):
        read_image(folder)


def test_sequences_nested_too_deep_are_refused(stored, make_dicom_series):
    folder = make_dicom_series(stored[:1])
    file = files(folder)[0]
    opening = bytes.fromhex("08004011") + b"SQ\0\0\xff\xff\xff\xff" + bytes.fromhex("feff00e0") + b"\xff\xff\xff\xff"
    raw = file.read_bytes()
    place = raw.index(bytes.fromhex("20000d00") + b"UI")
    file.write_bytes(raw[:place] + opening * 5000 + raw[place:])
    with pytest.raises(ReadError, match=r"R02\d"):
        read_image(folder)


def test_kinds_that_are_no_volume_are_refused(stored, make_dicom_series):
    with pytest.raises(ReadError, match="R023"):
        read_image(make_dicom_series(stored, "mosaic", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]))
    with pytest.raises(ReadError, match=r"R010.*colour"):
        read_image(make_dicom_series(stored, "colour", SamplesPerPixel=3))
    with pytest.raises(ReadError, match=r"R024.*PixelSpacing"):
        read_image(make_dicom_series(stored, "flat", PixelSpacing=None))


def test_one_file_is_one_slice(stored, make_dicom_series):
    image = read_image(files(make_dicom_series(stored))[-1])
    np.testing.assert_array_equal(image.pixels[0, 0], stored[0].astype(int) - 1024)
    assert image.geometry.spacing_mm[0] == pytest.approx(3.0)


def test_enhanced_frames_are_ordered_by_place(stored, make_dicom_series, tmp_path):
    path = files(make_dicom_series(stored))[0]
    dataset = pydicom.dcmread(path)
    frames, order = pydicom.Sequence(), [3, 0, 4, 1, 2]
    for index in order:
        place, group = pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = [-10, 20, 100 + 3 * index]
        group.PlanePositionSequence = [place]
        frames.append(group)
    shared, plane = pydicom.Dataset(), pydicom.Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [plane]
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    dataset.NumberOfFrames, dataset.PerFrameFunctionalGroupsSequence = 5, frames
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PixelData = stored[order].tobytes()
    dataset.save_as(tmp_path / "enhanced.dcm")
    image = read_image(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(image.pixels[0], stored.astype(int) - 1024)
    write_image(image, tmp_path / "out", like=image)
    np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, image.pixels)


def test_dicom_needs_its_source_and_is_no_label(stored, make_dicom_series, tmp_path):
    image = read_image(make_dicom_series(stored))
    with pytest.raises(ReadError, match="R014"):
        read_label(image.path, like=image)
    loose = Image(pixels=image.pixels, stored=image.stored, geometry=image.geometry)
    with pytest.raises(WriteError, match="W006"):
        write_image(loose, tmp_path / "out", like=loose)
    assert not (tmp_path / "out").exists()


def test_nifti_labels_turned_in_space_fit_a_dicom_series(stored, make_dicom_series, make_nifti):
    image = read_image(make_dicom_series(stored))
    label = (stored % 3).astype(np.uint8)
    affine = image.geometry.affine[:, [2, 1, 0, 3]]  # of (w, h, d)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = (6, 5)
    path = make_nifti(np.ascontiguousarray(label.transpose(2, 1, 0)[::-1, ::-1]), affine @ flip)
    np.testing.assert_array_equal(read_label(path, like=image), label)


@pytest.mark.real_data
def test_one_slice_in_six_encodings_reads_alike_and_comes_back(data_root, tmp_path):
    folder = data_root / "dicom_odd" / "pydicom"
    first = read_image(folder / "MR_small.dcm").pixels
    for kind in ("RLE", "bigendian", "expb", "implicit", "jpeg_ls_lossless"):
        image = read_image(folder / f"MR_small_{kind}.dcm")
        np.testing.assert_array_equal(image.pixels, first)
        write_image(image, tmp_path / "out", like=image)
        np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, first)


def test_dicom_whose_preamble_is_a_tiff_header(stored, make_dicom_series):
    path = files(make_dicom_series(stored))[0]
    path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    assert read_image(path).stored.format == "dicom"
