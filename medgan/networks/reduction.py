"""Fewer pixels by a stated kernel, and more by interpolation: how low-resolution images are made and set beside."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError

Kernel = Literal["bicubic", "box", "gaussian", "gaussian-bicubic"]
"""``"bicubic"`` widened by the factor, so that it is its own low-pass filter; ``"box"`` means over blocks;
``"gaussian"`` blurs and takes one value a block; ``"gaussian-bicubic"`` blurs, then reduces by ``"bicubic"``."""

_SIGMAS = 4  # a Gaussian is cut off beyond so many standard deviations


def reduced(image: Tensor, *, factor: int, kernel: Kernel, sigma_px: float | None = None) -> Tensor:
    """Make an image of lower resolution.

    A pixel of the result has its centre where its block of ``factor`` times ``factor`` pixels has its own, whatever the
    kernel, so that the two grids cover the same field. Pixels beyond the edge are as the edge. Bicubic weights dip
    below zero: what leaves [-1, 1] is clipped, as in an image file.

    Args:
        image: (N, C, H, W) in [-1, 1]; H and W are multiples of the factor.
        factor: Pixels of the image to a pixel of the result, along each axis.
        kernel: How the pixels are weighted.
        sigma_px: Standard deviation of the Gaussian in pixels of the image; half the factor by default.

    Returns:
        (N, C, H / factor, W / factor) in [-1, 1].

    Raises:
        GeometryError: G214, if a side is no multiple of the factor.

    Source:
        Ledig 2017, arXiv:1609.04802, sections 3 (Gaussian) and 3.2 (bicubic); Keys 1981,
        doi:10.1109/TASSP.1981.1163711, with a = -1/2.
    """
    _check_multiple(image, factor)
    if kernel == "box":
        return F.avg_pool2d(image, factor)
    sigma = factor / 2 if sigma_px is None else sigma_px
    with torch.autocast(image.device.type, enabled=False):  # the filter would be taken for a layer
        if kernel == "gaussian":
            return _filtered(image, _gaussian(sigma, even=factor % 2 == 0), stride=factor)
        if kernel == "gaussian-bicubic":
            image = _filtered(image, _gaussian(sigma, even=False), stride=1)
    smaller = (image.shape[-2] // factor, image.shape[-1] // factor)
    return F.interpolate(image, size=smaller, mode="bicubic", antialias=True).clamp(-1, 1)


def sampled(image: Tensor, *, factor: int) -> Tensor:
    """Read an image (N, C, H, W) in [-1, 1] at its blocks' centres: undoes :func:`enlarged`, but for its rounding.

    There is no low-pass filter, so that an image finer than the factor says is aliased; one that was interpolated holds
    nothing to be filtered, and a filter would blur it a second time.

    Raises:
        GeometryError: G214, if a side is no multiple of the factor.
    """
    _check_multiple(image, factor)
    smaller = (image.shape[-2] // factor, image.shape[-1] // factor)
    with torch.autocast(image.device.type, enabled=False):
        return F.interpolate(image, size=smaller, mode="bicubic", antialias=False).clamp(-1, 1)


def enlarged(image: Tensor, *, factor: int) -> Tensor:
    """Interpolate an image (N, C, H, W) in [-1, 1] to ``factor`` times as many rows and columns, bicubic, clipped."""
    # With antialias torch takes Keys' a = -1/2, without it -3/4.
    larger = (image.shape[-2] * factor, image.shape[-1] * factor)
    return F.interpolate(image, size=larger, mode="bicubic", antialias=True).clamp(-1, 1)


def _check_multiple(image: Tensor, factor: int) -> None:
    if image.shape[-2] % factor or image.shape[-1] % factor:
        raise GeometryError(
            "G214",
            "the image cannot be reduced by a whole factor",
            got=f"{image.shape[-2]} x {image.shape[-1]} pixels",
            expected=f"multiples of {factor}",
        )


def _gaussian(sigma: float, *, even: bool) -> list[float]:
    """Weights of sum 1; of an even number where the centre lies between two pixels."""
    half = 0.5 if even else 0.0
    reach = math.ceil(_SIGMAS * sigma - half)
    offsets = [number + half for number in range(-reach - int(even), reach + 1)]
    weights = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
    return [weight / sum(weights) for weight in weights]


def _filtered(image: Tensor, weights: list[float], *, stride: int) -> Tensor:
    """Filter rows, then columns, and keep every ``stride``-th value, the first of which has the first block's centre.

    One column of weights for every channel: a Gaussian is the product of its rows and columns.
    """
    channels, length = image.shape[1], len(weights)
    first = (stride - 1) // 2 if length % 2 else stride // 2 - 1
    before = (length - 1) // 2 - first
    after = length - stride - before
    line = torch.tensor(weights, dtype=image.dtype, device=image.device)
    padded = F.pad(image, (before, after, before, after), mode="replicate")
    rows = F.conv2d(padded, line.view(1, 1, -1, 1).expand(channels, -1, -1, -1), stride=(stride, 1), groups=channels)
    columns = line.view(1, 1, 1, -1).expand(channels, -1, -1, -1)
    return F.conv2d(rows, columns, stride=(1, stride), groups=channels)
