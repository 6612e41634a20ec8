"""What keeps a discriminator's slope in bounds."""

from collections.abc import Callable

import torch
from torch import Tensor

Judge = Callable[[Tensor], Tensor]


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """How far a critic's slope is from 1 between real and fake images: the mean of (norm - 1) squared.

    One point is drawn for each pair, evenly on the line between them, from torch's generator. Computed in the images'
    own precision, without autocast: squares of small slopes would vanish in half precision.

    Args:
        judge: The critic; one value or a map of values for each image, of which the sum is taken.
        real: (N, C, H, W) in [-1, 1].
        fake: The same shape.

    Returns:
        A scalar, at least 0; its gradient reaches the critic's weights alone.

    Source:
        Gulrajani 2017, arXiv:1704.00028, section 4; the published weight is 10.

    Example:
        >>> gradient_penalty(lambda x: 3 * x.flatten(1)[:, 0], torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)).item()
        4.0
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    between = share * real.detach() + (1 - share) * fake.detach()
    return (_slope(judge, between).norm(dim=1) - 1).square().mean()


def r1_penalty(judge: Judge, real: Tensor) -> Tensor:
    """Half the mean squared slope of a discriminator at real images.

    Args:
        judge: The discriminator, before any sigmoid.
        real: (N, C, H, W) in [-1, 1].

    Returns:
        A scalar, at least 0; its gradient reaches the discriminator's weights alone.

    Source:
        Mescheder 2018, arXiv:1801.04406, equation 9; published weights are 10, and less for small images.

    Example:
        >>> r1_penalty(lambda x: 3 * x.flatten(1)[:, 0], torch.zeros(2, 1, 4, 4)).item()
        4.5
    """
    return _slope(judge, real).square().sum(dim=1).mean() / 2


def _slope(judge: Judge, images: Tensor) -> Tensor:
    """Gradient of an image's summed values with respect to the image: (N, C * H * W)."""
    images = images.detach().float() if images.dtype in {torch.bfloat16, torch.float16} else images.detach()
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        (slope,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    return slope.flatten(1)
