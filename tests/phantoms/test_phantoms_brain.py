"""Brain phantoms: two contrasts on one grid, with tissues and lesions where they belong."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from scipy import ndimage

from medgan.manifests.manifest import read_manifest
from medgan.phantoms.brain import BrainPair, render_brain, write_study


@pytest.fixture(scope="module")
def pair() -> BrainPair:
    return render_brain(np.random.default_rng(3), size_px=72, slices=63)


def test_contrasts_are_what_they_claim(pair: BrainPair):
    def mean(volume: np.ndarray, tissue: int) -> float:
        return float(np.median(volume[(pair.tissues == tissue) & (pair.lesions == 0)]))

    assert mean(pair.t1, 1) < mean(pair.t1, 2) < mean(pair.t1, 4) < mean(pair.t1, 3)
    assert mean(pair.flair, 1) < mean(pair.flair, 3) < mean(pair.flair, 2)


def test_lesions_are_bright_on_flair_and_inside_white_matter(pair: BrainPair):
    lesion = pair.lesions == 1
    assert lesion.sum() > 50
    assert (pair.tissues[lesion] == 3).all()
    white = (pair.tissues == 3) & ~ndimage.binary_dilation(lesion)
    assert np.median(pair.flair[lesion]) > 1.3 * np.median(pair.flair[white])
    assert np.median(pair.t1[lesion]) < np.median(pair.t1[white])


def test_skull_is_stripped_and_brain_stays_inside(pair: BrainPair):
    for volume in (pair.t1, pair.flair):
        assert (volume[pair.tissues == 0] == 0).all()
        assert (volume[pair.tissues > 0] > 0).all()
    brain = pair.tissues > 0
    assert not brain[:, [0, -1]].any()
    assert not brain[:, :, [0, -1]].any()
    assert not brain[-1].any()


def test_volumes_are_those_of_a_head(pair: BrainPair):
    litres = np.prod(pair.geometry.spacing_mm) * 1e-6
    brain = (pair.tissues > 1).sum() * litres
    assert 0.85 < brain < 1.7
    assert 0.4 < (pair.tissues == 2).sum() / (pair.tissues == 3).sum() < 1.8


def test_study_pairs_voxels(tmp_path: Path):
    study = read_manifest(write_study(tmp_path, seed=1, subjects=1, size_px=32, dicom=True), root=tmp_path)
    flair, t1 = study.cases
    assert (flair.domain, t1.domain) == ("flair", "t1")
    assert flair.pair_id == t1.pair_id == "B0000"
    assert flair.mask == t1.mask
    images = [nib.load(study.image_path(case)) for case in study] + [nib.load(tmp_path / t1.mask)]
    for image in images:
        np.testing.assert_array_equal(image.affine, images[0].affine)
        np.testing.assert_allclose(image.header.get_zooms(), 6.0, rtol=1e-5)
        np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-4)
    series = [pydicom.dcmread(path) for path in sorted((tmp_path / t1.extra["dicom"]).iterdir())]
    assert series[0].SOPClassUID.name == "MR Image Storage"
    stack = np.stack([file.pixel_array for file in series])
    np.testing.assert_array_equal(stack, np.asarray(images[1].dataobj).transpose(2, 1, 0))
    position = np.array(series[4].ImagePositionPatient, dtype=float) * [-1, -1, 1]
    np.testing.assert_allclose(position, (images[1].affine @ [0, 0, 4, 1])[:3], atol=1e-4)
