"""Intervals of scores that are no mean over subjects, such as kappa: subjects are resampled, never images."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from medgan.errors import StatisticsError
from medgan.metrics.interval import RESAMPLES, Estimate, check_level, subject_codes

Indices = npt.NDArray[np.int64]
Statistic = Callable[[Indices], float]
LARGEST_UNDEFINED_SHARE = 0.1


def bootstrap_statistic(
    statistic: Statistic,
    subjects: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Estimate:
    """Percentile interval of a score over all cases.

    Args:
        statistic: Score of the cases at the given rows, which repeat as their subject is drawn again; NaN where it is
            undefined, for example because a class did not occur.
        subjects: The person that each row is of, length N.
        rng: Random generator.
        resamples: How often subjects are drawn.
        level: Coverage wanted, in (0, 1).

    Returns:
        The score of all rows. The bounds are NaN for fewer than two subjects, and where more than a tenth of the
        resamples are undefined: those that remain would then speak for another population. The method counts them.

    Raises:
        StatisticsError: N009, if the level is no share; N013, if there are too few resamples for it.

    Source:
        Efron and Tibshirani 1993, An introduction to the bootstrap, section 13.3; whole clusters are drawn, as in
        Field and Welsh 2007, JRSS B 69:369, doi:10.1111/j.1467-9868.2007.00593.x.

    Example:
        >>> right = np.array([1, 1, 0, 1, 0, 1])
        >>> share = lambda rows: float(right[rows].mean())
        >>> found = bootstrap_statistic(share, ["a", "a", "b", "c", "d", "e"], rng=np.random.default_rng(0))
        >>> round(found.value, 3), found.n_subjects, found.low < found.value < found.high
        (0.667, 5, True)
    """
    _check(resamples, level)
    scores = np.array([statistic(rows) for rows in _drawn_rows(subjects, rng, resamples)])
    return _estimate(statistic(np.arange(len(subjects))), scores, subjects, level, what="score")


def bootstrap_difference(
    statistic_a: Statistic,
    statistic_b: Statistic,
    subjects: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> tuple[Estimate, float]:
    """Percentile interval of the difference of two scores on the same cases, and its p.

    Args:
        statistic_a: Score of the arm, as in :func:`bootstrap_statistic`.
        statistic_b: Score of the baseline; row i is the same case in both, and each draw goes to both.
        subjects: The person that each row is of, length N.
        rng: Random generator.
        resamples: How often subjects are drawn.
        level: Coverage wanted, in (0, 1).

    Returns:
        The difference a - b, and the two-sided p: twice the smaller share of resampled differences on either side of 0
        (itself included), with 1 added to count and number. NaN where the bounds are NaN.

    Raises:
        StatisticsError: N009, if the level is no share; N013, if there are too few resamples for it.

    Source:
        Efron and Tibshirani 1993, An introduction to the bootstrap, sections 13.3 and 15.4; adding 1: Davison and
        Hinkley 1997, Bootstrap methods, section 4.2.

    Example:
        >>> a, b = np.array([1, 1, 1, 1, 0]), np.array([0, 1, 0, 1, 0])
        >>> subjects = ["anna", "bert", "cleo", "dora", "emil"]
        >>> found, p = bootstrap_difference(
        ...     lambda rows: a[rows].mean(), lambda rows: b[rows].mean(), subjects, rng=np.random.default_rng(0))
        >>> round(found.value, 3), 0 < p < 1
        (0.4, True)
    """
    _check(resamples, level)
    everything = np.arange(len(subjects))
    differences = np.array(
        [statistic_a(rows) - statistic_b(rows) for rows in _drawn_rows(subjects, rng, resamples)], dtype=np.float64
    )
    value = statistic_a(everything) - statistic_b(everything)
    estimate = _estimate(value, differences, subjects, level, what="paired difference")
    if math.isnan(estimate.low):
        return estimate, math.nan
    defined = differences[~np.isnan(differences)]
    smaller = min(int(np.count_nonzero(defined <= 0)), int(np.count_nonzero(defined >= 0)))
    return estimate, min(1.0, 2.0 * (1 + smaller) / (1 + defined.size))


def _drawn_rows(subjects: Sequence[Hashable], rng: np.random.Generator, resamples: int) -> Iterator[Indices]:
    codes = subject_codes(subjects)
    n = int(codes.max()) + 1 if codes.size else 0
    if n < 2:
        return
    order = np.argsort(codes, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    for _ in range(resamples):
        yield np.concatenate([rows[drawn] for drawn in rng.integers(n, size=n)])


def _estimate(
    value: float, scores: npt.NDArray[np.float64], subjects: Sequence[Hashable], level: float, *, what: str
) -> Estimate:
    undefined = int(np.isnan(scores).sum())
    low = high = math.nan
    if scores.size and undefined <= LARGEST_UNDEFINED_SHARE * scores.size and not math.isnan(value):
        low, high = (float(q) for q in np.nanquantile(scores, [(1 - level) / 2, (1 + level) / 2]))
    method = f"{what}, percentile bootstrap over subjects, {scores.size} resamples"
    return Estimate(
        value=float(value),
        low=low,
        high=high,
        level=level,
        n_subjects=len(set(subjects)),
        n_values=len(subjects),
        method=f"{method}; undefined in {undefined}" if undefined else method,
    )


def _check(resamples: int, level: float) -> None:
    check_level(level)
    if resamples * (1 - level) / 2 < 1:
        raise StatisticsError(
            "N013", "too few resamples", got=str(resamples), expected=f"at least {math.ceil(2 / (1 - level))}"
        )
