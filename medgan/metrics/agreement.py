"""Agreement of graded cases: accuracy, F1, kappa, area under the ROC curve.

``classes`` lists the grades in their order; it is never guessed from the data, because a test fold may lack one. A
score that needs a class which does not occur is undefined and comes out as NaN, neither 0 nor the mean of the others.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from medgan.errors import StatisticsError
from medgan.metrics._pair import check_same_length

Labels = npt.NDArray[np.generic] | Sequence[Any]
Classes = Sequence[Any]
Weights = Literal["none", "linear", "quadratic"]


def confusion_matrix(reference: Labels, predicted: Labels, *, classes: Classes) -> npt.NDArray[np.int64]:
    """Count cases by true and predicted class.

    Args:
        reference: True class of each case, shape (N,).
        predicted: Predicted class of each case, shape (N,).
        classes: All K classes, in their order.

    Returns:
        Counts, shape (K, K): rows are the reference, columns the prediction.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes.

    Source:
        Stehman 1997, Remote Sensing of Environment 62:77, doi:10.1016/S0034-4257(97)00083-7.

    Example:
        >>> confusion_matrix([0, 1, 1], [0, 0, 1], classes=(0, 1))
        array([[1, 0],
               [1, 1]])
    """
    rows, columns = _codes(reference, classes=classes), _codes(predicted, classes=classes)
    check_same_length(rows.size, columns.size, names="reference and prediction")
    k = len(classes)
    return np.bincount(rows * k + columns, minlength=k * k).reshape(k, k).astype(np.int64)


def accuracy(reference: Labels, predicted: Labels, *, classes: Classes) -> float:
    """Share of the cases that are classified right.

    Args:
        reference: True class of each case, shape (N,).
        predicted: Predicted class of each case, shape (N,).
        classes: All classes.

    Returns:
        Accuracy in [0, 1], unitless; NaN without cases.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes.

    Source:
        Sokolova and Lapalme 2009, Information Processing and Management 45:427, doi:10.1016/j.ipm.2009.03.002.

    Example:
        >>> accuracy([0, 1, 1, 1], [0, 0, 1, 1], classes=(0, 1))
        0.75
    """
    table = confusion_matrix(reference, predicted, classes=classes)
    return _quotient(np.trace(table), table.sum())


def balanced_accuracy(reference: Labels, predicted: Labels, *, classes: Classes) -> float:
    """Mean over the classes of the share that is found.

    Args:
        reference: True class of each case, shape (N,).
        predicted: Predicted class of each case, shape (N,).
        classes: All classes.

    Returns:
        Mean recall in [0, 1], unitless; NaN where the reference lacks one of the classes.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes.

    Source:
        Brodersen et al. 2010, ICPR, doi:10.1109/ICPR.2010.764.

    Example:
        >>> balanced_accuracy([0, 0, 1, 1], [0, 0, 0, 1], classes=(0, 1))
        0.75
    """
    table = confusion_matrix(reference, predicted, classes=classes)
    return _mean([_quotient(table[k, k], table[k].sum()) for k in range(len(classes))])


def f1_macro(reference: Labels, predicted: Labels, *, classes: Classes) -> float:
    """Mean over the classes of each one's F1, all classes counting alike.

    Args:
        reference: True class of each case, shape (N,).
        predicted: Predicted class of each case, shape (N,).
        classes: All classes.

    Returns:
        F1 in [0, 1], unitless; NaN where a class is in neither the reference nor the prediction.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes.

    Source:
        Sokolova and Lapalme 2009, doi:10.1016/j.ipm.2009.03.002; the mean of F1s, as in Opitz and Burst 2019,
        arXiv:1911.03347.

    Example:
        >>> round(f1_macro([0, 0, 1, 1], [0, 0, 0, 1], classes=(0, 1)), 4)
        0.7333
    """
    table = confusion_matrix(reference, predicted, classes=classes)
    return _mean([_f1(table, k) for k in range(len(classes))])


def f1_binary(reference: Labels, predicted: Labels, *, classes: Classes) -> float:
    """F1 of the second of two classes, the positive one.

    Args:
        reference: True class of each case, shape (N,).
        predicted: Predicted class of each case, shape (N,).
        classes: The negative and the positive class.

    Returns:
        F1 in [0, 1], unitless; NaN where the positive class is in neither the reference nor the prediction.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes; N004, if there are not
            two classes.

    Source:
        van Rijsbergen 1979, Information Retrieval, chapter 7.

    Example:
        >>> f1_binary([0, 0, 1, 1], [0, 0, 0, 1], classes=(0, 1))
        0.6666666666666666
    """
    _check_two(classes)
    return _f1(confusion_matrix(reference, predicted, classes=classes), 1)


def kappa(reference: Labels, predicted: Labels, *, classes: Classes, weights: Weights = "none") -> float:
    """Cohen's kappa: agreement beyond what the two graders' habits would give by chance.

    Args:
        reference: True class of each case, shape (N,).
        predicted: Predicted class of each case, shape (N,).
        classes: All classes; for weights in their order, one step apart.
        weights: What a disagreement costs: ``"none"`` 1 for any, ``"linear"`` the steps, ``"quadratic"`` the steps
            squared.

    Returns:
        Kappa in [-1, 1], unitless; NaN where both use one and the same class only.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes; N005, if the weights
            are none of the three.

    Source:
        Cohen 1960, doi:10.1177/001316446002000104; weighted: Cohen 1968, doi:10.1037/h0026256.

    Example:
        >>> kappa([0, 0, 1, 1], [0, 0, 0, 1], classes=(0, 1))
        0.5
        >>> round(kappa([0, 1, 2, 2], [0, 1, 2, 0], classes=(0, 1, 2), weights="quadratic"), 4)
        0.3846
    """
    table = confusion_matrix(reference, predicted, classes=classes).astype(np.float64)
    steps = np.abs(np.subtract.outer(np.arange(len(classes)), np.arange(len(classes)))).astype(np.float64)
    costs = {"none": (steps > 0).astype(np.float64), "linear": steps, "quadratic": steps**2}
    if weights not in costs:
        raise StatisticsError("N005", "unknown weights of kappa", got=repr(weights), expected=", ".join(costs))
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0))
    expected = float((costs[weights] * by_chance).sum())
    return 1.0 - float((costs[weights] * table).sum()) * float(table.sum()) / expected if expected else math.nan


def auroc_binary(reference: Labels, scores: npt.ArrayLike, *, classes: Classes) -> float:
    """Probability that a positive case scores higher than a negative one; ties count half.

    Args:
        reference: True class of each case, shape (N,).
        scores: Score of the positive class, shape (N,); any increasing scale.
        classes: The negative and the positive class.

    Returns:
        Area under the ROC curve in [0, 1], unitless; NaN where the reference has one class only.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes; N004, if there are not
            two classes; N006, if the scores are not finite or have another shape.

    Source:
        Hanley and McNeil 1982, Radiology 143:29, doi:10.1148/radiology.143.1.7063747.

    Example:
        >>> auroc_binary([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], classes=(0, 1))
        0.75
    """
    _check_two(classes)
    codes = _codes(reference, classes=classes)
    return _auroc(codes == 1, _scores(scores, cases=codes.size, columns=None))


def auroc_macro(reference: Labels, scores: npt.ArrayLike, *, classes: Classes) -> float:
    """Mean over the classes of the area under the ROC curve of that class against the rest.

    Args:
        reference: True class of each case, shape (N,).
        scores: Score of each class, shape (N, K), columns in the order of ``classes``.
        classes: All K classes.

    Returns:
        Mean area in [0, 1], unitless; NaN where the reference lacks one of the classes.

    Raises:
        StatisticsError: N001, if the lengths differ; N003, if a label is not among the classes; N006, if the scores are
            not finite or have another shape.

    Source:
        Provost and Domingos 2000, CeDER working paper IS-00-04, unweighted (each class counts alike).

    Example:
        >>> auroc_macro([0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], classes=(0, 1))
        1.0
    """
    codes = _codes(reference, classes=classes)
    table = _scores(scores, cases=codes.size, columns=len(classes))
    return _mean([_auroc(codes == k, table[:, k]) for k in range(len(classes))])


def _codes(labels: Labels, *, classes: Classes) -> npt.NDArray[np.int64]:
    place = {name: index for index, name in enumerate(classes)}
    found = labels.tolist() if isinstance(labels, np.ndarray) else labels
    codes = [place.get(label, -1) for label in found]
    if -1 in codes:
        raise StatisticsError(
            "N003",
            "a label is not among the classes",
            got=repr(found[codes.index(-1)]),
            expected=", ".join(repr(name) for name in classes),
        )
    return np.array(codes, dtype=np.int64)


def _check_two(classes: Classes) -> None:
    if len(classes) != 2:
        raise StatisticsError(
            "N004", "a binary score needs two classes", got=str(len(classes)), remedy="use the macro score"
        )


def _scores(scores: npt.ArrayLike, *, cases: int, columns: int | None) -> npt.NDArray[np.float64]:
    array = np.asarray(scores, dtype=np.float64)
    check_same_length(cases, len(array), names="reference and scores")
    shape = (cases,) if columns is None else (cases, columns)
    if array.shape != shape or not np.isfinite(array).all():
        raise StatisticsError(
            "N006", "the scores do not fit", got=f"shape {array.shape}", expected=f"finite numbers of shape {shape}"
        )
    return array


def _auroc(positive: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    ranks = float(rankdata(scores)[positive].sum()) if positive.size else 0.0
    return _quotient(ranks - n_positive * (n_positive + 1) / 2, n_positive * n_negative)


def _f1(table: npt.NDArray[np.int64], k: int) -> float:
    return _quotient(2 * table[k, k], table[k].sum() + table[:, k].sum())


def _quotient(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else math.nan


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
