import math
from dataclasses import replace

import numpy as np
import pytest

from medgan.errors import StatisticsError
from medgan.metrics.agreement import kappa
from medgan.metrics.comparison import adjusted, compare, compare_statistic, verdict
from medgan.metrics.interval import Estimate

CASES = [f"c{i:02d}" for i in range(30)]
SUBJECTS = {case: f"person {i // 2}" for i, case in enumerate(CASES)}


def estimate(low, high):
    return Estimate(value=(low + high) / 2, low=low, high=high, level=0.95, n_subjects=9, n_values=9, method="t")


def scores(gain, *, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(99).normal(0.7, 0.1, len(CASES))
    return {case: float(h + gain + noise * rng.normal()) for case, h in zip(CASES, hard, strict=True)}


def compared(arms, *, margin=0.02, higher_is_better=True, **changes):
    known = {"baseline": "target-only", "subjects": SUBJECTS, "metric": "dice"} | changes
    found = compare(arms, higher_is_better=higher_is_better, margin=margin, rng=np.random.default_rng(0), **known)
    return {comparison.arm: comparison for comparison in found}


@pytest.mark.parametrize(
    ("low", "high", "p", "margin", "expected"),
    [
        (0.01, 0.05, 0.01, None, "better"),
        (-0.05, -0.01, 0.01, None, "worse"),
        (0.01, 0.05, 0.06, None, "inconclusive"),
        (0.01, 0.05, math.nan, None, "inconclusive"),
        (-0.01, 0.05, 0.01, None, "inconclusive"),
        (0.0, 0.05, 0.01, None, "inconclusive"),
        (-0.01, 0.015, 0.5, 0.02, "equivalent"),
        (0.005, 0.015, 0.001, 0.02, "equivalent"),
        (-0.015, -0.005, 0.001, 0.02, "equivalent"),
        (0.01, 0.05, 0.001, 0.02, "better"),
        (-0.01, 0.05, 0.5, 0.02, "inconclusive"),
        (-0.02, 0.02, 0.5, 0.02, "inconclusive"),
        (math.nan, math.nan, 0.001, 0.02, "inconclusive"),
    ],
)
def test_verdicts(low, high, p, margin, expected):
    assert verdict(estimate(low, high), p, margin=margin, higher_is_better=True) == expected
    turned = {"better": "worse", "worse": "better"}.get(expected, expected)
    assert verdict(estimate(low, high), p, margin=margin, higher_is_better=False) == turned


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(StatisticsError, match="N015"):
        verdict(estimate(0, 1), 0.5, margin=margin, higher_is_better=True)


def test_arms_are_told_apart_from_the_baseline():
    found = compared(
        {
            "target-only": scores(0),
            "gain": scores(0.1, seed=1),
            "loss": scores(-0.1, seed=2),
            "same": scores(0, seed=3),
            "unclear": scores(0.01, noise=0.2, seed=4),
        }
    )
    assert {arm: comparison.verdict for arm, comparison in found.items()} == {
        "gain": "better",
        "loss": "worse",
        "same": "equivalent",
        "unclear": "inconclusive",
    }
    assert found["gain"].difference.value == pytest.approx(0.1, abs=0.01)
    assert found["gain"].difference.n_subjects == 15
    assert all(c.p_holm >= c.p_sign_flip > 0 and 0 < c.p_wilcoxon <= 1 for c in found.values())


def test_a_smaller_error_is_better():
    arms = {"target-only": scores(0), "less": scores(-0.1, seed=1)}
    assert compared(arms, higher_is_better=False)["less"].verdict == "better"


def test_images_of_one_person_do_not_make_a_finding():
    """Three persons with ten images each: the images agree wonderfully, and still there are three persons."""
    arms = {"target-only": scores(0), "gain": scores(0.1, seed=1)}
    found = compared(arms, margin=None, subjects={case: f"person {i // 10}" for i, case in enumerate(CASES)})["gain"]
    assert found.p_sign_flip == 2 / 8
    assert found.verdict == "inconclusive"


def test_more_comparisons_make_a_claim_harder():
    arms = {"target-only": scores(0, noise=0), "some": scores(0.04, noise=0.06, seed=5)}
    alone = compared(arms, margin=None)["some"]
    assert alone.p_holm == alone.p_sign_flip < 0.05
    assert alone.verdict == "better"
    crowd = compared(arms | {f"noise {i}": scores(0, noise=0.1, seed=50 + i) for i in range(20)}, margin=None)["some"]
    assert crowd.p_holm > 0.05
    assert crowd.verdict == "inconclusive"


def test_a_family_can_span_metrics_and_to_adjust_twice_changes_nothing():
    arms = {"target-only": scores(0), "gain": scores(0.02, noise=0.03, seed=1)}
    family = adjusted([*compared(arms).values(), *compared(arms, metric="jaccard").values()])
    assert [c.metric for c in family] == ["dice", "jaccard"]
    assert [c.p_holm for c in family] == pytest.approx([min(1, 2 * c.p_sign_flip) for c in family])
    assert adjusted(family) == family


def test_undefined_scores_are_counted_for_each_arm():
    arms = {"target-only": scores(0), "gain": scores(0.1, seed=1)}
    arms["gain"][CASES[0]] = arms["gain"][CASES[1]] = arms["target-only"][CASES[5]] = math.nan
    found = compared(arms)["gain"]
    assert (found.undefined_arm, found.undefined_baseline, found.difference.n_undefined) == (2, 1, 3)
    assert found.difference.n_subjects == 14


def test_a_score_over_all_cases_is_compared_by_bootstrap():
    rng = np.random.default_rng(8)
    truth = rng.integers(3, size=80)
    guesses = {
        "target-only": np.where(rng.random(80) < 0.5, truth, rng.integers(3, size=80)),
        "gain": np.where(rng.random(80) < 0.95, truth, rng.integers(3, size=80)),
    }
    statistics = {
        arm: (lambda rows, g=guess: kappa(truth[rows], g[rows], classes=(0, 1, 2))) for arm, guess in guesses.items()
    }
    subjects = [f"person {i // 2}" for i in range(80)]
    known = {"metric": "kappa", "higher_is_better": True, "margin": 0.05, "resamples": 300}
    [found] = compare_statistic(statistics, subjects, baseline="target-only", rng=rng, **known)
    assert found.verdict == "better"
    assert found.p_holm == found.p_bootstrap == found.p < 0.05
    assert math.isnan(found.p_sign_flip)
    assert found.difference.n_subjects == 40
    with pytest.raises(StatisticsError, match="N014"):
        compare_statistic(statistics, subjects, baseline="source-only", rng=rng, **known)


def test_a_baseline_that_is_not_there_is_refused():
    with pytest.raises(StatisticsError, match=r"N014.*target-only"):
        compared({"target-only": scores(0)}, baseline="source-only")


def test_without_adjustment_there_is_no_claim():
    arms = {"target-only": scores(0), "gain": scores(0.1, seed=1)}
    found = compared(arms)["gain"]
    untouched = replace(found, p_holm=math.nan)
    assert verdict(untouched.difference, untouched.p_holm, margin=0.02, higher_is_better=True) == "inconclusive"
