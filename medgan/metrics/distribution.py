"""Distance between two sets of images: Fréchet, kernel and sliced distance of features, Wasserstein of intensities.

The features are the caller's, and their name belongs beside every number: a distance of one network's features says
nothing about another's.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import wasserstein_distance

from medgan.errors import StatisticsError

Features = npt.NDArray[np.floating]


def frechet_distance(features_a: Features, features_b: Features) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to two sets of features.

    With few samples it is biased upward: compare it only at equal numbers, and beside the distance of two halves of the
    real images.

    Args:
        features_a: One row per image, shape (N, F).
        features_b: One row per image, shape (M, F).

    Returns:
        Distance in squared units of the features, at least 0; NaN where a set has fewer than two images.

    Raises:
        StatisticsError: N007, if the features are not two finite tables of one width.

    Source:
        Heusel et al. 2017, arXiv:1706.08500, equation 6. The trace of the covariances' root is found as the nuclear
        norm of the product of the centred features, which needs no matrix root and is exact with fewer images than
        features, where the covariances are singular.

    Example:
        >>> a = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> round(frechet_distance(a, a + 3.0), 6)
        18.0
    """
    _check_features(features_a, features_b)
    if min(len(features_a), len(features_b)) < 2:
        return math.nan
    mean_a, factor_a = _mean_and_factor(features_a)
    mean_b, factor_b = _mean_and_factor(features_b)
    root_trace = np.linalg.norm(factor_a @ factor_b.T, ord="nuc")
    traces = np.square(factor_a).sum() + np.square(factor_b).sum()
    return max(float(np.square(mean_a - mean_b).sum() + traces - 2.0 * root_trace), 0.0)


def kernel_distance(features_a: Features, features_b: Features) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x·y / F + 1)³.

    All pairs are used, where the paper averages over blocks; its expected value is the same, and 0 for equal
    distributions, so that it also falls below 0.

    Args:
        features_a: One row per image, shape (N, F).
        features_b: One row per image, shape (M, F).

    Returns:
        Distance, unitless; NaN where a set has fewer than two images.

    Raises:
        StatisticsError: N007, if the features are not two finite tables of one width.

    Source:
        Bińkowski et al. 2018, arXiv:1801.01401 (KID).

    Example:
        >>> a, b = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
        >>> kernel_distance(a, b)
        9.5
    """
    _check_features(features_a, features_b)
    if min(len(features_a), len(features_b)) < 2:
        return math.nan
    a, b = features_a.astype(np.float64), features_b.astype(np.float64)
    width = a.shape[1]
    within = [_mean_off_diagonal((x @ x.T / width + 1.0) ** 3) for x in (a, b)]
    between = float(((a @ b.T / width + 1.0) ** 3).mean())
    return sum(within) - 2.0 * between


def histogram_distance(values_a: npt.ArrayLike, values_b: npt.ArrayLike) -> float:
    """Work needed to turn one distribution of intensities into the other (Wasserstein-1), without bins.

    Args:
        values_a: Intensities, any shape; masked by the caller.
        values_b: Intensities in the same unit, any shape and number.

    Returns:
        Distance in the unit of the intensities, at least 0; NaN where a set is empty.

    Raises:
        StatisticsError: N008, if a value is not finite.

    Source:
        Rubner et al. 2000, IJCV 40:99, doi:10.1023/A:1026543900054.

    Example:
        >>> histogram_distance([0, 0, 10], [5, 5, 15])
        5.0
    """
    pair = [np.asarray(values, dtype=np.float64).ravel() for values in (values_a, values_b)]
    if not all(np.isfinite(values).all() for values in pair):
        raise StatisticsError("N008", "an intensity is not finite", remedy="mask it")
    if not all(values.size for values in pair):
        return math.nan
    return float(wasserstein_distance(*pair))


def sliced_wasserstein(features_a: Features, features_b: Features, *, directions: Features) -> float:
    """Mean over directions of the Wasserstein-1 distance of two sets of features projected on each.

    Args:
        features_a: One row per patch or image, shape (N, F).
        features_b: One row per patch or image, shape (M, F).
        directions: One unit vector per row, shape (P, F); the same ones for all distances that are compared.

    Returns:
        Distance in the unit of the features, at least 0; NaN where a set is empty.

    Raises:
        StatisticsError: N007, if features and directions are not finite tables of one width.

    Source:
        Rabin et al. 2011, SSVM, doi:10.1007/978-3-642-24785-9_37; of patches: Karras et al. 2018, arXiv:1710.10196.

    Example:
        >>> a = np.array([[0.0, 0.0], [1.0, 0.0]])
        >>> sliced_wasserstein(a, a + [2.0, 0.0], directions=np.eye(2))
        1.0
    """
    _check_features(features_a, features_b)
    _check_features(directions, features_b)
    if not (len(features_a) and len(features_b)):
        return math.nan
    projected = [np.asarray(table, dtype=np.float64) @ directions.T for table in (features_a, features_b)]
    pairs = zip(projected[0].T, projected[1].T, strict=True)
    return float(np.mean([wasserstein_distance(one, other) for one, other in pairs]))


def _mean_and_factor(features: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean, and a matrix R with R^T R the covariance; at most as many rows as there are features."""
    table = features.astype(np.float64)
    mean = table.mean(axis=0)
    factor = (table - mean) / math.sqrt(len(table) - 1)
    if factor.shape[0] > factor.shape[1]:
        factor = np.asarray(np.linalg.qr(factor, mode="r"))
    return mean, factor


def _mean_off_diagonal(kernel: npt.NDArray[np.float64]) -> float:
    n = len(kernel)
    return float(kernel.sum() - np.trace(kernel)) / (n * (n - 1))


def _check_features(features_a: Features, features_b: Features) -> None:
    for features in (features_a, features_b):
        if features.ndim != 2 or features.shape[1] != features_b.shape[-1] or not np.isfinite(features).all():
            raise StatisticsError(
                "N007",
                "the features do not fit",
                got=f"shapes {features_a.shape} and {features_b.shape}",
                expected="two finite tables, one row per image, of one width",
            )
