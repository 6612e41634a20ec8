"""Adversarial losses against torch's own and by their optima."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from medgan.losses.adversarial import discriminator_loss, generator_loss

REAL = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(1)) * 3
FAKE = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(2)) * 3
KINDS = ["least-squares", "vanilla", "hinge", "wasserstein"]


def test_least_squares_equals_mse_to_one_and_zero() -> None:
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(REAL)
    torch.testing.assert_close(generator_loss(FAKE, kind="least-squares"), F.mse_loss(FAKE, ones))
    expected = F.mse_loss(REAL, ones) + F.mse_loss(FAKE, zeros)
    torch.testing.assert_close(discriminator_loss(REAL, FAKE, kind="least-squares"), expected)


def test_vanilla_equals_cross_entropy_with_logits() -> None:
    bce = F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(REAL)
    torch.testing.assert_close(generator_loss(FAKE, kind="vanilla"), bce(FAKE, ones))
    torch.testing.assert_close(discriminator_loss(REAL, FAKE, kind="vanilla"), bce(REAL, ones) + bce(FAKE, zeros))


def test_hinge_asks_for_no_more_than_its_margin() -> None:
    assert discriminator_loss(torch.tensor([1.0]), torch.tensor([-1.0]), kind="hinge").item() == 0
    assert discriminator_loss(torch.tensor([0.0]), torch.tensor([0.5]), kind="hinge").item() == 2.5
    assert generator_loss(torch.tensor([3.0, -1.0]), kind="hinge").item() == -1.0


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_pull_logits_their_own_way(kind) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    discriminator_loss(real, fake, kind=kind).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all() or kind == "least-squares"
    passing = torch.zeros(4, requires_grad=True)
    generator_loss(passing, kind=kind).backward()
    assert passing.grad is not None
    assert (passing.grad < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_logits_are_averaged_in_float32(kind) -> None:
    logits = torch.full((1, 1, 30, 30), 0.25, dtype=torch.bfloat16)
    assert generator_loss(logits, kind=kind).dtype == torch.float32
    exact = discriminator_loss(logits.double().float(), logits.float(), kind=kind)
    torch.testing.assert_close(discriminator_loss(logits, logits, kind=kind), exact)


def test_vanilla_stays_finite_for_a_sure_discriminator() -> None:
    sure = torch.full((4,), 1e4)
    assert torch.isfinite(discriminator_loss(-sure, sure, kind="vanilla"))
    assert torch.isfinite(generator_loss(-sure, kind="vanilla"))


def test_wasserstein_is_a_difference_of_means() -> None:
    torch.testing.assert_close(discriminator_loss(REAL, FAKE, kind="wasserstein"), FAKE.mean() - REAL.mean())
    torch.testing.assert_close(generator_loss(FAKE, kind="wasserstein"), -FAKE.mean())
