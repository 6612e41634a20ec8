"""FCN scores: how well every pixel of a whole set of images is given its class.

A segmenter that learnt on real images is shown translated ones; the better it does, the more they look like what they
should show. Every image counts alike, whatever its size; for images of one size that is the published count of pixels.
Classes are declared, never guessed from the data; a score that needs one which does not occur is undefined (NaN).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgan.errors import StatisticsError
from medgan.metrics._pair import Mask, check_same_shape

Shares = npt.NDArray[np.float64]


class ClassShares(NamedTuple):
    """Shares of an image's pixels by class, (K,) each; of several images, (N, K).

    Args:
        true: Pixels of the class.
        found: Pixels that were given it.
        agreed: Pixels for which both hold.
    """

    true: Shares
    found: Shares
    agreed: Shares


def class_shares(reference: Mask, predicted: Mask, *, classes: Sequence[int]) -> ClassShares:
    """Shares of the pixels of one image by class.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        classes: All K labels, the background's among them.

    Raises:
        GeometryError: G003, if the shapes differ.
        StatisticsError: N003, if a label is not among the classes.

    Example:
        >>> class_shares(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), classes=(0, 1)).agreed
        array([0.25, 0.5 ])
    """
    check_same_shape(reference, predicted)
    unknown = sorted(set(np.union1d(reference, predicted).tolist()) - set(classes))
    if unknown:
        raise StatisticsError(
            "N003", "a label is not among the classes", got=str(unknown[0]), expected=", ".join(map(str, classes))
        )
    wanted, found = ([labels == label for label in classes] for labels in (reference, predicted))
    both = [one & other for one, other in zip(wanted, found, strict=True)]
    return ClassShares(*(_means(parts) for parts in (wanted, found, both)))


def fcn_pixel_accuracy(reference: Mask, predicted: Mask, *, classes: Sequence[int]) -> float:
    """Share of the pixels that are given their class; where the background is large, it decides.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        classes: All labels, the background's among them.

    Returns:
        Accuracy in [0, 1], unitless; NaN for arrays without pixels.

    Raises:
        GeometryError: G003, if the shapes differ.
        StatisticsError: N003, if a label is not among the classes.

    Source:
        Long et al. 2015, arXiv:1411.4038, section 5; for translations Isola et al. 2017, arXiv:1611.07004, section 3.

    Example:
        >>> fcn_pixel_accuracy(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), classes=(0, 1))
        0.75
    """
    return _pixel_accuracy(class_shares(reference, predicted, classes=classes))


def fcn_class_accuracy(reference: Mask, predicted: Mask, *, classes: Sequence[int]) -> float:
    """Mean over the classes of the share of its pixels that is given it.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        classes: All labels, the background's among them.

    Returns:
        Mean recall in [0, 1], unitless; NaN where the reference lacks one of the classes.

    Raises:
        GeometryError: G003, if the shapes differ.
        StatisticsError: N003, if a label is not among the classes.

    Source:
        Long et al. 2015, arXiv:1411.4038, section 5, "mean accuracy".

    Example:
        >>> round(fcn_class_accuracy(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), classes=(0, 1)), 4)
        0.8333
    """
    return _class_accuracy(class_shares(reference, predicted, classes=classes))


def fcn_class_iou(reference: Mask, predicted: Mask, *, classes: Sequence[int]) -> float:
    """Mean over the classes of intersection over union.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        classes: All labels, the background's among them.

    Returns:
        Mean Jaccard index in [0, 1], unitless; NaN where one of the classes is in neither.

    Raises:
        GeometryError: G003, if the shapes differ.
        StatisticsError: N003, if a label is not among the classes.

    Source:
        Long et al. 2015, arXiv:1411.4038, section 5, "mean IU".

    Example:
        >>> round(fcn_class_iou(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), classes=(0, 1)), 4)
        0.5833
    """
    return _class_iou(class_shares(reference, predicted, classes=classes))


def _pixel_accuracy(shares: ClassShares) -> float:
    return float(shares.agreed.sum())


def _class_accuracy(shares: ClassShares) -> float:
    return _mean_quotient(shares.agreed, shares.true)


def _class_iou(shares: ClassShares) -> float:
    return _mean_quotient(shares.agreed, shares.true + shares.found - shares.agreed)


OF_SHARES: Mapping[str, Callable[[ClassShares], float]] = MappingProxyType(
    {"fcn_pixel_accuracy": _pixel_accuracy, "fcn_class_accuracy": _class_accuracy, "fcn_class_iou": _class_iou}
)
"""The scores by name, as functions of a set's mean shares (K,)."""


def _means(parts: Sequence[npt.NDArray[np.bool_]]) -> Shares:
    return np.array([float(part.mean()) if part.size else math.nan for part in parts])


def _mean_quotient(parts: Shares, wholes: Shares) -> float:
    if not (wholes > 0).all():
        return math.nan
    return float((parts / wholes).mean())
