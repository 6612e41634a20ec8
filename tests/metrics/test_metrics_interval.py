import math

import numpy as np
import pytest
from scipy import stats

from medgan.errors import StatisticsError
from medgan.metrics import interval
from medgan.metrics.interval import mean_estimate, paired_difference, subject_means


def simulated(rng, *, subjects=12, images=8):
    """Images that resemble each other within a person: half of the variance lies between persons. The mean is 0."""
    people = np.repeat(np.arange(subjects), images)
    return rng.normal(size=subjects)[people] + rng.normal(size=people.size), people.tolist()


def test_the_interval_over_subjects_covers_as_promised_and_that_over_images_does_not():
    rng = np.random.default_rng(0)
    trials = 1500
    over_subjects = over_images = 0
    for _ in range(trials):
        values, people = simulated(rng)
        found = mean_estimate(values, people)
        over_subjects += found.low <= 0 <= found.high
        found = mean_estimate(values, range(len(values)))
        over_images += found.low <= 0 <= found.high
    assert over_subjects / trials == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / trials))
    assert over_images / trials < 0.75


def test_the_studentised_interval_covers_as_promised():
    rng = np.random.default_rng(1)
    trials, covered = 300, 0
    for _ in range(trials):
        gains = {f"c{i}": float(v) for i, v in enumerate(rng.exponential(size=20) - 1)}
        found = paired_difference(
            gains, dict.fromkeys(gains, 0.0), subjects={c: c for c in gains}, interval="studentised", rng=rng
        )
        covered += found.low <= 0 <= found.high
    assert 0.91 <= covered / trials <= 0.98


def test_the_interval_equals_scipy():
    values = np.random.default_rng(2).normal(size=9)
    found = mean_estimate(values, range(9), level=0.9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.value, found.level, found.n_subjects) == (pytest.approx(values.mean()), 0.9, 9)


def test_every_subject_counts_alike_however_many_images_there_are():
    found = mean_estimate([1.0] * 10 + [3.0], ["anna"] * 10 + ["bert"])
    assert (found.value, found.n_subjects, found.n_values) == (2.0, 2, 11)


def test_undefined_values_take_no_part_and_are_counted():
    found = mean_estimate([1.0, math.nan, 3.0, math.nan], ["anna", "anna", "bert", "cleo"])
    assert (found.value, found.n_subjects, found.n_values, found.n_undefined) == (2.0, 2, 2, 2)
    assert "2 undefined" in found.method


@pytest.mark.parametrize("values", [[], [math.nan], [0.5]])
def test_fewer_than_two_subjects_have_no_interval(values):
    found = mean_estimate(values, range(len(values)))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.value == 0.5 if values == [0.5] else math.isnan(found.value)


def test_pairs_are_aligned_by_case_not_by_position():
    arm = {"c1": 1.0, "c2": 5.0, "c3": 9.0}
    baseline = {"c3": 8.0, "c1": 0.0, "c2": 4.0}
    found = paired_difference(arm, baseline, subjects={"c1": "a", "c2": "b", "c3": "c"})
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_seeds_are_averaged_within_the_subject():
    arm = {(case, seed): float(case + seed) for case in range(4) for seed in range(3)}
    found = paired_difference(arm, dict.fromkeys(arm, 0.0), subjects={key: f"person {key[0]}" for key in arm})
    assert (found.value, found.n_subjects, found.n_values) == (2.5, 4, 12)


def test_a_pair_is_undefined_where_either_half_is():
    found = paired_difference(
        {"c1": 1.0, "c2": math.nan, "c3": 1.0},
        {"c1": 0.0, "c2": 0.0, "c3": math.nan},
        subjects=dict.fromkeys(["c1", "c2", "c3"], "a"),
    )
    assert (found.n_values, found.n_undefined) == (1, 2)


def test_the_paired_interval_equals_scipy_and_the_studentised_one_is_near():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 40))
    cases = [f"c{i}" for i in range(40)]
    pair = dict(zip(cases, a, strict=True)), dict(zip(cases, b, strict=True))
    found = paired_difference(*pair, subjects={c: c for c in cases})
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    resampled = paired_difference(*pair, subjects={c: c for c in cases}, interval="studentised", rng=rng)
    assert (resampled.low, resampled.high) == pytest.approx((found.low, found.high), abs=0.1)
    assert "studentised" in resampled.method


def test_the_studentised_interval_bends_with_the_skew():
    rng = np.random.default_rng(4)
    gains = {f"c{i}": float(v) for i, v in enumerate(rng.exponential(size=25))}
    known = {"subjects": {c: c for c in gains}}
    found = paired_difference(gains, dict.fromkeys(gains, 0.0), interval="studentised", rng=rng, **known)
    assert found.high - found.value > 1.2 * (found.value - found.low)


def test_resamples_without_spread_are_counted():
    gains = {"c1": 1.0, "c2": 2.0, "c3": 4.0}
    known = {"subjects": {c: c for c in gains}, "interval": "studentised"}
    found = paired_difference(gains, dict.fromkeys(gains, 0.0), rng=np.random.default_rng(0), **known)
    assert "without spread" in found.method
    constant = paired_difference(gains, gains, rng=np.random.default_rng(0), **known)
    assert (constant.low, constant.high) == (0.0, 0.0)


def test_cases_that_do_not_pair_up_are_refused():
    with pytest.raises(StatisticsError, match=r"N011.*c2"):
        paired_difference({"c1": 1.0}, {"c1": 1.0, "c2": 1.0}, subjects={"c1": "a", "c2": "b"})
    with pytest.raises(StatisticsError, match=r"N011.*c1"):
        paired_difference({"c1": 1.0}, {"c1": 1.0}, subjects={})


def test_an_interval_that_cannot_be_made_is_refused():
    known = {"subjects": {"c1": "a"}}
    with pytest.raises(StatisticsError, match="N012"):
        paired_difference({"c1": 1.0}, {"c1": 1.0}, interval="studentised", **known)
    with pytest.raises(StatisticsError, match=r"N012.*'normal'"):
        paired_difference({"c1": 1.0}, {"c1": 1.0}, interval="normal", rng=np.random.default_rng(0), **known)


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(StatisticsError, match="N009"):
        mean_estimate([1.0, 2.0], "ab", level=level)


def test_values_without_a_mean_are_refused():
    with pytest.raises(StatisticsError, match="N010"):
        mean_estimate([1.0, math.inf], "ab")
    with pytest.raises(StatisticsError, match="N001"):
        subject_means([1.0, 2.0], "abc")


def test_an_estimate_cannot_be_changed():
    found = mean_estimate([1.0, 2.0], "ab")
    with pytest.raises(AttributeError, match="cannot assign"):
        found.value = 3.0
    assert isinstance(found, interval.Estimate)
