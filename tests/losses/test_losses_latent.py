"""The divergence of a code from the standard normal distribution."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from medgan.losses.latent import kl_to_standard_normal


def test_it_equals_torchs_own_for_unit_variance() -> None:
    mean = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = kl_divergence(Normal(mean, 1.0), Normal(0.0, 1.0)).mean()
    assert kl_to_standard_normal(mean).item() == pytest.approx(expected.item(), rel=1e-6)


def test_it_is_0_at_0_and_computed_wide() -> None:
    assert kl_to_standard_normal(torch.zeros(1, 4)).item() == 0
    assert kl_to_standard_normal(torch.ones(1, 4, dtype=torch.bfloat16)).dtype == torch.float32
