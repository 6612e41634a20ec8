"""Arms against a baseline: paired difference, p adjusted for their number, and a verdict against a margin."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from medgan.errors import StatisticsError
from medgan.metrics.bootstrap import Statistic, bootstrap_difference
from medgan.metrics.interval import (
    RESAMPLES,
    Estimate,
    IntervalKind,
    Key,
    aligned_differences,
    paired_difference,
    subject_means,
)
from medgan.metrics.significance import holm, sign_flip_p, wilcoxon_p

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One arm against the baseline in one metric.

    Args:
        metric: Name of the metric.
        arm: Name of the arm.
        baseline: Name of what it is compared with.
        difference: Arm minus baseline, in the unit of the metric.
        p_sign_flip: Two-sided p of the sign-flip test; NaN where a bootstrap was used instead.
        p_wilcoxon: Two-sided p of Wilcoxon's signed ranks, to set beside it; NaN where undefined.
        p_bootstrap: Two-sided p of the bootstrap, for scores that are no mean over subjects; else NaN.
        p_holm: The sign-flip (or bootstrap) p, adjusted; NaN until :func:`adjusted` has seen the whole family.
        margin: Difference that would not matter, in the unit of the metric; None where the study declares none.
        higher_is_better: Whether a positive difference is a gain.
        undefined_arm: Values of the arm that are undefined. A model that finds nothing has no surface distance: read
            a verdict together with these.
        undefined_baseline: Values of the baseline that are undefined.
        verdict: See :func:`verdict`.
    """

    metric: str
    arm: str
    baseline: str
    difference: Estimate
    p_sign_flip: float = math.nan
    p_wilcoxon: float = math.nan
    p_bootstrap: float = math.nan
    p_holm: float = math.nan
    margin: float | None
    higher_is_better: bool
    undefined_arm: int = 0
    undefined_baseline: int = 0
    verdict: Verdict = "inconclusive"

    @property
    def p(self) -> float:
        """The p that enters Holm's procedure: of the sign flips, or of the bootstrap where there are none."""
        return self.p_bootstrap if math.isnan(self.p_sign_flip) else self.p_sign_flip


def compare(
    arms: Mapping[str, Mapping[Key, float]],
    *,
    baseline: str,
    subjects: Mapping[Key, Hashable],
    metric: str,
    higher_is_better: bool,
    margin: float | None,
    rng: np.random.Generator,
    level: float = 0.95,
    interval: IntervalKind = "t",
) -> list[Comparison]:
    """Compare every arm with the baseline in one metric, adjusted for their number.

    Args:
        arms: Values of each arm, the baseline among them, by case key; NaN where undefined.
        baseline: Name of the arm that the others are compared with.
        subjects: The person that each case is of.
        metric: Name of the metric, for the result.
        higher_is_better: Whether a positive difference is a gain.
        margin: Difference that would not matter, in the unit of the metric.
        rng: Random generator.
        level: Coverage of the intervals, in (0, 1).
        interval: As in :func:`medgan.metrics.interval.paired_difference`.

    Returns:
        One comparison per other arm, in their order. For a family of several metrics, pass all to :func:`adjusted`.

    Raises:
        StatisticsError: N011, if the cases differ between arms; N014, if the baseline is not among the arms; N015, if
            the margin is not positive.

    Source:
        Means per subject with sign flips: Good 2005, Permutation, parametric and bootstrap tests of hypotheses, ch. 3;
        several arms against one: Holm 1979, Scandinavian Journal of Statistics 6:65.

    Example:
        >>> cases = [f"case{i}" for i in range(8)]
        >>> arms = {"target-only": {case: 0.70 for case in cases},
        ...         "+translated": {case: 0.75 + 0.01 * int(case[-1]) for case in cases}}
        >>> [found] = compare(arms, baseline="target-only", subjects={c: c for c in cases}, metric="dice",
        ...                   higher_is_better=True, margin=0.02, rng=np.random.default_rng(0))
        >>> round(found.difference.value, 3), found.p_holm, found.verdict
        (0.085, 0.0078125, 'better')
    """
    if baseline not in arms:
        raise StatisticsError("N014", f"no arm named {baseline!r}", expected="one of " + ", ".join(arms))
    found = []
    for name, values in arms.items():
        if name == baseline:
            continue
        differences, people = aligned_differences(values, arms[baseline], subjects=subjects)
        means = subject_means(differences, people)
        found.append(
            Comparison(
                metric=metric,
                arm=name,
                baseline=baseline,
                difference=paired_difference(
                    values, arms[baseline], subjects=subjects, level=level, interval=interval, rng=rng
                ),
                p_sign_flip=sign_flip_p(means, rng=rng),
                p_wilcoxon=wilcoxon_p(means),
                margin=margin,
                higher_is_better=higher_is_better,
                undefined_arm=_undefined(values),
                undefined_baseline=_undefined(arms[baseline]),
            )
        )
    return adjusted(found)


def compare_statistic(
    statistics: Mapping[str, Statistic],
    subjects: Sequence[Hashable],
    *,
    baseline: str,
    metric: str,
    higher_is_better: bool,
    margin: float | None,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> list[Comparison]:
    """As :func:`compare`, for a score over all cases, such as kappa, by bootstrap over subjects.

    Args:
        statistics: Score of each arm on given rows, the baseline's among them; row i is the same case in all.
        subjects: The person that each row is of.
        baseline: Name of the arm that the others are compared with.
        metric: Name of the metric, for the result.
        higher_is_better: Whether a positive difference is a gain.
        margin: Difference that would not matter, in the unit of the metric.
        rng: Random generator.
        resamples: How often subjects are drawn.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        One comparison per other arm, in their order, adjusted for their number.

    Raises:
        StatisticsError: N013, if there are too few resamples; N014, if the baseline is not among the arms; N015, if the
            margin is not positive.

    Source:
        Efron and Tibshirani 1993, An introduction to the bootstrap, section 13.3; Holm 1979, Scand. J. Statist. 6:65.

    Example:
        >>> right = {"target-only": np.array([1, 0, 0, 1, 0, 1]), "+translated": np.array([1, 1, 0, 1, 1, 1])}
        >>> scores = {arm: (lambda rows, r=r: float(r[rows].mean())) for arm, r in right.items()}
        >>> [found] = compare_statistic(scores, list("abcdef"), baseline="target-only", metric="accuracy",
        ...                             higher_is_better=True, margin=None, rng=np.random.default_rng(0))
        >>> round(found.difference.value, 3), found.verdict
        (0.333, 'inconclusive')
    """
    if baseline not in statistics:
        raise StatisticsError("N014", f"no arm named {baseline!r}", expected="one of " + ", ".join(statistics))
    found = []
    for name, statistic in statistics.items():
        if name == baseline:
            continue
        difference, p = bootstrap_difference(
            statistic, statistics[baseline], subjects, rng=rng, resamples=resamples, level=level
        )
        found.append(
            Comparison(
                metric=metric,
                arm=name,
                baseline=baseline,
                difference=difference,
                p_bootstrap=p,
                margin=margin,
                higher_is_better=higher_is_better,
            )
        )
    return adjusted(found)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Adjust a family of comparisons by Holm and decide each verdict anew; to do so twice changes nothing.

    Raises:
        StatisticsError: N015, if a margin is not positive.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65.

    Example:
        >>> adjusted([])
        []
    """
    family = holm([comparison.p for comparison in comparisons])
    return [
        replace(
            comparison,
            p_holm=p,
            verdict=verdict(
                comparison.difference,
                p,
                margin=comparison.margin,
                higher_is_better=comparison.higher_is_better,
            ),
        )
        for comparison, p in zip(comparisons, family, strict=True)
    ]


def verdict(difference: Estimate, p: float, *, margin: float | None, higher_is_better: bool) -> Verdict:
    """Say what a difference means.

    *Equivalent* if the interval lies wholly inside ±margin, even where it excludes 0: such a difference does not
    matter. With 95 % intervals this is stricter than two one-sided tests at 5 %, which use the 90 % interval. *Better*
    or *worse* if the interval excludes 0 and p < 1 - level. Otherwise *inconclusive*, which is not the same as equal.

    Args:
        difference: Arm minus baseline.
        p: Its p value, adjusted for the family.
        margin: Difference that would not matter, in the unit of the metric; None where the study declares none.
        higher_is_better: Whether a positive difference is a gain.

    Raises:
        StatisticsError: N015, if the margin is not positive.

    Source:
        Piaggio et al. 2012 (CONSORT for equivalence trials), JAMA 308:2594, doi:10.1001/jama.2012.87802, figure 1.

    Example:
        >>> gain = Estimate(value=0.05, low=0.01, high=0.09, level=0.95, n_subjects=20, n_values=20, method="t")
        >>> verdict(gain, 0.01, margin=0.02, higher_is_better=True)
        'better'
        >>> verdict(gain, 0.01, margin=0.1, higher_is_better=True)
        'equivalent'
    """
    if margin is not None and not 0 < margin < math.inf:
        raise StatisticsError("N015", "the margin is not positive", got=str(margin))
    if math.isnan(difference.low) or math.isnan(difference.high):
        return "inconclusive"
    if margin is not None and -margin < difference.low and difference.high < margin:
        return "equivalent"
    excludes_zero = difference.low > 0 or difference.high < 0
    if not (excludes_zero and p < round(1 - difference.level, 12)):
        return "inconclusive"
    return "better" if (difference.low > 0) == higher_is_better else "worse"


def _undefined(values: Mapping[Key, float]) -> int:
    return sum(math.isnan(value) for value in values.values())
