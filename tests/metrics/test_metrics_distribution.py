import math

import numpy as np
import pytest
from scipy import linalg

from medgan.errors import StatisticsError
from medgan.metrics import distribution


@pytest.mark.parametrize(("n", "m", "width"), [(60, 50, 5), (12, 50, 20), (50, 12, 20), (8, 9, 20)])
def test_frechet_distance_equals_the_formula_with_a_matrix_root(n, m, width):
    rng = np.random.default_rng(n)
    a = rng.normal(size=(n, width)) @ rng.normal(size=(width, width))
    b = rng.normal(size=(m, width)) @ rng.normal(size=(width, width)) + 0.5
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # the root of a symmetric product has the same trace, and is stable where the covariances are singular
    root_a = np.real(linalg.sqrtm(cov_a + 1e-12 * np.eye(width)))
    eigenvalues = np.linalg.eigvalsh(root_a @ cov_b @ root_a)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b)
    expected -= 2 * np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    assert distribution.frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_of_scaled_features_is_known():
    a = np.random.default_rng(0).normal(size=(40, 6))
    a -= a.mean(axis=0)
    spread = np.trace(np.cov(a, rowvar=False))
    assert distribution.frechet_distance(a, 3 * a + 2) == pytest.approx(4 * spread + 6 * 4)
    assert distribution.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_equals_the_sums_over_all_pairs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(7, 3)), rng.normal(1, 1, size=(5, 3))

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    within_a = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    within_b = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert distribution.kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * between)


def test_kernel_distance_is_unbiased_where_frechet_distance_is_not():
    rng = np.random.default_rng(2)
    draws = [(rng.normal(size=(10, 4)), rng.normal(size=(10, 4))) for _ in range(400)]
    kernel = np.array([distribution.kernel_distance(a, b) for a, b in draws])
    assert abs(kernel.mean()) < 3 * kernel.std() / math.sqrt(len(kernel))
    assert min(distribution.frechet_distance(a, b) for a, b in draws) > 0


def test_distance_of_intensities_of_equal_numbers_is_that_of_the_sorted_values():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(4, 25)), rng.normal(2, 3, size=100)
    expected = np.abs(np.sort(a.ravel()) - np.sort(b)).mean()
    assert distribution.histogram_distance(a, b) == pytest.approx(expected)


def test_too_few_images_have_no_distance():
    one, two = np.ones((1, 3)), np.eye(2, 3)
    for function in (distribution.frechet_distance, distribution.kernel_distance):
        assert math.isnan(function(one, two))
        assert math.isnan(function(two, one))
    assert math.isnan(distribution.histogram_distance([], [1.0]))


@pytest.mark.parametrize("bad", [np.ones((4, 2)), np.ones(3), np.full((4, 3), math.nan)])
def test_features_that_do_not_fit_are_refused(bad):
    for function in (distribution.frechet_distance, distribution.kernel_distance):
        with pytest.raises(StatisticsError, match="N007"):
            function(np.ones((4, 3)), bad)
        with pytest.raises(StatisticsError, match="N007"):
            function(bad, np.ones((4, 3)))


def test_intensities_that_are_not_finite_are_refused():
    with pytest.raises(StatisticsError, match="N008"):
        distribution.histogram_distance([0.0, math.nan], [1.0])


def test_sliced_distance_is_the_mean_over_directions_of_sorted_differences():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(60, 5)), rng.normal(1, 2, size=(60, 5))
    directions = rng.normal(size=(7, 5))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.abs(np.sort(a @ directions.T, axis=0) - np.sort(b @ directions.T, axis=0)).mean()
    assert distribution.sliced_wasserstein(a, b, directions=directions) == pytest.approx(expected)
    assert distribution.sliced_wasserstein(a, a[::-1], directions=directions) == pytest.approx(0, abs=1e-12)
    assert math.isnan(distribution.sliced_wasserstein(a, b[:0], directions=directions))
    with pytest.raises(StatisticsError, match="N007"):
        distribution.sliced_wasserstein(a, b, directions=np.eye(4))
