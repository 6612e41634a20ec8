"""Overlap of one label in two segmentations.

Every function takes integer labels of any shape, (H, W) or (D, H, W), on one grid, and counts voxels. A score whose
denominator is empty is undefined and comes out as NaN: a case without the structure neither earns nor loses points.
"""

import math
from typing import NamedTuple

import numpy as np

from medgan.metrics._pair import Mask, label_masks

JACCARD_THRESHOLD = 0.65


class Counts(NamedTuple):
    """Voxels by agreement on one label."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def counts(reference: Mask, predicted: Mask, *, label: int) -> Counts:
    """Count agreement and disagreement on one label.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare; all others count as background.

    Raises:
        GeometryError: G003, if the shapes differ.
        StatisticsError: N002, if an array does not hold integers.

    Source:
        Taha and Hanbury 2015, BMC Medical Imaging 15:29, section 3.1, doi:10.1186/s12880-015-0068-x.

    Example:
        >>> counts(np.array([1, 1, 0]), np.array([1, 0, 0]), label=1)
        Counts(true_positive=1, false_positive=0, false_negative=1, true_negative=1)
    """
    wanted, found = label_masks(reference, predicted, label=label)
    both = int(np.count_nonzero(wanted & found))
    in_reference, in_predicted = int(np.count_nonzero(wanted)), int(np.count_nonzero(found))
    return Counts(
        true_positive=both,
        false_positive=in_predicted - both,
        false_negative=in_reference - both,
        true_negative=wanted.size - in_reference - in_predicted + both,
    )


def dice(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Twice the intersection over the sum of both sizes.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Dice in [0, 1], unitless; NaN where neither has the label, 0 where one has.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Dice 1945, Ecology 26:297, doi:10.2307/1932409.

    Example:
        >>> dice(np.array([[1, 1]]), np.array([[1, 0]]), label=1)
        0.6666666666666666
    """
    n = counts(reference, predicted, label=label)
    return _ratio(2 * n.true_positive, 2 * n.true_positive + n.false_positive + n.false_negative)


def jaccard(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Intersection over union.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Jaccard index in [0, 1], unitless; NaN where neither has the label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Jaccard 1912, New Phytologist 11:37, doi:10.1111/j.1469-8137.1912.tb05611.x.

    Example:
        >>> jaccard(np.array([[1, 1]]), np.array([[1, 0]]), label=1)
        0.5
    """
    n = counts(reference, predicted, label=label)
    return _ratio(n.true_positive, n.true_positive + n.false_positive + n.false_negative)


def thresholded_jaccard(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Jaccard index that counts as 0 below 0.65, where the segmentation is taken for a failure (TJA).

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        0 or a Jaccard index in [0.65, 1], unitless; NaN where neither has the label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Codella et al. 2019, "Skin lesion analysis toward melanoma detection 2018", arXiv:1902.03368.

    Example:
        >>> thresholded_jaccard(np.array([[1, 1, 1, 0]]), np.array([[1, 1, 0, 0]]), label=1)
        0.6666666666666666
        >>> thresholded_jaccard(np.array([[1, 1, 0, 0]]), np.array([[1, 0, 0, 0]]), label=1)
        0.0
    """
    index = jaccard(reference, predicted, label=label)
    return 0.0 if index < JACCARD_THRESHOLD else index


def pixel_accuracy(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Share of pixels on whose having the label both agree; background counts, so small structures score high.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Accuracy in [0, 1], unitless; NaN for arrays without pixels.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Taha and Hanbury 2015, BMC Medical Imaging 15:29, doi:10.1186/s12880-015-0068-x.

    Example:
        >>> pixel_accuracy(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), label=1)
        0.75
    """
    n = counts(reference, predicted, label=label)
    return _ratio(n.true_positive + n.true_negative, sum(n))


def sensitivity(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Share of the reference's label that was found (recall).

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Sensitivity in [0, 1], unitless; NaN where the reference lacks the label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Taha and Hanbury 2015, BMC Medical Imaging 15:29, doi:10.1186/s12880-015-0068-x.

    Example:
        >>> sensitivity(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1]), label=1)
        0.5
    """
    n = counts(reference, predicted, label=label)
    return _ratio(n.true_positive, n.true_positive + n.false_negative)


def specificity(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Share of the reference's background that was left alone.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare; all others are background.

    Returns:
        Specificity in [0, 1], unitless; NaN where the reference is all label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Taha and Hanbury 2015, BMC Medical Imaging 15:29, doi:10.1186/s12880-015-0068-x.

    Example:
        >>> specificity(np.array([1, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 0]), label=1)
        0.75
    """
    n = counts(reference, predicted, label=label)
    return _ratio(n.true_negative, n.true_negative + n.false_positive)


def precision(reference: Mask, predicted: Mask, *, label: int) -> float:
    """Share of the predicted label that is right (positive predictive value).

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Precision in [0, 1], unitless; NaN where the prediction lacks the label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Taha and Hanbury 2015, BMC Medical Imaging 15:29, doi:10.1186/s12880-015-0068-x.

    Example:
        >>> precision(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1]), label=1)
        0.5
    """
    n = counts(reference, predicted, label=label)
    return _ratio(n.true_positive, n.true_positive + n.false_positive)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
