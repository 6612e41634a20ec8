"""PatchGAN: what a logit sees, published size, shapes."""

import pytest
import torch

from medgan.errors import SettingsError
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import (
    PatchDiscriminator,
    check_patch_fits,
    receptive_field_px,
    smallest_input_px,
)


@pytest.mark.parametrize(("patch", "size_px"), [(1, 16), (16, 48), (70, 192), (286, 640)])
def test_a_logit_sees_exactly_its_patch(patch, size_px: int) -> None:
    """Measured by the support of a logit's gradient, without the norm, which looks at the whole image."""
    torch.manual_seed(0)
    network = initialise(PatchDiscriminator(1, patch=patch, width=2, norm="none"), std=0.5).double()
    image = torch.randn(1, 1, size_px, size_px, dtype=torch.float64, requires_grad=True)
    logits = network(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    rows, columns = (image.grad[0, 0] != 0).nonzero(as_tuple=True)
    assert rows.min() > 0  # the patch lies within the image, so that its true side shows
    assert rows.max() < size_px - 1
    assert rows.max() - rows.min() + 1 == patch
    assert columns.max() - columns.min() + 1 == patch
    assert receptive_field_px(network) == patch


def test_patch_70_has_the_published_size_less_the_biases_before_a_norm() -> None:
    network = PatchDiscriminator(3, patch=70)
    assert sum(p.numel() for p in network.parameters()) == 2_764_737 - (128 + 256 + 512) == 2_763_841


def test_channels_are_capped() -> None:
    convolutions = [m for m in PatchDiscriminator(3, patch=286).layers if isinstance(m, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 512, 512, 1]


def test_logits_of_a_256_px_image_are_30_by_30() -> None:
    logits = PatchDiscriminator(3, patch=70, width=2)(torch.randn(2, 3, 256, 256))
    assert logits.shape == (2, 1, 30, 30)


def test_first_layer_has_no_norm_and_the_next_has() -> None:
    layers = PatchDiscriminator(1, patch=70, width=4).layers
    assert isinstance(layers[1], torch.nn.Identity)
    assert isinstance(layers[4], torch.nn.InstanceNorm2d)


def test_real_and_fake_may_share_a_batch() -> None:
    network = initialise(PatchDiscriminator(1, patch=16, width=4), std=0.2)
    real, fake = torch.randn(2, 1, 24, 24), torch.randn(1, 1, 24, 24)
    together = network(torch.cat([real, fake]))
    torch.testing.assert_close(together, torch.cat([network(real), network(fake)]))


@pytest.mark.parametrize("patch", [1, 16, 70, 286])
def test_smallest_input_is_the_smallest(patch) -> None:
    network, side = PatchDiscriminator(1, patch=patch, width=2), smallest_input_px(patch)
    assert network(torch.randn(1, 1, side, side)).numel() >= 1
    with pytest.raises((RuntimeError, ValueError), match=r"Kernel size|spatial element"):
        network(torch.randn(1, 1, side - 1, side - 1))


def test_a_patch_too_large_is_refused() -> None:
    check_patch_fits(286, size_px=96)
    with pytest.raises(SettingsError, match="S210"):
        check_patch_fits(286, size_px=95)
