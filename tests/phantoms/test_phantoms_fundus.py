"""Fundus phantoms: seeded, labelled exactly, and poor where they claim to be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy import ndimage

from medgan.errors import SettingsError
from medgan.manifests.manifest import read_manifest
from medgan.phantoms._retina import grow_retina
from medgan.phantoms.fundus import (
    HAEMORRHAGE,
    HARD_EXUDATE,
    MICROANEURYSM,
    NEOVESSELS,
    Defects,
    FundusPhoto,
    render_fundus,
    write_study,
)


def _photo(
    seed: int = 0, *, size_px: int = 128, grade: int = 0, eye: str = "left", defects: Defects | None = None
) -> FundusPhoto:
    return render_fundus(np.random.default_rng(seed), size_px=size_px, grade=grade, eye=eye, defects=defects)


def _sharpness(photo: FundusPhoto) -> float:
    inner = ndimage.binary_erosion(photo.field_of_view, iterations=6)
    green = photo.pixels[1].astype(float)
    return float(ndimage.laplace(ndimage.gaussian_filter(green, 1.0))[inner].std())


def test_same_generator_same_photograph():
    np.testing.assert_array_equal(_photo(3, grade=4).pixels, _photo(3, grade=4).pixels)
    assert (_photo(3).pixels != _photo(4).pixels).any()


def test_eye_does_not_depend_on_defects():
    good, poor = _photo(5, grade=3), _photo(5, grade=3, defects=Defects(blur=0.8, haze=0.5))
    np.testing.assert_array_equal(good.pixels, poor.clean)
    np.testing.assert_array_equal(good.vessels, poor.vessels)
    np.testing.assert_array_equal(good.lesions, poor.lesions)
    assert (poor.quality, good.quality) == (0, 1)


def test_surround_is_black_and_truth_stays_in_the_field():
    photo = _photo(1, grade=4, defects=Defects(uneven=1.0, artefact=1.0))
    outside = ~photo.field_of_view
    assert photo.pixels[:, outside].max() == 0
    assert not photo.vessels[outside].any()
    assert not photo.disc[outside].any()
    assert photo.lesions is not None
    assert not photo.lesions[outside].any()


def test_disc_lies_on_the_left_of_a_left_eye():
    for seed in range(8):
        for eye, sign in (("left", -1.0), ("right", 1.0)):
            retina = grow_retina(np.random.default_rng(seed), eye=eye)
            assert sign * (retina.disc[0] - retina.fovea[0]) > 0.5


def test_photograph_shows_its_truth():
    photo = _photo(2, size_px=192)
    green = photo.pixels[1].astype(float)
    near = ndimage.binary_dilation(photo.vessels, iterations=4) & ~ndimage.binary_dilation(photo.vessels, iterations=2)
    off_disc = ~ndimage.binary_dilation(photo.disc, iterations=4) & photo.field_of_view
    assert green[photo.vessels & off_disc].mean() < 0.9 * green[near & off_disc].mean()
    assert green[photo.disc & ~photo.vessels].mean() > 1.2 * green[near & off_disc].mean()


def test_disease_fits_its_grade():
    kinds = [set(), set(), set(), set(), set()]
    for grade in range(5):
        for seed in range(3):
            lesions = _photo(seed, size_px=64, grade=grade).lesions
            kinds[grade] |= set() if lesions is None else set(np.unique(lesions)) - {0}
    assert kinds[0] == set()
    assert kinds[1] == {MICROANEURYSM}
    assert {MICROANEURYSM, HAEMORRHAGE, HARD_EXUDATE} <= kinds[2]
    assert NEOVESSELS not in kinds[3]
    assert NEOVESSELS in kinds[4]


def test_lesions_change_the_photograph_only_where_labelled():
    healthy, ill = _photo(6, size_px=192, grade=0), _photo(6, size_px=192, grade=3)
    assert ill.lesions is not None
    changed = np.abs(healthy.pixels.astype(int) - ill.pixels.astype(int)).max(axis=0) > 12
    assert changed.any()
    assert not (changed & ~ndimage.binary_dilation(ill.lesions > 0, iterations=5)).any()
    assert changed[ill.lesions == HARD_EXUDATE].mean() > 0.8


def test_each_blurring_defect_lowers_sharpness_with_its_strength():
    for name in ("blur", "haze"):
        levels = [_sharpness(_photo(7, defects=Defects(**{name: strength}))) for strength in (0.0, 0.5, 1.0)]
        assert levels[0] > levels[1] > levels[2]


def test_uneven_light_and_artefacts_change_a_photograph():
    for name in ("uneven", "artefact"):
        photo = _photo(8, defects=Defects(**{name: 1.0}))
        assert np.abs(photo.pixels.astype(float) - photo.clean)[:, photo.field_of_view].mean() > 2.5


def test_zero_strength_changes_nothing():
    photo = _photo(9, defects=Defects())
    np.testing.assert_array_equal(photo.pixels, photo.clean)


def test_resolution_does_not_move_the_anatomy():
    small, large = _photo(10, size_px=64), _photo(10, size_px=128)
    halved = large.disc.reshape(64, 2, 64, 2).mean(axis=(1, 3)) > 0.5
    assert (halved & small.disc).sum() > 0.85 * (halved | small.disc).sum()


def test_study_is_good_and_poor_and_scorable(tmp_path: Path):
    study = read_manifest(write_study(tmp_path, seed=1, subjects=5, size_px=64, image_format="jpeg"), root=tmp_path)
    assert study.domains == ("good", "poor")
    assert {case.grade for case in study.of_domain("good")} == {0, 1, 2, 3, 4}
    for case in study:
        assert case.quality == (1 if case.domain == "good" else 0)
        assert case.pair_id is None
        assert study.image_path(case).suffix == ".jpg"
        assert bool(case.extra["clean"]) == (case.domain == "poor")
        for name in filter(None, (case.image, case.mask, case.extra["vessels"], case.extra["clean"])):
            with PillowImage.open(tmp_path / name) as picture:
                assert picture.size == (64, 64)
        assert (case.mask is None) == (case.grade == 0)
    assert len({(case.subject_id, case.extra["eye"]) for case in study}) == 10


@pytest.mark.parametrize(("grade", "eye"), [(5, "left"), (-1, "left"), (0, "both")])
def test_unknown_eye_is_refused(grade: int, eye: str):
    with pytest.raises(SettingsError, match=r"S061"):
        _photo(grade=grade, eye=eye)


@pytest.mark.parametrize("change", [{"subjects": 0}, {"size_px": 8}, {"image_format": "gif"}])
def test_impossible_study_is_refused(tmp_path: Path, change: dict):
    with pytest.raises(SettingsError, match=r"S060"):
        write_study(tmp_path, **{"seed": 0, "subjects": 1, **change})
