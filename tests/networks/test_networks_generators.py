"""Generators: published sizes, shapes, initialisation, and no checkerboard."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from medgan.errors import GeometryError
from medgan.networks.blocks import evaluating, norm_layer, upsampled
from medgan.networks.initialisation import initialise
from medgan.networks.resnet_generator import ResNetGenerator, default_blocks
from medgan.networks.unet_generator import UNetGenerator, default_depth


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_resnet_9_has_the_published_size_less_the_biases_before_a_norm() -> None:
    network = ResNetGenerator(3, 3, blocks=9, upsampling="transposed")
    biases_before_norm = 64 + 128 + 256 + 9 * 2 * 256 + 128 + 64
    assert parameters(network) == 11_378_179 - biases_before_norm == 11_372_931


def test_unet_256_has_the_published_size_but_for_affine_norms_and_two_biases() -> None:
    network = UNetGenerator(3, 3, depth=8, upsampling="transposed")
    affine = 2 * (128 + 256 + 4 * 512) + 2 * (4 * 512 + 256 + 128 + 64)
    biases_without_norm = 64 + 512
    assert parameters(network) == 54_413_955 - affine + biases_without_norm == 54_404_675


def test_no_bias_stands_before_a_norm() -> None:
    for network in (ResNetGenerator(1, 1, width=8, blocks=1), UNetGenerator(1, 1, width=8, depth=4)):
        layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.InstanceNorm2d)]
        for layer, following in pairwise(layers):
            if isinstance(layer, nn.Conv2d):
                assert (layer.bias is None) == isinstance(following, nn.InstanceNorm2d)


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize("norm", ["instance", "group", "none"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 48)])
def test_resnet_generator_keeps_the_grid_and_the_range(upsampling, norm, height, width) -> None:
    network = initialise(ResNetGenerator(3, 2, width=4, blocks=1, upsampling=upsampling, norm=norm))
    out = network(torch.rand(2, 3, height, width) * 2 - 1)
    assert out.shape == (2, 2, height, width)
    assert out.abs().max() <= 1


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (36, 44), (8, 20)])
def test_unet_generator_keeps_any_grid_and_the_range(upsampling, skips, height, width) -> None:
    network = initialise(UNetGenerator(3, 1, width=4, depth=5, skips=skips, upsampling=upsampling))
    out = network(torch.rand(2, 3, height, width) * 2 - 1)
    assert out.shape == (2, 1, height, width)
    assert out.abs().max() <= 1


def test_unet_frame_is_cut_off_where_it_was_put() -> None:
    network = initialise(UNetGenerator(1, 1, width=4, depth=3), std=0.2).eval()
    image = torch.rand(1, 1, 16, 16) * 2 - 1
    framed = nn.functional.pad(image[..., 2:15, :], (0, 0, 1, 2), mode="replicate")
    torch.testing.assert_close(network(image[..., 2:15, :]), network(framed)[..., 1:14, :])


def test_unet_uses_its_skips() -> None:
    """Fine detail reaches the output through the skips only: the 1x1 bottleneck of an encoder-decoder loses order."""
    torch.manual_seed(0)
    depths = [UNetGenerator(1, 1, width=4, depth=4, skips=skips, upsampling="transposed") for skips in (True, False)]
    joined, bare = (parameters(network) for network in depths)
    assert joined > bare
    network = initialise(depths[0], std=0.2).eval()
    with_bottleneck = network(image := torch.rand(1, 1, 16, 16))
    nn.init.zeros_(network.downs[-1][1].weight)
    assert not torch.equal(network(image), with_bottleneck)
    assert network(image).std() > 0.01


@pytest.mark.parametrize("skips", [True, False])
def test_a_u_net_that_predicts_a_change_starts_from_the_middle_slice(skips) -> None:
    network = initialise(UNetGenerator(6, 2, width=4, depth=3, skips=skips, predicts="change")).eval()
    stack = torch.rand(2, 6, 13, 16) * 2 - 1
    assert 0 < (network(stack) - stack[:, 2:4]).abs().mean() < 0.15
    for parameter in network.ups[-1].parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(network(stack), stack[:, 2:4], atol=0.0011, rtol=0)
    published = UNetGenerator(6, 2, width=4, depth=3, skips=skips)
    assert published.state_dict().keys() == network.state_dict().keys()


def test_dropout_is_in_the_three_innermost_decoder_levels_and_off_in_evaluation() -> None:
    network = initialise(UNetGenerator(1, 1, width=4, depth=8))
    assert [isinstance(up[-1], nn.Dropout) for up in network.ups] == [True] * 3 + [False] * 5
    image = torch.rand(1, 1, 256, 256)
    assert not torch.equal(network(image), network(image))
    with evaluating(network):
        assert torch.equal(network(image), network(image))
        assert not network.ups[0].training
    assert network.training
    assert network.ups[0].training


@pytest.mark.parametrize(("size_px", "blocks"), [(64, 6), (128, 6), (129, 9), (256, 9)])
def test_default_blocks_follow_the_paper(size_px: int, blocks: int) -> None:
    assert default_blocks(size_px) == blocks


def test_default_depth_never_asks_for_a_large_frame() -> None:
    for size_px in range(16, 600):
        depth = default_depth(size_px)
        assert -size_px % 2**depth <= max(0.15 * size_px, 3)
    assert [default_depth(size_px) for size_px in (256, 512, 1024)] == [8, 8, 8]


def test_initialise_draws_the_published_weights() -> None:
    network = nn.Sequential(nn.Conv2d(64, 64, 5), nn.ConvTranspose2d(64, 64, 5), nn.GroupNorm(32, 4096))
    assert initialise(network, generator=torch.Generator().manual_seed(0)) is network
    for layer in (network[0], network[1]):
        assert layer.weight.mean().item() == pytest.approx(0.0, abs=2e-4)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert not layer.bias.any()
    assert network[2].weight.mean().item() == pytest.approx(1.0, abs=2e-3)
    assert network[2].weight.std().item() == pytest.approx(0.02, rel=0.1)
    again = initialise(nn.Conv2d(64, 64, 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.weight, network[0].weight)


def test_resizing_leaves_no_checkerboard_where_transposing_does() -> None:
    """A flat field must stay flat: any energy at the Nyquist frequency is the layer's own."""

    def nyquist(kind, kernel) -> float:
        torch.manual_seed(0)
        layer = initialise(upsampled(8, 8, upsampling=kind, norm="none", transposed_kernel=kernel))
        field = layer(torch.ones(1, 8, 16, 16)).detach()[..., 4:-4, 4:-4]
        spectrum = torch.fft.fft2(field).abs()
        half = field.shape[-1] // 2
        peaks = spectrum[..., half, half] + spectrum[..., 0, half] + spectrum[..., half, 0]
        return float((peaks / spectrum[..., 0, 0]).max())

    assert nyquist("resize", 4) < 1e-5
    assert nyquist("transposed", 3) > 0.1
    assert nyquist("transposed", 4) > 0.1


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_norms_look_at_one_sample_at_a_time(norm) -> None:
    layer, images = norm_layer(norm, 48), torch.randn(3, 48, 5, 7)
    apart = torch.cat([layer(image[None]) for image in images])
    torch.testing.assert_close(layer(images), apart)


@pytest.mark.parametrize(("norm", "channels"), [("layer", 16), ("layer", 64), ("group", 64)])
def test_norms_that_keep_how_channels_stand_to_each_other(norm: str, channels: int) -> None:
    layer, features = norm_layer(norm, channels), torch.randn(1, channels, 4, 4)
    level = torch.arange(channels).remainder(2)[:, None, None]  # of every second channel
    assert (layer(features + level) - layer(features)).abs().max() > 0.1


def test_a_u_net_has_a_middle_slice_to_change() -> None:
    for in_channels, out_channels in ((1, 3), (4, 2), (6, 3)):
        with pytest.raises(GeometryError, match="G211"):
            UNetGenerator(in_channels, out_channels, width=4, depth=2, predicts="change")


def test_reflected_edges_keep_a_flat_field_flat_up_to_the_border() -> None:
    network = initialise(ResNetGenerator(1, 1, width=4, blocks=2, norm="none"), std=0.2)
    out = network(torch.full((1, 1, 16, 16), -1.0))
    assert (out - out.mean()).abs().max() < 1e-5


def test_a_generator_of_light_draws_nothing() -> None:
    """Whatever its weights and its input: what it makes is the input's light times a smooth field, and another."""
    torch.manual_seed(0)
    network = initialise(ResNetGenerator(1, 1, width=8, blocks=1, predicts="light"), std=0.2)
    image = torch.rand(2, 1, 64, 48) * 2 - 1
    with torch.no_grad():
        fields = torch.nn.functional.adaptive_avg_pool2d(network.decoder(network.encoder(image)), 8)
        made = network(image)
        network.residuals = nn.Identity()
        seen = network(image)
    factor, offset = torch.nn.functional.interpolate(0.1 * fields, size=(64, 48), mode="bilinear").chunk(2, dim=1)
    gain = (2 * torch.tanh(factor / 2)).exp()
    expected = ((image + 1) / 2 * gain + torch.tanh(offset)).clamp(0, 1) * 2 - 1
    torch.testing.assert_close(seen, expected)
    assert factor.diff(dim=-1).abs().max() <= fields[:, :1].mul(0.1).diff(dim=-1).abs().max() / 6 + 1e-5
    assert made.shape == image.shape


@pytest.mark.parametrize("driven", [-1e4, 1e4])
def test_a_generator_of_light_finds_back_from_black_and_white(driven: float) -> None:
    """However far a step went: nothing becomes infinite, and where it is not too far the gradient says the way back."""
    torch.manual_seed(0)
    network = initialise(ResNetGenerator(1, 1, width=4, blocks=1, predicts="light"))
    bias = network.decoder[-1][0].bias
    nn.init.constant_(bias, driven)
    image = torch.rand(1, 1, 16, 16) * 2 - 1
    assert network(image).isfinite().all()
    nn.init.constant_(bias, driven / 500)
    made = network(image)
    assert made.abs().eq(1).float().mean() > 0.5
    made.mean().backward()
    assert (bias.grad > 0).all()


def test_a_fresh_generator_of_light_changes_little() -> None:
    torch.manual_seed(0)
    network = initialise(ResNetGenerator(3, 3, width=16, blocks=2, predicts="light"))
    image = torch.rand(1, 3, 36, 44) * 2 - 1
    assert (network(image) - image).abs().mean() < 0.15
    with pytest.raises(GeometryError, match="G211"):
        ResNetGenerator(3, 1, predicts="light")
