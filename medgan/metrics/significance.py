"""p values of paired differences, one per subject, and Holm's adjustment of a family of p values."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from medgan.errors import StatisticsError

EXACT_UP_TO = 12
FLIPS = 10_000


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values so that the chance of any false claim among them stays at the level of one.

    Args:
        p_values: One per comparison; NaN where undefined.

    Returns:
        Adjusted values in the same order; NaN stays NaN and does not count as a comparison.

    Raises:
        StatisticsError: N016, if a value is outside [0, 1].

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65.

    Example:
        >>> holm([0.01, 0.04, 0.03, float("nan")])
        [0.03, 0.06, 0.06, nan]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise StatisticsError("N016", "a p value is outside [0, 1]", got=str(list(p_values)))
    order = np.argsort(p, kind="stable")[: int((~np.isnan(p)).sum())]
    result = np.full(p.size, math.nan)
    result[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)))
    return [float(value) for value in result]


def sign_flip_p(differences: npt.ArrayLike, *, rng: np.random.Generator) -> float:
    """Two-sided p of the mean, if each subject's difference could as well have had the other sign.

    All 2^n flips up to 12 subjects, else 10,000 random ones, with 1 added to count and number. The smallest p that n
    subjects allow is 2^(1-n): with five it cannot go below 0.0625.

    Args:
        differences: One mean difference per subject, shape (N,).
        rng: Random generator; unused where all flips are tried.

    Returns:
        p in (0, 1]; NaN without subjects.

    Source:
        Fisher 1935, The design of experiments, section 21; Phipson and Smyth 2010, doi:10.2202/1544-6115.1585.

    Example:
        >>> sign_flip_p([0.2, 0.1, 0.3, 0.4], rng=np.random.default_rng(0))
        0.125
    """
    values = np.asarray(differences, dtype=np.float64)
    n = values.size
    if n == 0:
        return math.nan
    exact = n <= EXACT_UP_TO
    if exact:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = 1 - 2 * rng.integers(2, size=(FLIPS, n), dtype=np.int8)
    reached = abs(values.sum()) - 1e-12 * np.abs(values).sum()  # sums of the same numbers differ by rounding
    extreme = int(np.count_nonzero(np.abs(signs @ values) >= reached))
    return extreme / len(signs) if exact else (1 + extreme) / (1 + len(signs))


def wilcoxon_p(differences: npt.ArrayLike) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; differences of 0 are left out.

    Args:
        differences: One mean difference per subject, shape (N,).

    Returns:
        p in (0, 1]; NaN where no subject differs.

    Source:
        Wilcoxon 1945, Biometrics Bulletin 1:80, doi:10.2307/3001968.

    Example:
        >>> wilcoxon_p([0.2, 0.1, 0.3, 0.4])
        0.125
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    return float(stats.wilcoxon(values).pvalue) if values.size else math.nan
