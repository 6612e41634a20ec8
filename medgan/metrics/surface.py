"""Distances between the surfaces of one label in two segmentations.

The surface of a mask is its voxels that touch, over a face, a voxel outside it; what lies beyond the image counts as
outside. Distances run between voxel centres. Where either mask lacks the label there is no distance, and the result is
NaN: how often that happens is for the caller to report, because a model that finds nothing must not look precise.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.errors import GeometryError
from medgan.metrics._pair import Mask, label_masks

Distances = npt.NDArray[np.float64]


def hd95(reference: Mask, predicted: Mask, *, label: int, spacing_mm: Sequence[float]) -> float:
    """95th percentile of the Hausdorff distance: the larger of the two directed percentiles.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.
        spacing_mm: Distance between voxels along each axis, in millimetres. A photograph has none: use :func:`hd95_px`.

    Returns:
        Distance in millimetres, at least 0; NaN where either lacks the label.

    Raises:
        GeometryError: G003, if the shapes differ; G070, if the spacing is not one positive number per axis.

    Source:
        Huttenlocher et al. 1993, IEEE TPAMI 15:850, doi:10.1109/34.232073; the percentile is taken in each direction
        and by linear interpolation, as in Maier-Hein et al. 2024, Nature Methods 21:195.

    Example:
        >>> hd95(np.array([[1, 0, 0]]), np.array([[0, 0, 1]]), label=1, spacing_mm=(1.0, 0.5))
        1.0
    """
    there, back = _surface_distances(reference, predicted, label=label, spacing=_checked(spacing_mm, reference.ndim))
    return _hd95(there, back)


def hd95_px(reference: Mask, predicted: Mask, *, label: int) -> float:
    """As :func:`hd95`, in pixels, for photographs, which have no spacing.

    Args:
        reference: Integer labels, shape (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Distance in pixels, at least 0; NaN where either lacks the label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Huttenlocher et al. 1993, IEEE TPAMI 15:850, doi:10.1109/34.232073.

    Example:
        >>> hd95_px(np.array([[1, 0, 0]]), np.array([[0, 0, 1]]), label=1)
        2.0
    """
    return _hd95(*_surface_distances(reference, predicted, label=label, spacing=(1.0,) * reference.ndim))


def average_surface_distance(reference: Mask, predicted: Mask, *, label: int, spacing_mm: Sequence[float]) -> float:
    """Mean distance from either surface to the other, over all voxels of both (ASSD).

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.
        spacing_mm: Distance between voxels along each axis, in millimetres.

    Returns:
        Distance in millimetres, at least 0; NaN where either lacks the label.

    Raises:
        GeometryError: G003, if the shapes differ; G070, if the spacing is not one positive number per axis.

    Source:
        Heimann et al. 2009, IEEE TMI 28:1251, doi:10.1109/TMI.2009.2013851.

    Example:
        >>> average_surface_distance(np.array([[1, 1, 0]]), np.array([[1, 0, 0]]), label=1, spacing_mm=(1.0, 3.0))
        1.0
    """
    there, back = _surface_distances(reference, predicted, label=label, spacing=_checked(spacing_mm, reference.ndim))
    return _average(there, back)


def average_surface_distance_px(reference: Mask, predicted: Mask, *, label: int) -> float:
    """As :func:`average_surface_distance`, in pixels, for photographs, which have no spacing.

    Args:
        reference: Integer labels, shape (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.

    Returns:
        Distance in pixels, at least 0; NaN where either lacks the label.

    Raises:
        GeometryError: G003, if the shapes differ.

    Source:
        Heimann et al. 2009, IEEE TMI 28:1251, doi:10.1109/TMI.2009.2013851.

    Example:
        >>> average_surface_distance_px(np.array([[1, 1, 0, 0]]), np.array([[1, 1, 0, 0]]), label=1)
        0.0
    """
    return _average(*_surface_distances(reference, predicted, label=label, spacing=(1.0,) * reference.ndim))


def surface_dice(
    reference: Mask, predicted: Mask, *, label: int, spacing_mm: Sequence[float], tolerance_mm: float
) -> float:
    """Share of both surfaces that lies within a tolerance of the other.

    Surface voxels are counted, each as one; the paper weighs them by the area of their surface element.

    Args:
        reference: Integer labels, shape (D, H, W) or (H, W).
        predicted: Integer labels on the same grid.
        label: Label to compare.
        spacing_mm: Distance between voxels along each axis, in millimetres.
        tolerance_mm: Deviation that would not matter clinically, in millimetres, such as that between two raters.

    Returns:
        Share in [0, 1], unitless; 0 where one has the label and the other has not, NaN where neither has.

    Raises:
        GeometryError: G003, if the shapes differ; G070, if the spacing is not one positive number per axis; G071, if
            the tolerance is negative.

    Source:
        Nikolov et al. 2021, JMIR 23:e26151, doi:10.2196/26151.

    Example:
        >>> surface_dice(np.array([[1, 0, 0]]), np.array([[0, 1, 0]]), label=1, spacing_mm=(1.0, 0.5), tolerance_mm=0.5)
        1.0
    """
    if not (tolerance_mm >= 0 and math.isfinite(tolerance_mm)):
        raise GeometryError("G071", "the tolerance is no distance", got=f"{tolerance_mm} mm", expected="0 mm or more")
    there, back = _surface_distances(reference, predicted, label=label, spacing=_checked(spacing_mm, reference.ndim))
    both = np.concatenate([there, back])
    within = both <= tolerance_mm + 1e-9  # three steps of 0.1 mm are a little more than 0.3 mm in binary
    return float(within.mean()) if both.size else math.nan


def _checked(spacing_mm: Sequence[float] | None, axes: int) -> tuple[float, ...]:
    if spacing_mm is None or len(spacing_mm) != axes or not all(0 < step < math.inf for step in spacing_mm):
        raise GeometryError(
            "G070",
            "the spacing does not fit the masks",
            got=str(spacing_mm),
            expected=f"{axes} positive lengths in mm",
            remedy="for a photograph use the metric in pixels (..._px)" if spacing_mm is None else "",
        )
    return tuple(float(step) for step in spacing_mm)


def _surface_distances(
    reference: Mask, predicted: Mask, *, label: int, spacing: tuple[float, ...]
) -> tuple[Distances, Distances]:
    """Distance of each surface voxel to the other surface: (reference to predicted, predicted to reference).

    Infinite where the other has no surface. Both surfaces lie in the bounding box of the union, and outside it neither
    mask has a voxel, so that cropping to it changes neither the erosion nor the distances.
    """
    wanted, found = label_masks(reference, predicted, label=label)
    union = wanted | found
    if not union.any():
        return np.empty(0), np.empty(0)
    [box] = ndimage.find_objects(union.astype(np.int8))
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (wanted[box], found[box])]
    return _distances(surfaces[0], surfaces[1], spacing), _distances(surfaces[1], surfaces[0], spacing)


def _distances(start: npt.NDArray[np.bool_], end: npt.NDArray[np.bool_], spacing: tuple[float, ...]) -> Distances:
    if not end.any():
        return np.full(int(np.count_nonzero(start)), math.inf)
    return np.asarray(ndimage.distance_transform_edt(~end, sampling=spacing)[start], dtype=np.float64)


def _hd95(there: Distances, back: Distances) -> float:
    if not (there.size and back.size):
        return math.nan
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _average(there: Distances, back: Distances) -> float:
    if not (there.size and back.size):
        return math.nan
    return float(np.concatenate([there, back]).mean())
