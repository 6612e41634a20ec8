"""Penalties on slopes, against slopes known by hand, and that they can be trained on."""

import pytest
import torch
from torch import nn

from medgan.losses.penalties import gradient_penalty, r1_penalty
from medgan.networks.patch_discriminator import PatchDiscriminator

IMAGES = torch.randn(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_linear_critic_has_one_slope_everywhere() -> None:
    weights = torch.randn(2 * 16 * 16)
    judge = lambda image: image.flatten(1) @ weights  # noqa: E731
    slope = weights.norm()
    torch.testing.assert_close(gradient_penalty(judge, IMAGES, -IMAGES), (slope - 1).square())
    torch.testing.assert_close(r1_penalty(judge, IMAGES), slope.square() / 2)


def test_the_slope_is_taken_between_the_images() -> None:
    """For half the sum of squares the slope is the image: from 0 to an image of norm 1, its share."""
    real = nn.functional.normalize(IMAGES.flatten(1)).view_as(IMAGES)
    torch.manual_seed(3)
    found = gradient_penalty(lambda image: image.square().flatten(1).sum(1) / 2, real, torch.zeros_like(real))
    torch.manual_seed(3)
    share = torch.rand(3, 1, 1, 1).flatten()
    torch.testing.assert_close(found, (share - 1).square().mean())


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_critic_learns_from_them_and_the_images_do_not(norm, layout) -> None:
    critic = PatchDiscriminator(2, patch=16, width=8, norm=norm).to(memory_format=layout)
    real = IMAGES.clone().contiguous(memory_format=layout).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = gradient_penalty(critic, real, -real) + r1_penalty(critic, real)
    assert loss.dtype == torch.float32
    loss.backward()
    assert real.grad is None
    assert critic.layers[0].weight.grad.abs().sum() > 0
