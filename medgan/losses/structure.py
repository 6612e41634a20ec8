"""How far images are apart in edges and local structure, and how rough one is."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError

_WINDOW_PX = 11
_SIGMA_PX = 1.5
_RANGE = 2.0  # of images in [-1, 1]


def ssim_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """One minus the mean structural similarity, with the published Gaussian window of 11 pixels, over whole windows.

    Args:
        predicted: (N, C, H, W) in [-1, 1], so that the data range is 2; sides of at least 11 pixels.
        target: The same shape.

    Returns:
        A scalar in float32, in [0, 2].

    Raises:
        GeometryError: G210, if the shapes differ or are smaller than the window.

    Source:
        Wang 2004, doi:10.1109/TIP.2003.819861; K1 0.01, K2 0.03, sigma 1.5.

    Example:
        >>> image = torch.rand(1, 1, 16, 16)
        >>> ssim_loss(image, image).item()
        0.0
    """
    _check_shapes(predicted, target)
    if min(predicted.shape[-2:]) < _WINDOW_PX:
        raise GeometryError(
            "G210", "the images are smaller than SSIM's window", got=str(tuple(predicted.shape)), expected="11 px"
        )
    with torch.autocast(predicted.device.type, enabled=False):
        x, y = predicted.float().flatten(0, 1)[:, None], target.float().flatten(0, 1)[:, None]
        count = len(x)
        blurred = _blurred(torch.cat([x, y, x * x, y * y, x * y]))
        mean_x, mean_y, xx, yy, xy = blurred.split(count)
        c1, c2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2
        spread = xx - mean_x.square() + yy - mean_y.square()
        shared = xy - mean_x * mean_y
        means = mean_x.square() + mean_y.square()
        similarity = (2 * mean_x * mean_y + c1) * (2 * shared + c2) / ((means + c1) * (spread + c2))
    return 1 - similarity.mean()


def gradient_difference(predicted: Tensor, target: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Mean difference between the sizes of two images' steps from pixel to pixel, along rows and along columns.

    Args:
        predicted: (N, C, H, W) in [-1, 1].
        target: The same shape.
        alpha: Power of each difference.

    Returns:
        A scalar in float32, at least 0: the sum of both directions' means.

    Raises:
        GeometryError: G210, if the shapes differ.

    Source:
        Mathieu 2016, arXiv:1511.05440, equation 6, with means in place of sums; alpha is 1 there.

    Example:
        >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
        >>> gradient_difference(ramp, 3 * ramp).item()
        2.0
    """
    _check_shapes(predicted, target)
    parts = [
        (found.abs() - wanted.abs()).abs().pow(alpha).mean()
        for found, wanted in zip(_steps(predicted), _steps(target), strict=True)
    ]
    return parts[0] + parts[1]


def total_variation(image: Tensor) -> Tensor:
    """Mean absolute step from pixel to pixel, along rows and along columns together.

    Args:
        image: (N, C, H, W) in [-1, 1].

    Returns:
        A scalar in float32, at least 0.

    Source:
        Rudin 1992, doi:10.1016/0167-2789(92)90242-F, its anisotropic form.
    """
    down, right = _steps(image)
    return down.abs().mean() + right.abs().mean()


def _steps(image: Tensor) -> tuple[Tensor, Tensor]:
    image = image.float()
    return image[..., 1:, :] - image[..., :-1, :], image[..., :, 1:] - image[..., :, :-1]


def _blurred(image: Tensor) -> Tensor:
    """Means under the Gaussian window, where it lies within the image."""
    offsets = torch.arange(_WINDOW_PX, device=image.device, dtype=image.dtype) - _WINDOW_PX // 2
    weights = torch.exp(-offsets.square() / (2 * _SIGMA_PX**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(image, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))


def _check_shapes(predicted: Tensor, target: Tensor) -> None:
    if predicted.shape != target.shape:
        raise GeometryError(
            "G210",
            "the images to compare differ in shape",
            got=str(tuple(predicted.shape)),
            expected=str(tuple(target.shape)),
        )
