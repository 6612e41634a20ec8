import math

import numpy as np
import pytest
from skimage import metrics as sk

from medgan.errors import GeometryError, IntensityError
from medgan.metrics import similarity

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def images(shape, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.uniform(0, 200, shape)
    return first, np.clip(first + rng.normal(0, 25, shape), 0, 255)


@pytest.mark.parametrize(
    ("shape", "channel_axis"),
    [((24, 20), None), ((13, 14, 12), None), ((3, 24, 20), 0), ((24, 20, 3), -1), ((1, 12, 12, 12), 0)],
)
def test_scores_equal_scikit_image(shape, channel_axis):
    a, b = images(shape)
    assert similarity.psnr(a, b, data_range=255, channel_axis=channel_axis) == pytest.approx(
        sk.peak_signal_noise_ratio(a, b, data_range=255)
    )
    assert similarity.rmse(a, b, channel_axis=channel_axis) ** 2 == pytest.approx(sk.mean_squared_error(a, b))
    assert similarity.mae(a, b, channel_axis=channel_axis) == pytest.approx(np.mean(np.abs(a - b)))
    assert similarity.ssim(a, b, data_range=255, channel_axis=channel_axis) == pytest.approx(
        sk.structural_similarity(a, b, data_range=255, channel_axis=channel_axis, **WANG)
    )


def test_eight_bit_photographs_do_not_wrap_round():
    a = images((40, 36))[0].astype(np.uint8)
    b = np.clip(a.astype(int) + 40, 0, 255).astype(np.uint8)
    assert similarity.mae(b, a) == similarity.mae(a, b) == np.abs(a.astype(int) - b.astype(int)).mean()
    assert similarity.ssim(a, b, data_range=255) == pytest.approx(
        sk.structural_similarity(a, b, data_range=255, **WANG)
    )


@pytest.mark.parametrize("channel_axis", [None, 0])
def test_what_lies_outside_the_mask_does_not_count(channel_axis):
    shape = (32, 30) if channel_axis is None else (3, 32, 30)
    a, b = images(shape)
    mask = np.zeros((32, 30), bool)
    mask[12:20, 10:20] = True
    damaged = b.copy()
    damaged[..., 0:3, :] = 255 - damaged[..., 0:3, :]  # further from the mask than a window reaches
    for function in (similarity.psnr, similarity.ssim):
        known = {"data_range": 255, "channel_axis": channel_axis}
        inside = function(a, b, mask=mask, **known)
        assert function(a, damaged, mask=mask, **known) == inside
        assert function(a, damaged, **known) < function(a, b, **known)
    assert similarity.mae(a, b, mask=mask, channel_axis=channel_axis) == pytest.approx(
        np.abs(a - b)[..., 12:20, 10:20].mean()
    )


def test_masked_similarity_is_the_mean_of_the_map_in_the_mask():
    a, b = images((32, 30))
    mask = np.zeros((32, 30), bool)
    mask[8:20, 6:21] = True
    _, full = sk.structural_similarity(a, b, data_range=255, full=True, **WANG)
    assert similarity.ssim(a, b, data_range=255, mask=mask) == pytest.approx(full[mask].mean())


def test_a_mask_of_ones_is_no_mask():
    a, b = images((20, 20))
    for function in (similarity.psnr, similarity.ssim):
        assert function(a, b, data_range=255, mask=np.ones((20, 20), bool)) == function(a, b, data_range=255)


def test_values_beside_the_mask_may_be_undefined_for_errors():
    a, b = images((20, 20))
    mask = np.ones((20, 20), bool)
    mask[0, 0], b[0, 0] = False, math.nan
    assert math.isfinite(similarity.mae(a, b, mask=mask))


def test_equal_images_are_infinitely_alike():
    a, _ = images((12, 12))
    assert similarity.psnr(a, a, data_range=255) == math.inf


def test_no_window_fits_a_thin_volume():
    a, b = images((10, 20, 20))
    assert math.isnan(similarity.ssim(a, b, data_range=255))


def test_similarity_of_negative_values_is_refused():
    a, b = (image - 1024 for image in images((20, 20)))
    with pytest.raises(IntensityError, match=r"I072.*lower end"):
        similarity.ssim(a, b, data_range=4095)
    assert similarity.ssim(a + 1024, b + 1024, data_range=4095) > 0.9


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(bad):
    a, b = images((12, 12))
    b[3, 3] = bad
    for score in (similarity.mae, similarity.rmse):
        with pytest.raises(IntensityError, match="I070"):
            score(a, b)
    with pytest.raises(IntensityError, match="I070"):
        similarity.ssim(a, b, data_range=255)


@pytest.mark.parametrize("data_range", [0, -1, math.nan, math.inf])
def test_a_range_that_is_none_is_refused(data_range):
    a, b = images((12, 12))
    for score in (similarity.psnr, similarity.ssim):
        with pytest.raises(IntensityError, match="I071"):
            score(a, b, data_range=data_range)


def test_a_mask_that_does_not_fit_is_refused():
    a, b = images((3, 12, 12))
    for mask in (np.ones((12, 11), bool), np.ones((12, 12), int), np.ones((3, 12, 12), bool)):
        with pytest.raises(GeometryError, match="G072"):
            similarity.mae(a, b, mask=mask, channel_axis=0)
        with pytest.raises(GeometryError, match="G072"):
            similarity.ssim(a, b, data_range=255, mask=mask, channel_axis=0)
