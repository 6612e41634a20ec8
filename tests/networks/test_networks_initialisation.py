"""First weights: published ones in front of a normalisation, and without one a signal that stays as large as it was."""

import pytest
import torch
from torch import Tensor, nn

from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.networks.initialisation import initialise, initialise_for
from medgan.networks.patch_discriminator import PatchDiscriminator
from medgan.training.translator import SampleShape


def image(channels: int = 3) -> Tensor:
    """Eight smooth images, as photographs are."""
    coarse = torch.randn(8, channels, 6, 6, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(coarse, size=(48, 48), mode="bilinear").tanh()


def spreads(network: PatchDiscriminator) -> list[float]:
    """Of the image and of what each layer gives, in order."""
    shown = image()
    return [one.std().item() for one in (shown, *network.features(shown))]


@pytest.mark.parametrize("width", [4, 16, 64])
@pytest.mark.parametrize("patch", [34, 70])
def test_a_signal_keeps_its_size_through_a_discriminator_without_norms(patch, width: int) -> None:
    network = initialise_for(PatchDiscriminator(3, patch=patch, width=width, norm="none"), norm="none")
    for before, after in zip(spreads(network), spreads(network)[1:], strict=False):
        assert 1 / 4 < after / before < 4


def test_published_weights_would_make_it_vanish() -> None:
    network = initialise(PatchDiscriminator(3, patch=34, width=16, norm="none"))
    first, *_, last = spreads(network)
    assert last < first / 50


def test_in_front_of_a_norm_weights_are_as_published() -> None:
    networks = [PatchDiscriminator(3, patch=34, width=16) for _ in range(2)]
    initialise_for(networks[0], norm="instance", generator=torch.Generator().manual_seed(2))
    initialise(networks[1], generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(dict(networks[0].state_dict()), dict(networks[1].state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("norm", ["none", "instance"])
def test_a_method_hears_its_discriminators_from_the_first_step(norm) -> None:
    """The adversarial loss moves a pixel of a fake at least a tenth as much as the cycle's weight of 10 does."""
    shape = SampleShape(3, 1, 48)
    recipe = CycleGANRecipe(norm=norm, patch=34, generator_width=8, blocks=1, discriminator_width=16)
    learner = CycleGAN(recipe, shape=shape)
    fake = image().requires_grad_()
    learner.adversary.generator_loss(learner.d_b, fake).backward()
    assert fake.grad is not None
    of_cycle = recipe.weight_cycle / fake.numel()
    assert fake.grad.abs().mean() > of_cycle / 10
