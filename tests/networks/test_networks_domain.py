"""StarGAN's networks: published sizes and layers, and whether a label gets through."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from medgan.errors import SettingsError
from medgan.networks.domain_discriminator import DomainDiscriminator
from medgan.networks.domain_generator import DomainGenerator
from medgan.networks.initialisation import initialise, initialise_by_width
from medgan.networks.patch_discriminator import receptive_field_px

PUBLISHED = {"padding": "zeros", "first_norm": "instance-affine", "upsampling": "transposed"}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def convolutions(network: nn.Module) -> list[tuple[int, int, int]]:
    found = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    return [(layer.out_channels, layer.kernel_size[0], layer.stride[0]) for layer in found]


def test_the_published_networks_have_53_million_parameters() -> None:
    """Table 3 of the paper: 53.2 M, for 8 expressions at 128 px."""
    generator = DomainGenerator(3, 8, **PUBLISHED)
    discriminator = DomainDiscriminator(3, 8, size_px=128)
    kernels = 11 * 64 * 49 + 2 * (64 * 128 + 128 * 256) * 16 + 12 * 256 * 256 * 9 + 64 * 3 * 49 + 3
    scales = 2 * (64 + 128 + 256 + 12 * 256 + 128 + 64)
    assert parameters(generator) == kernels + scales == 8_439_939
    widths = [3, 64, 128, 256, 512, 1024, 2048]
    trunk = sum(16 * one * other + other for one, other in pairwise(widths))
    assert parameters(discriminator) == trunk + 2048 * 9 + 2048 * 4 * 8 == 44_786_624
    assert round((parameters(generator) + parameters(discriminator)) / 1e5) == 532


def test_layers_are_those_of_the_papers_tables() -> None:
    blocks = [(256, 3, 1)] * 12
    drawn = [(64, 7, 1), (128, 4, 2), (256, 4, 2), *blocks, (128, 4, 2), (64, 4, 2), (3, 7, 1)]
    assert convolutions(DomainGenerator(3, 5, **PUBLISHED)) == drawn
    network = DomainDiscriminator(3, 5, size_px=128)
    strided = [(64 * 2**level, 4, 2) for level in range(6)]
    assert convolutions(network) == [*strided, (1, 3, 1), (5, 2, 1)]
    assert {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)} == {0.01}
    assert not [m for m in network.modules() if "Norm" in type(m).__name__]
    assert receptive_field_px(nn.Sequential(network.layers, network.source)) == 318


@pytest.mark.parametrize(("size_px", "halvings", "left_px"), [(128, 6, 2), (64, 6, 1), (96, 6, 1), (80, 3, 10)])
def test_the_discriminator_gives_a_map_and_one_row_of_domains(size_px: int, halvings: int, left_px: int) -> None:
    network = DomainDiscriminator(1, 3, size_px=size_px, halvings=halvings, width=2)
    image = torch.rand(2, 1, size_px, size_px)
    assert network(image).shape == (2, 1, left_px, left_px)
    assert network.classify(image).shape == (2, 3)


def test_images_too_small_for_it_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"S210.*6 halvings.*48 px.*at least 64 px.*discriminator_halvings"):
        DomainDiscriminator(1, 2, size_px=48)


@pytest.mark.parametrize("settings", [{}, PUBLISHED, {"predicts": "change"}], ids=["default", "published", "change"])
def test_the_generator_keeps_any_grid_and_the_range(settings: dict[str, str]) -> None:
    torch.manual_seed(0)
    network = initialise(DomainGenerator(3, 4, width=4, blocks=1, **settings))
    image = torch.rand(2, 3, 36, 44) * 2 - 1
    made = network(image, torch.tensor([3, 0]))
    assert made.shape == image.shape
    assert made.abs().max() <= 1


def label_shift(size_px: int, **settings: str) -> torch.Tensor:
    """How far the label alone moves the encoder's features, (H, W), in units of their spread."""
    torch.manual_seed(0)
    network = initialise(DomainGenerator(1, 2, width=8, blocks=1, **settings)).double().eval()
    image = torch.rand(1, 1, size_px, size_px, dtype=torch.float64) * 2 - 1
    maps = torch.eye(2, dtype=torch.float64)[:, :, None, None].expand(-1, -1, size_px, size_px)
    one, other = (network.encoder(torch.cat([image, label[None]], dim=1)) for label in maps)
    return (one - other).abs().mean(dim=1)[0] / one.std()


def test_instance_norm_takes_the_label_away_but_at_zero_padded_edges() -> None:
    assert label_shift(64, first_norm="instance-affine", padding="reflect").max() < 1e-9
    small, large = (label_shift(size, **PUBLISHED)[4:-4, 4:-4].mean() for size in (48, 192))
    assert 0 < large < 0.7 * small
    ours = [label_shift(size)[4:-4, 4:-4].mean() for size in (48, 192)]
    assert min(ours) > 2 * small
    assert abs(ours[0] - ours[1]) < 0.3 * ours[0]


def test_the_last_layer_can_add_a_domains_colour_as_it_is() -> None:
    """Shown the label, it needs no feature for that; else two domains differ by what is left of it behind the first."""
    network = DomainGenerator(3, 2, width=4, blocks=1, predicts="change", label_last=True)
    weight, shift = network.decoder[-1][0].weight, torch.tensor([0.3, -0.1, -0.2])
    assert weight.shape[1] == 4 + 2
    with torch.no_grad():
        nn.init.zeros_(weight)
        nn.init.zeros_(network.decoder[-1][0].bias)
        weight[:, -1] = shift[:, None, None] / 49
    image = torch.rand(1, 3, 32, 32) - 0.5
    as_it_is, shifted = (network(image, torch.tensor([label])) for label in (0, 1))
    torch.testing.assert_close(as_it_is, image, atol=1e-3, rtol=0)
    gap = torch.atanh(shifted) - torch.atanh(as_it_is)
    torch.testing.assert_close(gap, shift[None, :, None, None].expand_as(gap), atol=1e-4, rtol=0)


def test_a_fresh_generator_of_changes_gives_its_input_back() -> None:
    network = DomainGenerator(1, 2, width=4, blocks=1, predicts="change")
    nn.init.zeros_(network.decoder[-1][0].weight)
    nn.init.zeros_(network.decoder[-1][0].bias)
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(network(image, torch.tensor([1])), image, atol=1e-3, rtol=0)


def test_signals_come_through_a_fresh_narrow_discriminator() -> None:
    torch.manual_seed(0)
    network = initialise_by_width(DomainDiscriminator(1, 2, size_px=64, width=4))
    logits = network(torch.rand(16, 1, 64, 64) * 2 - 1)
    assert 0.01 < logits.std() < 10
