"""Likeness of a translated image to the true one of the same patient.

Papers differ in the range, the mask and the crop that they use, and such scores do not compare: the range is required
here, and the mask is always the caller's. Images are (H, W) or (D, H, W), or have a channel axis, which is then named.
"""

import math

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from medgan.errors import GeometryError, IntensityError
from medgan.metrics._pair import Array, check_same_shape

Region = npt.NDArray[np.bool_]
SSIM_WINDOW = 11


def mae(reference: Array, predicted: Array, *, mask: Region | None = None, channel_axis: int | None = None) -> float:
    """Mean absolute error.

    Args:
        reference: True image, shape (H, W) or (D, H, W), with a channel axis or without, in any unit.
        predicted: Translated image of the same shape, in the same unit.
        mask: Where to compare, shape of the image without its channel axis; everywhere by default.
        channel_axis: Axis of the channels, such as 0 for (C, H, W); None for grey.

    Returns:
        Error in the unit of the images, at least 0; NaN where the mask is empty.

    Raises:
        GeometryError: G003, if the shapes differ; G072, if the mask does not fit.
        IntensityError: I070, if a value inside the mask is not finite.

    Source:
        Willmott and Matsuura 2005, Climate Research 30:79, doi:10.3354/cr030079; the SynthRAD challenges take
        it in HU inside the body.

    Example:
        >>> mae(np.array([[0, 10]]), np.array([[0, 16]]))
        3.0
    """
    difference = _difference(reference, predicted, mask=mask, channel_axis=channel_axis)
    return float(np.abs(difference).mean()) if difference.size else math.nan


def rmse(reference: Array, predicted: Array, *, mask: Region | None = None, channel_axis: int | None = None) -> float:
    """Root of the mean squared error.

    Args:
        reference: True image, shape (H, W) or (D, H, W), with a channel axis or without, in any unit.
        predicted: Translated image of the same shape, in the same unit.
        mask: Where to compare, shape of the image without its channel axis; everywhere by default.
        channel_axis: Axis of the channels, such as 0 for (C, H, W); None for grey.

    Returns:
        Error in the unit of the images, at least 0; NaN where the mask is empty.

    Raises:
        GeometryError: G003, if the shapes differ; G072, if the mask does not fit.
        IntensityError: I070, if a value inside the mask is not finite.

    Source:
        Chai and Draxler 2014, Geoscientific Model Development 7:1247, doi:10.5194/gmd-7-1247-2014.

    Example:
        >>> rmse(np.array([[0, 0, 0, 0]]), np.array([[0, 0, 0, 6]]))
        3.0
    """
    difference = _difference(reference, predicted, mask=mask, channel_axis=channel_axis)
    return math.sqrt(float(np.square(difference).mean())) if difference.size else math.nan


def psnr(
    reference: Array,
    predicted: Array,
    *,
    data_range: float,
    mask: Region | None = None,
    channel_axis: int | None = None,
) -> float:
    """Peak signal-to-noise ratio.

    Args:
        reference: True image, shape (H, W) or (D, H, W), with a channel axis or without, in any unit.
        predicted: Translated image of the same shape, in the same unit.
        data_range: Largest minus smallest value that the images can have, in that unit: 255 for 8 bits, the width of
            the window in HU; not that of this one image, which would make images incomparable.
        mask: Where to compare, shape of the image without its channel axis; everywhere by default.
        channel_axis: Axis of the channels, such as 0 for (C, H, W); None for grey.

    Returns:
        Ratio in dB; infinite for equal images, NaN where the mask is empty.

    Raises:
        GeometryError: G003, if the shapes differ; G072, if the mask does not fit.
        IntensityError: I070, if a value inside the mask is not finite; I071, if the range is not positive.

    Source:
        Huynh-Thu and Ghanbari 2008, Electronics Letters 44:800, doi:10.1049/el:20080522.

    Example:
        >>> psnr(np.array([[0.0, 0.0]]), np.array([[0.1, 0.1]]), data_range=1.0)
        20.0
    """
    _check_range(data_range)
    error = rmse(reference, predicted, mask=mask, channel_axis=channel_axis)
    if error == 0:
        return math.inf
    return 20.0 * math.log10(data_range / error)


def ssim(
    reference: Array,
    predicted: Array,
    *,
    data_range: float,
    mask: Region | None = None,
    channel_axis: int | None = None,
) -> float:
    """Mean structural similarity, with the settings of its paper.

    The window is a Gaussian of sigma 1.5 and 11 pixels, K1 is 0.01, K2 is 0.03. Only windows that lie wholly inside the
    image count, so that a mask of ones gives what no mask gives. The map is that of the whole images: a value beside
    the edge of the mask is also made of what lies up to 5 pixels outside it.

    Args:
        reference: True image, shape (H, W) or (D, H, W), with a channel axis or without; no value below 0: shift HU by
            the lower end of the window, and [-1, 1] by 1, because the luminance term means nothing otherwise.
        predicted: Translated image of the same shape, in the same unit.
        data_range: Largest value that the images can have, in that unit.
        mask: Where to average the map, shape of the image without its channel axis; everywhere by default.
        channel_axis: Axis of the channels, such as 0 for (C, H, W), which are averaged; None for grey.

    Returns:
        Similarity in [-1, 1], unitless; NaN where no window fits: an axis is shorter than 11, or the mask is empty.

    Raises:
        GeometryError: G003, if the shapes differ; G072, if the mask does not fit.
        IntensityError: I070, if a value is not finite; I071, if the range is not positive; I072, if a value is below 0.

    Source:
        Wang et al. 2004, IEEE TIP 13:600, doi:10.1109/TIP.2003.819861, section III-B.

    Example:
        >>> ssim(np.eye(16), np.eye(16), data_range=1.0)
        1.0
        >>> 0.0 < ssim(np.eye(16), 0.5 * np.eye(16), data_range=1.0) < 1.0
        True
    """
    _check_range(data_range)
    check_same_shape(reference, predicted)
    images = [np.asarray(image, dtype=np.float64) for image in (reference, predicted)]
    for image in images:
        _check_values(image, lowest=-1e-6 * data_range)
    channels = None if channel_axis is None else channel_axis % reference.ndim
    counted = _valid_windows(_grid(reference.shape, channels))
    if mask is not None:
        _check_mask(mask, counted.shape)
        counted &= mask
    if not counted.any():
        return math.nan
    _, similarity = structural_similarity(
        *images,
        data_range=data_range,
        channel_axis=channels,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        K1=0.01,
        K2=0.03,
        full=True,
    )
    return float(_inside(similarity, counted, channels).mean())


def _difference(
    reference: Array, predicted: Array, *, mask: Region | None, channel_axis: int | None
) -> npt.NDArray[np.float64]:
    check_same_shape(reference, predicted)
    channels = None if channel_axis is None else channel_axis % reference.ndim
    if mask is not None:
        _check_mask(mask, _grid(reference.shape, channels))
        reference, predicted = _inside(reference, mask, channels), _inside(predicted, mask, channels)
    pair = [np.asarray(image, dtype=np.float64) for image in (reference, predicted)]
    for image in pair:
        _check_values(image, lowest=-math.inf)
    return pair[1] - pair[0]


def _grid(shape: tuple[int, ...], channels: int | None) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(shape) if axis != channels)


def _inside(image: Array, mask: Region, channels: int | None) -> Array:
    return image[mask] if channels is None else np.moveaxis(image, channels, 0)[:, mask]


def _valid_windows(grid: tuple[int, ...]) -> Region:
    valid = np.zeros(grid, dtype=bool)
    if min(grid) >= SSIM_WINDOW:
        valid[(slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2)),) * len(grid)] = True
    return valid


def _check_mask(mask: Region, grid: tuple[int, ...]) -> None:
    if mask.shape != grid or mask.dtype != np.bool_:
        raise GeometryError(
            "G072",
            "the mask does not fit the images",
            got=f"{mask.dtype} {mask.shape}",
            expected=f"bool {grid}",
            remedy="name the channel axis, or compare the labels with a number first",
        )


def _check_range(data_range: float) -> None:
    if not 0 < data_range < math.inf:
        raise IntensityError("I071", "the data range is not positive", got=str(data_range))


def _check_values(image: npt.NDArray[np.float64], *, lowest: float) -> None:
    if not np.isfinite(image).all():
        raise IntensityError(
            "I070",
            "an image holds values that are not finite",
            got=f"{int((~np.isfinite(image)).sum())} of {image.size}",
            remedy="mask them, or find out why the translation made them",
        )
    if image.size and image.min() < lowest:
        raise IntensityError(
            "I072",
            "structural similarity is defined for values from 0 up",
            got=f"{image.min():g}",
            remedy="subtract the lower end of the intensity window from both images",
        )
