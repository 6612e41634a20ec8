"""Discriminators that judge at several scales: their losses are summed, and penalties see all of them."""

import pytest
import torch

from medgan.losses.penalties import r1_penalty
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.training.adversary import Adversary


def judge(images: torch.Tensor) -> list[torch.Tensor]:
    return [2 * images, images[..., ::2, ::2]]


def test_losses_of_all_scales_are_summed() -> None:
    real, fake = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    adversary = Adversary(DiscriminatorRecipe(), kind="least-squares", channels=1)
    fooled = (2 * fake - 1).square().mean() + (fake[..., ::2, ::2] - 1).square().mean()
    torch.testing.assert_close(adversary.generator_loss(judge, fake), fooled)
    judged = fooled.new_zeros(())
    for scale in (0, 1):
        judged = judged + (judge(real)[scale] - 1).square().mean() + judge(fake)[scale].square().mean()
    losses = adversary.discriminator_losses(judge, real, fake, step=0)
    torch.testing.assert_close(losses, {"adversarial": judged})


def test_penalties_see_every_scale() -> None:
    real = torch.rand(2, 1, 4, 4)
    adversary = Adversary(DiscriminatorRecipe(weight_r1=1.0), kind="least-squares", channels=1)
    losses = adversary.discriminator_losses(judge, real, real, step=0)
    # Of 16 logits a slope of 2 / 4 at 12 pixels, and 1 / 2 more where the 4 of the other scale look.
    assert losses["r1"].item() == pytest.approx((12 * 0.5**2 + 4 * 1.0**2) / 2)
    rows = lambda x: [part.flatten(1) for part in judge(x)]  # noqa: E731
    expected = r1_penalty(lambda x: torch.cat([row / row.shape[1] ** 0.5 for row in rows(x)], dim=1), real)
    torch.testing.assert_close(losses["r1"], expected)
