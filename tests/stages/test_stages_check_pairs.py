"""Check: how far the images of a pair lie from one another."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medgan.imaging.read import read_image
from medgan.manifests.case import Case
from medgan.settings.preparation import Preparation
from medgan.stages.check_pairs import measure_pair, pair_findings, pair_summary
from medgan.stages.check_shift import find_shift
from medgan.transforms.prepare import prepare

CASES = tuple(Case(case_id=name, subject_id="s", domain=name, image=name, pair_id="p") for name in ("t1", "flair"))
MR = Preparation(preset="mr")


def head(shape=(24, 40, 36)):
    """A head with two tissues, as one contrast and as another."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 2)
    tissue = np.where(radius < 0.8, 1 + (noise > 0), 0) + (radius < 0.3)
    first = np.choose(tissue, [0, 300, 600, 450]).astype(np.int16)
    second = np.choose(tissue, [0, 700, 400, 100]).astype(np.int16)
    return first, second


def measured(first, second, make_nifti, affine=None, **kind):
    affine = np.diag([2.0, 2, 2, 1]) if affine is None else affine
    paths = [make_nifti(array, affine, name=f"{name}.nii") for name, array in (("a", first), ("b", second))]
    return measure_pair("p", CASES, tuple(prepare(read_image(path), MR) for path in paths), needed=True)


def test_two_contrasts_in_one_place(make_nifti):
    pair = measured(*head(), make_nifti)
    assert max(map(abs, pair.shift.voxels)) < 0.3
    assert not pair.is_shifted
    assert list(pair_findings([pair])) == []
    assert pair_summary([pair]).startswith("0 of 1 pairs shifted; largest shift")


def test_a_known_shift_is_found_with_its_side(make_nifti):
    first, second = head()
    moved = np.roll(second, (3, -2), axis=(0, 1))  # i runs to the right of the patient, j to the front
    pair = measured(first, moved, make_nifti)
    assert pair.shift.voxels == pytest.approx((0, 2, -3), abs=0.3)
    assert pair.shift_mm == pytest.approx((0, 4, -6), abs=0.6)
    (finding,) = pair_findings([pair])
    assert (finding.code, finding.severity) == ("G050", "warning")
    assert "(6.0 mm) right and 2.0 voxels (4.0 mm) back" in finding.message
    assert "cyclegan" in finding.remedy
    assert pair_summary([pair]).startswith("1 of 1 pairs shifted")


def test_one_thick_slice_is_a_shift(make_nifti):
    first, second = head((30, 40, 12))
    pair = measured(first, np.roll(second, 1, axis=2), make_nifti, affine=np.diag([2.0, 2, 6.5, 1]))
    assert pair.shift.voxels[0] == pytest.approx(1, abs=0.2)
    assert pair.is_shifted


def test_other_grids_are_errors_where_pairs_are_needed(make_nifti):
    first, second = head()
    cut = measured(first, second[:-1], make_nifti)
    assert (cut.code, cut.severity) == ("G003", "error")
    paths = [make_nifti(first, np.diag([2.0, 2, 2, 1]), name="a.nii"), make_nifti(second, np.eye(4), name="b.nii")]
    prepared = tuple(prepare(read_image(path), MR) for path in paths)
    other = measure_pair("p", CASES, prepared, needed=False)
    assert (other.code, other.severity) == ("G004", "warning")


def test_without_contrast_there_is_no_shift_and_it_is_said():
    flat, field = np.zeros((32, 32)), np.ones((32, 32), dtype=bool)
    noise = np.random.default_rng(0).normal(size=(32, 32))
    assert find_shift(flat, noise, field=field, moving_field=None, reach=(3, 3)) is None
    assert find_shift(noise, flat, field=field, moving_field=field, reach=(3, 3)) is None
    assert find_shift(noise, noise, field=~field, moving_field=None, reach=(3, 3)) is None


def test_a_shift_beyond_the_search_says_so():
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 64)), 4)
    field = np.ones(noise.shape, dtype=bool)
    shift = find_shift(noise, np.roll(noise, 4, axis=0), field=field, moving_field=None, reach=(4, 4))
    assert shift.at_border


def test_a_photograph_of_another_look(tmp_path):
    from PIL import Image as Pillow

    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(300, 320)), 3)
    levels = np.clip(128 + 50 * noise / noise.std(), 0, 255)
    Pillow.fromarray(levels[10:290, 10:310].astype(np.uint8)).save(tmp_path / "a.png")
    Pillow.fromarray((255 * (1 - levels[2:282, 15:315] / 255) ** 2).astype(np.uint8)).save(tmp_path / "b.png")
    photograph = Preparation(preset="photograph")
    prepared = tuple(prepare(read_image(tmp_path / name), photograph) for name in ("a.png", "b.png"))
    pair = measure_pair("p", CASES, prepared, needed=True)
    assert pair.shift.voxels == pytest.approx((8, -5), abs=0.5)
    assert pair.shift_mm is None
    assert str(pair) == "8.0 px down and 5.0 px left"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("brain_t1_flair/open/Subj3/t1.nii.gz", "brain_t1_flair/open/Subj3/flair.nii.gz"),
        ("brain_openms/open/cs19/t2.nii.gz", "brain_openms/open/cs19/flair.nii.gz"),
        ("brain_tcia_pairs/open/nifti/PGBM-002/t1pre.nii.gz", "brain_tcia_pairs/open/nifti/PGBM-002/t2.nii.gz"),
    ],
)
def test_real_pairs_are_in_place_and_moved_ones_are_not(first, second):
    root = Path(os.environ.get("MEDGAN_DATA", ""))
    if not (root / first).is_file():
        pytest.skip(f"MEDGAN_DATA names no folder with {first}")
    prepared = [prepare(read_image(root / name), MR) for name in (first, second)]
    pair = measure_pair("p", CASES, tuple(prepared), needed=True)
    assert max(map(abs, pair.shift.voxels)) < 0.5
    values = np.roll(prepared[1].pixels, (1, -2, 2), axis=(1, 2, 3))
    moved = type(prepared[1])(values, None, np.roll(prepared[1].field, (1, -2, 2), axis=(0, 1, 2)), prepared[1].trace)
    found = measure_pair("p", CASES, (prepared[0], moved), needed=True)
    assert np.subtract(found.shift.voxels, pair.shift.voxels) == pytest.approx((1, -2, 2), abs=0.3)
    assert found.is_shifted


@pytest.mark.real_data
def test_real_motion_between_two_scans_is_found():
    """The spinal cord moved by a millimetre between the scans with and without magnetisation transfer."""
    folder = Path(os.environ.get("MEDGAN_DATA", "")) / "nifti_odd" / "sct_testing_data"
    if not folder.is_dir():
        pytest.skip("MEDGAN_DATA names no folder with nifti_odd")
    pair = measure_pair(
        "p", CASES, tuple(prepare(read_image(folder / f"{name}.nii.gz"), MR) for name in ("mt0", "mt1")), needed=True
    )
    assert pair.shift.information > 1.5 * pair.shift.unmoved
    assert np.abs(pair.shift_mm) == pytest.approx((0, 0.8, 0.9), abs=0.3)
