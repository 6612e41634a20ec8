import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medgan.errors import StatisticsError
from medgan.metrics.significance import holm, sign_flip_p, wilcoxon_p

shares = st.lists(st.floats(0, 1), max_size=6)


@given(shares)
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """An independent form: the largest Bonferroni p of any set of hypotheses that holds this one."""
    n = len(p_values)
    sets = [s for size in range(1, n + 1) for s in itertools.combinations(range(n), size)]
    expected = [max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s) for i in range(n)]
    assert holm(p_values) == pytest.approx(expected)


def test_undefined_p_values_do_not_count():
    assert holm([0.02, math.nan, 0.03]) == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)
    assert holm([]) == []


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_a_p_outside_its_range_is_refused(bad):
    with pytest.raises(StatisticsError, match="N016"):
        holm([0.5, bad])


@pytest.mark.parametrize("n", [1, 2, 5, 9, 12])
def test_the_exact_sign_flip_p_equals_scipy(n):
    values = np.random.default_rng(n).normal(0.5, 1, size=n)
    if n == 1:
        expected = 1.0  # SciPy wants two
    else:
        found = stats.permutation_test(
            (values,),
            lambda x: abs(x.mean()),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=False,
            alternative="greater",
        )
        expected = found.pvalue
    assert sign_flip_p(values, rng=np.random.default_rng(0)) == pytest.approx(expected)


def test_the_random_sign_flip_p_is_near_the_exact_one():
    values = np.random.default_rng(1).normal(0.4, 1, size=16)
    signs = 1 - 2 * ((np.arange(2**16)[:, None] >> np.arange(16)) & 1)
    exact = (np.abs(signs @ values) >= abs(values.sum()) - 1e-12).mean()
    assert sign_flip_p(values, rng=np.random.default_rng(0)) == pytest.approx(exact, abs=0.015)


def test_a_p_is_never_zero():
    assert sign_flip_p(np.ones(5), rng=np.random.default_rng(0)) == 2 / 32
    assert sign_flip_p(np.ones(40), rng=np.random.default_rng(0)) == pytest.approx(1 / 10_001)


@pytest.mark.parametrize("n", [4, 30])
def test_rounding_does_not_hide_a_flip_that_is_as_extreme(n):
    values = np.tile([0.1, 0.2, -0.3, 0.7], n)[:n]
    assert sign_flip_p(values, rng=np.random.default_rng(0)) == sign_flip_p(values * 1e9, rng=np.random.default_rng(0))
    assert sign_flip_p(np.zeros(n), rng=np.random.default_rng(0)) == 1.0


def test_the_size_of_the_sign_flip_test_is_as_promised():
    rng = np.random.default_rng(2)
    rejected = np.mean([sign_flip_p(rng.standard_t(3, size=10), rng=rng) < 0.05 for _ in range(1000)])
    assert rejected == pytest.approx(0.05, abs=0.021)


def test_wilcoxon_leaves_out_zeros_and_is_undefined_without_differences():
    values = [0.3, 0.0, -0.1, 0.5, 0.9, 0.0]
    assert wilcoxon_p(values) == pytest.approx(stats.wilcoxon([0.3, -0.1, 0.5, 0.9], method="exact").pvalue)
    assert math.isnan(wilcoxon_p([0.0, 0.0]))
    assert math.isnan(wilcoxon_p([]))
    assert math.isnan(sign_flip_p([], rng=np.random.default_rng(0)))


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, -1.0], [1.0] * 60, [0.5, 0.5, -0.5] * 20])
def test_wilcoxon_takes_ties_and_small_samples_without_a_warning(values):
    assert 0 < wilcoxon_p(values) <= 1
