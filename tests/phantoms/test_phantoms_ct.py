"""CT phantoms: HU, labels and geometry, read back by independent readers."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage

from medgan.errors import SettingsError
from medgan.manifests.manifest import read_manifest
from medgan.phantoms.ct import LABELS, CtPair, render_ct, write_study


@pytest.fixture(scope="module")
def pair() -> CtPair:
    return render_ct(np.random.default_rng(5), size_px=80, slices=20)


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    write_study(folder, seed=2, subjects=1, size_px=48, slices=10, dicom=True)
    return folder


@pytest.mark.parametrize(("organ", "plain", "late"), [("liver", 58, 112), ("kidney", 32, 180), ("spleen", 49, 124)])
def test_organs_have_their_attenuation(pair: CtPair, organ: str, plain: int, late: int):
    core = ndimage.binary_erosion(pair.labels == LABELS[organ], structure=np.ones((1, 3, 3)))
    assert core.sum() > 50
    assert np.median(pair.noncontrast[core]) == pytest.approx(plain, abs=14)
    assert np.median(pair.contrast[core]) == pytest.approx(late, abs=0.2 * late)


def test_air_fat_and_bone_are_what_they_should_be(pair: CtPair):
    corner = pair.noncontrast[:, :8, :8]
    assert np.abs(corner + 1000).max() < 40
    assert ((pair.noncontrast > -130) & (pair.noncontrast < -80)).mean() > 0.03
    assert (pair.noncontrast > 350).any()
    assert pair.noncontrast.dtype == np.int16


def test_contrast_changes_organs_and_spares_fat(pair: CtPair):
    change = pair.contrast.astype(float) - pair.noncontrast
    assert change[pair.labels > 0].mean() > 40
    fat = ndimage.binary_erosion((pair.noncontrast > -125) & (pair.noncontrast < -90), structure=np.ones((1, 2, 2)))
    assert abs(np.median(change[fat])) < 15


def test_organs_lie_on_their_side(pair: CtPair):
    def middle(organ: str) -> np.ndarray:
        index = np.argwhere(pair.labels == LABELS[organ]).mean(axis=0)
        return pair.geometry.affine[:3, :3] @ index + pair.geometry.affine[:3, 3]

    assert pair.geometry.axis_codes == "SPL"
    assert middle("liver")[0] > middle("spleen")[0] + 60  # RAS+: the patient's right is larger
    assert middle("kidney")[1] < middle("liver")[1]  # further back
    kidney = pair.labels == LABELS["kidney"]
    assert kidney[..., :40].sum() > 0.2 * kidney.sum()
    assert kidney[..., 40:].sum() > 0.2 * kidney.sum()


def test_noise_differs_between_scans_and_is_plausible(pair: CtPair):
    core = ndimage.binary_erosion(pair.labels == LABELS["liver"], structure=np.ones((1, 5, 5)))
    assert 5.0 < pair.noncontrast[core].std() < 35.0
    residue = [scan[core] - scan[core].mean() for scan in (pair.noncontrast, pair.contrast)]
    assert np.corrcoef(*residue)[0, 1] < 0.5


def test_nifti_and_dicom_are_one_volume(study_folder: Path):
    study = read_manifest(study_folder / "manifest.csv", root=study_folder)
    assert {case.pair_id for case in study} == {"C0000"}
    for case in study:
        image = nib.load(study.image_path(case))
        assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
        np.testing.assert_allclose(image.header.get_zooms(), (400 / 48, 400 / 48, 19.0), rtol=1e-5)
        reader = sitk.ImageSeriesReader()
        files = reader.GetGDCMSeriesFileNames(str(study_folder / case.extra["dicom"]))
        reader.SetFileNames(files)
        series = reader.Execute()
        assert len(files) == 10
        np.testing.assert_array_equal(sitk.GetArrayFromImage(series), np.asarray(image.dataobj).transpose(2, 1, 0))
        for index in ((0, 0, 0), (40, 3, 7)):
            there = np.array(series.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
            np.testing.assert_allclose(there, (image.affine @ [*index, 1])[:3], atol=1e-2)
        labels = nib.load(study.mask_path(case))
        np.testing.assert_array_equal(labels.affine, image.affine)
        assert set(np.unique(np.asarray(labels.dataobj))) <= {0, 1, 2, 3}


def test_dicom_slice_is_ct_image_storage(study_folder: Path):
    slices = [pydicom.dcmread(path) for path in sorted((study_folder / "dicom" / "C0000_contrast").iterdir())]
    first = slices[0]
    assert first.SOPClassUID.name == "CT Image Storage"
    assert (first.RescaleSlope, first.RescaleIntercept, first.RescaleType) == (1, -1024, "HU")
    assert list(first.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert len({file.SOPInstanceUID for file in slices}) == len(slices)
    assert len({file.SeriesInstanceUID for file in slices}) == 1
    heights = [float(file.ImagePositionPatient[2]) for file in slices]
    np.testing.assert_allclose(np.diff(heights), 19.0, atol=1e-6)
    other = pydicom.dcmread(study_folder / "dicom" / "C0000_noncontrast" / "IM0001.dcm")
    assert other.StudyInstanceUID == first.StudyInstanceUID
    assert other.SeriesInstanceUID != first.SeriesInstanceUID


def test_too_few_slices_are_refused():
    with pytest.raises(SettingsError, match=r"S060"):
        render_ct(np.random.default_rng(0), size_px=32, slices=2)
