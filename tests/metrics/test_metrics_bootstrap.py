import math

import numpy as np
import pytest

from medgan.errors import StatisticsError
from medgan.metrics.agreement import auroc_binary, kappa
from medgan.metrics.bootstrap import bootstrap_difference, bootstrap_statistic
from medgan.metrics.interval import mean_estimate


def test_whole_subjects_are_drawn():
    subjects = ["anna", "bert", "anna", "cleo", "bert", "anna"]
    partners = {0: {0, 2, 5}, 1: {1, 4}, 2: {0, 2, 5}, 3: {3}, 4: {1, 4}, 5: {0, 2, 5}}
    seen = []

    def statistic(rows):
        counts = np.bincount(rows, minlength=6)
        for row, together in partners.items():
            assert len({counts[other] for other in together}) == 1, row
        seen.append(tuple(counts))
        return float(len(rows))

    bootstrap_statistic(statistic, subjects, rng=np.random.default_rng(0), resamples=100)
    assert (1, 1, 1, 1, 1, 1) in seen
    assert len(set(seen)) == 10  # three persons drawn three times: 10 different samples, and the whole is one of them


def test_the_interval_of_a_mean_is_near_that_of_t_over_subjects_and_wider_than_over_images():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(40), 6)
    values = rng.normal(size=40)[people] + 0.3 * rng.normal(size=people.size)

    def mean(rows):
        return float(values[rows].mean())

    found = bootstrap_statistic(mean, people.tolist(), rng=rng)
    expected = mean_estimate(values, people.tolist())
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.15)
    over_images = bootstrap_statistic(mean, range(people.size), rng=rng)
    assert over_images.high - over_images.low < 0.6 * (found.high - found.low)
    assert (found.n_subjects, found.n_values) == (40, 240)


def test_the_same_seed_gives_the_same_interval():
    reference, predicted = np.random.default_rng(2).integers(3, size=(2, 30))

    def score(rows):
        return kappa(reference[rows], predicted[rows], classes=(0, 1, 2), weights="quadratic")

    subjects = [f"person {i // 2}" for i in range(30)]
    first, second = (bootstrap_statistic(score, subjects, rng=np.random.default_rng(7), resamples=200) for _ in "ab")
    assert first == second
    assert first.low < first.value < first.high


def auroc_with(positives: int):
    reference = np.arange(20) < positives
    scores = np.random.default_rng(3).random(20)
    return lambda rows: auroc_binary(reference[rows], scores[rows], classes=(False, True))


def test_undefined_resamples_are_counted():
    found = bootstrap_statistic(auroc_with(4), range(20), rng=np.random.default_rng(0), resamples=500)
    assert "undefined in" in found.method
    assert found.low < found.high


def test_an_interval_that_rests_on_too_few_resamples_is_undefined():
    found = bootstrap_statistic(auroc_with(1), range(20), rng=np.random.default_rng(0), resamples=500)
    assert math.isfinite(found.value)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    _, p = bootstrap_difference(auroc_with(1), auroc_with(1), range(20), rng=np.random.default_rng(0), resamples=500)
    assert math.isnan(p)


@pytest.mark.parametrize("subjects", [[], ["anna"], ["anna"] * 5])
def test_fewer_than_two_subjects_have_no_interval(subjects):
    found = bootstrap_statistic(lambda rows: float(len(rows)), subjects, rng=np.random.default_rng(0))
    assert found.value == len(subjects)
    assert math.isnan(found.low)


def test_the_difference_is_paired():
    rng = np.random.default_rng(4)
    hard = rng.normal(0, 10, size=50)
    a, b = hard + 1 + 0.1 * rng.normal(size=50), hard
    found, p = bootstrap_difference(
        lambda rows: float(a[rows].mean()), lambda rows: float(b[rows].mean()), range(50), rng=rng
    )
    assert found.value == pytest.approx(1, abs=0.1)
    assert found.high - found.low < 0.2  # the cases' own spread, a hundred times larger, cancels
    assert p == pytest.approx(2 / 2001)


def test_equal_arms_differ_by_nothing():
    values = np.random.default_rng(5).normal(size=20)

    def mean(rows):
        return float(values[rows].mean())

    found, p = bootstrap_difference(mean, mean, range(20), rng=np.random.default_rng(0), resamples=100)
    assert (found.value, found.low, found.high, p) == (0.0, 0.0, 0.0, 1.0)


def test_p_is_small_about_as_often_as_it_says_where_there_is_no_difference():
    rng = np.random.default_rng(6)
    small = 0
    for _ in range(200):
        gains = rng.normal(size=30)
        _, p = bootstrap_difference(
            lambda rows, g=gains: float(g[rows].mean()), lambda rows: 0.0, range(30), rng=rng, resamples=200
        )
        small += p < 0.05
    assert 0.01 <= small / 200 <= 0.11


def test_too_few_resamples_for_the_level_are_refused():
    with pytest.raises(StatisticsError, match=r"N013.*at least"):
        bootstrap_statistic(lambda rows: 1.0, "abc", rng=np.random.default_rng(0), resamples=20)
