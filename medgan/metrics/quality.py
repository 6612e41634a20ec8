"""Quality of a photograph without a reference: sharpness, contrast, evenness of the illumination.

These are physical checks to set beside a learned quality classifier, which may have learned the camera. They rank
photographs of one kind and one size; none of them is a grade by itself, and none knows a lesion from a blemish.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import block_reduce

from medgan.errors import GeometryError, IntensityError

Grey = npt.NDArray[np.generic]
Region = npt.NDArray[np.bool_]
REC_601 = (0.299, 0.587, 0.114)


def luminance(photograph: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Grey values of a photograph, in its own range.

    Args:
        photograph: Shape (3, H, W), RGB, or (1, H, W), grey.

    Returns:
        Shape (H, W).

    Raises:
        GeometryError: G073, if there are not one or three channels first.

    Source:
        ITU-R BT.601-7, section 2.5.1 (weights 0.299, 0.587, 0.114).

    Example:
        >>> luminance(np.full((3, 1, 1), 100, dtype=np.uint8)).round(6)
        array([[100.]])
    """
    if photograph.ndim != 3 or photograph.shape[0] not in (1, 3):
        raise GeometryError("G073", "no photograph", got=str(photograph.shape), expected="(1, H, W) or (3, H, W)")
    if photograph.shape[0] == 1:
        return photograph[0].astype(np.float64)
    return np.tensordot(np.array(REC_601), photograph.astype(np.float64), axes=1)


def sharpness(grey: Grey, *, mask: Region, data_range: float) -> float:
    """Variance of the Laplacian inside a mask: high for crisp detail, and for noise.

    A pixel counts only if its four neighbours lie in the mask too, so that the rim of the field of view adds nothing.

    Args:
        grey: Shape (H, W); see :func:`luminance`.
        mask: Field of view, shape (H, W).
        data_range: Largest minus smallest value that the photograph can have, such as 255.

    Returns:
        Variance in squared parts of the range, at least 0; NaN where the mask has no inside.

    Raises:
        GeometryError: G072, if the mask does not fit.
        IntensityError: I070, if a value inside the mask is not finite; I071, if the range is not positive.

    Source:
        Pech-Pacheco et al. 2000, ICPR, doi:10.1109/ICPR.2000.903548.

    Example:
        >>> checkers = np.indices((8, 8)).sum(axis=0) % 2
        >>> sharpness(checkers, mask=np.ones((8, 8), bool), data_range=1.0)
        16.0
    """
    field = _field(grey, mask, data_range)
    inner = ndimage.binary_erosion(mask)
    return float(ndimage.laplace(field)[inner].var()) if inner.any() else math.nan


def contrast(grey: Grey, *, mask: Region, data_range: float) -> float:
    """Standard deviation of the grey values inside a mask (RMS contrast).

    Args:
        grey: Shape (H, W); see :func:`luminance`.
        mask: Field of view, shape (H, W).
        data_range: Largest minus smallest value that the photograph can have, such as 255.

    Returns:
        Contrast in parts of the range, in [0, 0.5] for values in that range; NaN where the mask is empty.

    Raises:
        GeometryError: G072, if the mask does not fit.
        IntensityError: I070, if a value inside the mask is not finite; I071, if the range is not positive.

    Source:
        Peli 1990, JOSA A 7:2032, doi:10.1364/JOSAA.7.002032.

    Example:
        >>> contrast(np.array([[0, 255], [255, 0]]), mask=np.ones((2, 2), bool), data_range=255)
        0.5
    """
    field = _field(grey, mask, data_range)
    return float(field[mask].std()) if mask.any() else math.nan


def evenness(grey: Grey, *, mask: Region, data_range: float, smoothing: float = 0.1) -> float:
    """Dimmest over brightest part of the illumination inside a mask: 1 for an evenly lit field.

    The illumination is the photograph blurred inside the mask only (weights outside are 0, so that the dark surround
    does not darken the rim); dimmest and brightest are its 5th and 95th percentiles.

    Args:
        grey: Shape (H, W), from 0 up; see :func:`luminance`.
        mask: Field of view, shape (H, W).
        data_range: Largest value that the photograph can have, such as 255.
        smoothing: Sigma of the blur, in parts of the root of the field's area.

    Returns:
        Ratio in [0, 1], unitless; NaN where the mask is empty or all inside it is black.

    Raises:
        GeometryError: G072, if the mask does not fit.
        IntensityError: I070, if a value inside the mask is not finite; I071, if the range is not positive; I072, if a
            value inside it is negative.

    Source:
        A percentile form of the uniformity of illuminance Emin/Emax of lighting practice (EN 12665); blur inside the
        mask by normalised convolution: Knutsson and Westin 1993, CVPR, doi:10.1109/CVPR.1993.341081.

    Example:
        >>> round(evenness(np.full((32, 32), 90), mask=np.ones((32, 32), bool), data_range=255), 6)
        1.0
    """
    field = _field(grey, mask, data_range)
    if not mask.any():
        return math.nan
    if field.min() < 0:
        raise IntensityError(
            "I072", "illumination is defined for values from 0 up", got=f"{field.min() * data_range:g}"
        )
    sigma = smoothing * math.sqrt(np.count_nonzero(mask))
    block = max(1, int(sigma / 4))  # blocks of a quarter sigma change the blur little and make it quick
    light, weight = (
        ndimage.gaussian_filter(block_reduce(array, block, np.sum), sigma / block, mode="constant")
        for array in (field, mask.astype(np.float64))
    )
    seen = block_reduce(mask, block, np.max)
    low, high = np.percentile(light[seen] / weight[seen], (5, 95))
    return float(low / high) if high > 0 else math.nan


def _field(grey: Grey, mask: Region, data_range: float) -> npt.NDArray[np.float64]:
    """The photograph in parts of its range, 0 outside the mask."""
    if grey.ndim != 2 or mask.shape != grey.shape or mask.dtype != np.bool_:
        raise GeometryError(
            "G072",
            "the mask does not fit the photograph",
            got=f"photograph {grey.shape}, mask {mask.dtype} {mask.shape}",
            expected="a boolean mask of the photograph's (H, W)",
        )
    if not 0 < data_range < math.inf:
        raise IntensityError("I071", "the data range is not positive", got=str(data_range))
    field = np.where(mask, grey.astype(np.float64), 0.0) / data_range
    if not np.isfinite(field).all():
        raise IntensityError("I070", "the photograph holds values that are not finite")
    return field
