"""Intervals of a mean over subjects: one person is one observation, however many images there are of them.

Images of one person resemble each other. An interval over images is too narrow by the root of the design effect, and so
values are averaged within each subject first. Undefined values (NaN) take no part, and are counted in the result.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from medgan.errors import StatisticsError
from medgan.metrics._pair import check_same_length

Floats = npt.NDArray[np.float64]
IntervalKind = Literal["t", "studentised"]
Key = TypeVar("Key", bound=Hashable)
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval.

    Args:
        value: Point estimate; NaN where undefined.
        low: Lower bound; NaN where there are too few subjects for one.
        high: Upper bound; NaN likewise.
        level: Coverage that the interval aims at, such as 0.95.
        n_subjects: Subjects with a defined value: the sample size.
        n_values: Defined values, of images or cases.
        n_undefined: Values that were undefined and took no part.
        method: How the interval was made, in words for a report.
    """

    value: float
    low: float
    high: float
    level: float
    n_subjects: int
    n_values: int
    method: str
    n_undefined: int = 0


def mean_estimate(values: npt.ArrayLike, subjects: Sequence[Hashable], *, level: float = 0.95) -> Estimate:
    """Mean over subjects of each one's mean value, with a t interval.

    Args:
        values: One value per image or case, shape (N,), in any unit; NaN where undefined.
        subjects: The person that each value is of, length N.
        level: Coverage wanted, in (0, 1).

    Returns:
        The mean, with NaN bounds for fewer than two subjects.

    Raises:
        StatisticsError: N001, if the lengths differ; N009, if the level is no share; N010, if a value is infinite.

    Source:
        Student 1908, doi:10.1093/biomet/6.1.1; one summary per subject: Matthews et al. 1990, BMJ 300:230.

    Example:
        >>> found = mean_estimate([0.8, 0.6, 0.9], ["anna", "anna", "bert"])
        >>> round(found.value, 3), found.n_subjects, found.n_values
        (0.8, 2, 3)
    """
    check_level(level)
    array = np.asarray(values, dtype=np.float64)
    means = subject_means(array, subjects)
    low, high = _t_interval(means, level)
    return _estimate(array, means, low, high, level, method="mean over subjects, t interval")


def paired_difference(
    arm: Mapping[Key, float],
    baseline: Mapping[Key, float],
    *,
    subjects: Mapping[Key, Hashable],
    level: float = 0.95,
    interval: IntervalKind = "t",
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Mean over subjects of what an arm gains on the baseline, case by case.

    Args:
        arm: Value of each case, by its key: a case id, or a tuple such as (case id, seed).
        baseline: Value of the same cases.
        subjects: The person that each case is of, for at least these cases.
        level: Coverage wanted, in (0, 1).
        interval: ``"t"``, or ``"studentised"`` for a bootstrap-t over subjects, which bends with skewed differences.
        rng: Random generator, which the bootstrap needs.

    Returns:
        Mean of arm - baseline; pairs with an undefined half are counted as undefined.

    Raises:
        StatisticsError: N009, if the level is no share; N010, if a value is infinite; N011, if the cases differ; N012,
            if the interval is neither, or a bootstrap without a generator.

    Source:
        Student 1908, doi:10.1093/biomet/6.1.1; bootstrap-t: Efron and Tibshirani 1993, An introduction to the
        bootstrap, section 12.5.

    Example:
        >>> subjects = {"c1": "anna", "c2": "anna", "c3": "bert"}
        >>> arm, baseline = {"c1": 3.0, "c2": 5.0, "c3": 2.0}, {"c1": 1.0, "c2": 1.0, "c3": 1.0}
        >>> paired_difference(arm, baseline, subjects=subjects).value
        2.0
    """
    check_level(level)
    differences, people = aligned_differences(arm, baseline, subjects=subjects)
    means = subject_means(differences, people)
    what = "mean paired difference over subjects"
    if interval == "t":
        low, high = _t_interval(means, level)
        return _estimate(differences, means, low, high, level, method=f"{what}, t interval")
    if interval != "studentised" or rng is None:
        raise StatisticsError(
            "N012",
            "the interval cannot be made as asked",
            got=f"interval={interval!r}, rng={rng!r}",
            expected="'t', or 'studentised' with a random generator",
        )
    low, high, left_out = _studentised_interval(means, level, rng)
    method = f"{what}, studentised bootstrap, {RESAMPLES} resamples"
    if left_out:
        method += f", {left_out} without spread left out"
    return _estimate(differences, means, low, high, level, method=method)


def aligned_differences(
    arm: Mapping[Key, float], baseline: Mapping[Key, float], *, subjects: Mapping[Key, Hashable]
) -> tuple[Floats, list[Hashable]]:
    """Arm minus baseline for each case, and the person that the case is of.

    Raises:
        StatisticsError: N011, if the cases of the two differ or one has no subject; N010, if a value is infinite.

    Example:
        >>> aligned_differences({"c1": 3.0}, {"c1": 1.0}, subjects={"c1": "anna"})
        (array([2.]), ['anna'])
    """
    lost = sorted(str(key) for key in {*arm} ^ {*baseline} | {*arm} - {*subjects})
    if lost:
        raise StatisticsError(
            "N011",
            "the cases do not pair up",
            got=f"{len(lost)} cases that the arm, the baseline or the subjects lack, such as {lost[0]}",
            remedy="score both arms on the same cases; an undefined score is NaN, not a missing row",
        )
    pairs = np.array([[arm[key], baseline[key]] for key in arm], dtype=np.float64).reshape(-1, 2)
    _check_not_infinite(pairs)
    return pairs[:, 0] - pairs[:, 1], [subjects[key] for key in arm]


def subject_means(values: npt.ArrayLike, subjects: Sequence[Hashable]) -> Floats:
    """Mean of the defined values of each subject, in order of first appearance; subjects without any are left out.

    Raises:
        StatisticsError: N001, if the lengths differ; N010, if a value is infinite.

    Example:
        >>> subject_means([1.0, 3.0, float("nan"), 5.0], ["anna", "anna", "bert", "cleo"])
        array([2., 5.])
    """
    array = np.asarray(values, dtype=np.float64)
    check_same_length(array.size, len(subjects), names="values and subjects")
    _check_not_infinite(array)
    codes = subject_codes(subjects)
    defined = ~np.isnan(array)
    counts = np.bincount(codes, weights=defined)
    sums = np.bincount(codes, weights=np.where(defined, array, 0.0))
    return sums[counts > 0] / counts[counts > 0]


def subject_codes(subjects: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    """Number the subjects in order of first appearance.

    Example:
        >>> subject_codes(["bert", "anna", "bert"])
        array([0, 1, 0])
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(subject, len(numbers)) for subject in subjects], dtype=np.int64)


def check_level(level: float) -> None:
    """Refuse a coverage that is not strictly between 0 and 1.

    Raises:
        StatisticsError: N009.

    Example:
        >>> check_level(0.95)
    """
    if not 0 < level < 1:
        raise StatisticsError("N009", "the level is no share", got=str(level), expected="a number such as 0.95")


def _estimate(values: Floats, means: Floats, low: float, high: float, level: float, *, method: str) -> Estimate:
    undefined = int(np.isnan(values).sum())
    return Estimate(
        value=float(means.mean()) if means.size else math.nan,
        low=low,
        high=high,
        level=level,
        n_subjects=means.size,
        n_values=values.size - undefined,
        n_undefined=undefined,
        method=f"{method}; {undefined} undefined values left out" if undefined else method,
    )


def _t_interval(means: Floats, level: float) -> tuple[float, float]:
    if means.size < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf((1 + level) / 2, means.size - 1)) * _standard_error(means)
    return float(means.mean()) - half, float(means.mean()) + half


def _studentised_interval(means: Floats, level: float, rng: np.random.Generator) -> tuple[float, float, int]:
    """Bounds, and the number of resamples that had no spread to be divided by."""
    if means.size < 2:
        return math.nan, math.nan, 0
    centre, error = float(means.mean()), _standard_error(means)
    if error == 0:
        return centre, centre, 0
    draws = means[rng.integers(means.size, size=(RESAMPLES, means.size))]
    errors = draws.std(axis=1, ddof=1) / math.sqrt(means.size)
    spread = errors > 1e-9 * error
    ratios = (draws.mean(axis=1)[spread] - centre) / errors[spread]
    low, high = np.quantile(ratios, [(1 + level) / 2, (1 - level) / 2])
    return centre - float(low) * error, centre - float(high) * error, int((~spread).sum())


def _standard_error(means: Floats) -> float:
    return float(means.std(ddof=1)) / math.sqrt(means.size)


def _check_not_infinite(values: Floats) -> None:
    if np.isinf(values).any():
        raise StatisticsError(
            "N010",
            "a value is infinite",
            got=f"{int(np.isinf(values).sum())} of {values.size}",
            remedy="PSNR is infinite for equal images: compare MAE or SSIM, or leave out the arm that is the reference",
        )
