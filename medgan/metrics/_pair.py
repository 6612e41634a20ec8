"""Checks that a reference and a prediction can be compared at all."""

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, StatisticsError

Mask = npt.NDArray[np.integer] | npt.NDArray[np.bool_]
Array = npt.NDArray[np.generic]


def check_same_shape(reference: Array, predicted: Array) -> None:
    """Refuse two arrays on different grids.

    Raises:
        GeometryError: G003, if the shapes differ.

    Example:
        >>> check_same_shape(np.zeros((2, 3)), np.zeros((2, 3)))
    """
    if reference.shape != predicted.shape:
        raise GeometryError(
            "G003",
            "reference and prediction differ in shape",
            got=str(predicted.shape),
            expected=str(reference.shape),
            remedy="resample the prediction to the reference's grid",
        )


def check_same_length(first: int, second: int, *, names: str) -> None:
    """Refuse two sequences that do not run in parallel.

    Raises:
        StatisticsError: N001, if the lengths differ.

    Example:
        >>> check_same_length(3, 3, names="values and subjects")
    """
    if first != second:
        raise StatisticsError("N001", f"{names} differ in length", got=f"{first} and {second}", expected="one each")


def label_masks(reference: Mask, predicted: Mask, *, label: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Where each of two segmentations has a label.

    Args:
        reference: Integer labels, any shape.
        predicted: Integer labels on the same grid.
        label: Label to look for.

    Raises:
        GeometryError: G003, if the shapes differ.
        StatisticsError: N002, if either array is not integer or boolean: a label is never rounded or thresholded here.

    Example:
        >>> label_masks(np.array([0, 2]), np.array([2, 2]), label=2)
        (array([False,  True]), array([ True,  True]))
    """
    check_same_shape(reference, predicted)
    for array, name in ((reference, "reference"), (predicted, "prediction")):
        if array.dtype.kind not in "iub":
            raise StatisticsError(
                "N002",
                f"the {name} does not hold labels",
                got=str(array.dtype),
                expected="integers",
                remedy="threshold probabilities or take their argmax first",
            )
    return reference == label, predicted == label
