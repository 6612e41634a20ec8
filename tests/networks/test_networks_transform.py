"""The image transformation network: the supplement's table, less biases in front of normalisations."""

import pytest
import torch
from torch import nn

from medgan.networks.blocks import ResidualBlock
from medgan.networks.transform_network import TransformNetwork


def test_it_has_the_papers_parameters() -> None:
    """Table 1 of the supplement gives 1,679,235 with batch norms and a bias in every convolution."""
    network = TransformNetwork(3, 3, upsampling="transposed")
    kernels = 2 * 3 * 32 * 81 + 2 * 32 * 64 * 9 + 2 * 64 * 128 * 9 + 5 * 2 * 128 * 128 * 9
    channels_of_norms = 32 + 64 + 128 + 5 * 2 * 128 + 64 + 32
    assert kernels == 1_674_432
    assert kernels + channels_of_norms + 2 * channels_of_norms + 3 == 1_679_235
    assert sum(p.numel() for p in network.parameters()) == kernels + 2 * channels_of_norms + 3
    resized = TransformNetwork(3, 3)
    assert sum(p.numel() for p in resized.parameters()) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_its_layers_have_the_tables_sizes(upsampling) -> None:
    network = TransformNetwork(3, 3, upsampling=upsampling)
    sizes: list[tuple[int, ...]] = []
    for layer in network.layers:
        if not isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:])))
    with torch.no_grad():
        network(torch.zeros(1, 3, 256, 256))
    down = [(32, 256, 256), (64, 128, 128), (128, 64, 64)]
    assert sizes == [*down, *[(128, 64, 64)] * 5, (64, 128, 128), (32, 256, 256), (3, 256, 256)]
    assert [type(layer) for layer in network.layers].count(ResidualBlock) == 5


@pytest.mark.parametrize(("height", "width"), [(8, 12), (36, 64)])
def test_any_multiple_of_four_keeps_its_grid_and_range(height: int, width: int) -> None:
    torch.manual_seed(0)
    made = TransformNetwork(3, 1, width=4, blocks=1)(10 * torch.randn(2, 3, height, width))
    assert made.shape == (2, 1, height, width)
    assert made.abs().max() <= 1


def test_a_network_that_has_learnt_nothing_gives_back_what_it_is_to_change() -> None:
    network, image = TransformNetwork(1, 1, width=4, blocks=1), torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    network.change_nothing()
    torch.testing.assert_close(network(image, image), image, atol=1.1e-3, rtol=0)
    assert not network(image).any()


def test_no_layer_looks_across_the_batch() -> None:
    torch.manual_seed(0)
    network, images = TransformNetwork(1, 1, width=4, blocks=1), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(network(images)[:1], network(images[:1]))
