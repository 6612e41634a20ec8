"""Differentiable augmentation: what a discriminator is shown in place of images, with gradients through it."""

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError

_SHIFT = 8  # a shift is at most this part of a side
_CUT = 2  # the square that is cut out has this part of a side


def augmented(images: Tensor, *, kinds: Collection[str], channels: int) -> Tensor:
    """Change each image at random; real images and fakes must both go through.

    Pictures side by side in the channels (slices, or the input beside the output) are changed alike. Numbers come from
    torch's generator.

    Args:
        images: (N, K * channels, H, W) in [-1, 1].
        kinds: ``"colour"`` (brightness by up to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5),
            ``"translation"`` (up to an eighth of a side, 0 where nothing is left), ``"cutout"`` (0 in a square of half
            a side, whose middle lies anywhere).
        channels: Channels of one picture; saturation is that of three.

    Returns:
        The same shape; colour may leave [-1, 1].

    Raises:
        GeometryError: G210, if the channels are no multiple.

    Source:
        Zhao 2020, arXiv:2006.10738, section 4 and appendix C.

    Example:
        >>> torch.equal(augmented(torch.ones(1, 3, 8, 8), kinds=(), channels=1), torch.ones(1, 3, 8, 8))
        True
    """
    if images.shape[1] % channels:
        raise GeometryError(
            "G210",
            "the images hold no whole number of pictures",
            got=f"{images.shape[1]} channels",
            expected=f"a multiple of {channels}",
        )
    if "colour" in kinds:
        images = _recoloured(images.unflatten(1, (-1, channels))).flatten(1, 2)
    if "translation" in kinds:
        images = _shifted(images)
    if "cutout" in kinds:
        images = _cut(images)
    return images


def _recoloured(pictures: Tensor) -> Tensor:
    """Brightness, saturation and contrast of (N, K, C, H, W), the same for all K."""
    brightness, saturation, contrast = torch.rand(
        3, len(pictures), 1, 1, 1, 1, device=pictures.device, dtype=pictures.dtype
    )
    pictures = pictures + brightness - 0.5
    grey = pictures.mean(dim=2, keepdim=True)
    pictures = grey + (pictures - grey) * (2 * saturation)
    mean = pictures.mean(dim=(2, 3, 4), keepdim=True)
    return mean + (pictures - mean) * (0.5 + contrast)


def _shifted(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    most = (round(height / _SHIFT), round(width / _SHIFT))
    # Rows and columns are picked out of the padded image: once for all images, whatever each one's shift.
    padded = F.pad(images, (most[1], most[1], most[0], most[0]))
    picked = [
        torch.randint(2 * limit + 1, (len(images), 1), device=images.device) + torch.arange(side, device=images.device)
        for limit, side in zip(most, (height, width), strict=True)
    ]
    rows = picked[0][:, None, :, None].expand(-1, images.shape[1], -1, padded.shape[-1])
    columns = picked[1][:, None, None, :].expand(-1, images.shape[1], height, -1)
    return padded.gather(2, rows).gather(3, columns)


def _cut(images: Tensor) -> Tensor:
    inside = torch.ones((), device=images.device, dtype=torch.bool)
    for axis, side in ((-2, images.shape[-2]), (-1, images.shape[-1])):
        half = side // (2 * _CUT)
        middle = torch.randint(side + 1, (len(images), 1, 1, 1), device=images.device)
        place = torch.arange(side, device=images.device).view((-1, 1) if axis == -2 else (1, -1))
        inside = inside & (place >= middle - half) & (place < middle + half)
    return images.masked_fill(inside, 0)
