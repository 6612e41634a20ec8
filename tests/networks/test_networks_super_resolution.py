"""SRResNet, Johnson's network and SRGAN's discriminator: the papers' tables, sizes, and where they start."""

import pytest
import torch
from torch import nn

from medgan.errors import SettingsError
from medgan.networks.for_inference import for_inference
from medgan.networks.reduction import enlarged
from medgan.networks.super_resolution import FeedForwardEnlarger, SRResNet, SubPixel
from medgan.networks.vgg_discriminator import VGGDiscriminator, check_size_fits

UPSAMPLINGS: tuple[SubPixel, ...] = ("resize", "sub-pixel")


def parameters(network: nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_srresnet_has_the_papers_layers() -> None:
    network = SRResNet(3, 3, upsampling="sub-pixel")
    of_block = 2 * (64 * 64 * 9 + 64) + 1
    doubling = 64 * 256 * 9 + 256 + 1
    ends = (3 * 64 * 81 + 64) + 1 + (64 * 64 * 9 + 64) + (64 * 3 * 81 + 3)
    assert parameters(network) == 16 * of_block + 2 * doubling + ends == 1_545_238
    kernels = [layer.kernel_size[0] for layer in convolutions(network)]
    assert kernels == [9, *[3] * 32, 3, 3, 3, 9]
    assert [layer.out_channels for layer in convolutions(network)] == [*[64] * 34, 256, 256, 3]


@pytest.mark.parametrize(("factor", "doublings"), [(4, 2), (8, 3)])
def test_johnsons_network_has_the_supplements_layers(factor: int, doublings: int) -> None:
    network = FeedForwardEnlarger(3, 3, factor=factor)
    of_convolution = 64 * 64 * 9 + 64
    ends = (3 * 64 * 81 + 64) + (64 * 3 * 81 + 3)
    assert parameters(network) == (4 * 2 + doublings) * of_convolution + ends
    assert [layer.kernel_size[0] for layer in convolutions(network)] == [9, *[3] * (8 + doublings), 9]
    side = 288 // factor
    small = FeedForwardEnlarger(3, 3, factor=factor, width=2)
    assert small(torch.zeros(1, 3, side, side)).shape == (1, 3, 288, 288)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_every_size_from_three_pixels_on_comes_out_larger(factor: int, upsampling: SubPixel) -> None:
    for network in (
        SRResNet(2, 1, factor=factor, width=4, blocks=1, upsampling=upsampling),
        FeedForwardEnlarger(2, 1, factor=factor, width=4, blocks=1),
    ):
        for height, width in ((3, 3), (4, 7), (19, 5)):
            out = network(torch.zeros(2, 2, height, width))
            assert out.shape == (2, 1, factor * height, factor * width)
            assert torch.isfinite(out).all()


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_a_change_starts_from_the_interpolated_middle_slice(upsampling: SubPixel) -> None:
    network = SRResNet(3, 1, factor=2, width=4, blocks=1, upsampling=upsampling, predicts="change")
    stack = torch.rand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(network(stack), enlarged(stack[:, 1:2], factor=2))


def test_four_kinds_of_pixels_start_alike() -> None:
    """ICNR: inside the frame that the zeros around an image reach, each pixel comes out as 2 x 2 equal ones."""
    network = SRResNet(1, 1, factor=2, width=4, blocks=1, upsampling="sub-pixel")
    shuffled = network.larger[0](torch.randn(1, 4, 9, 9))
    kinds = shuffled.unflatten(3, (9, 2)).unflatten(2, (9, 2))
    assert torch.equal(kinds, kinds[:, :, :, :1, :, :1].expand_as(kinds))


@pytest.mark.parametrize("network", [SRResNet(3, 3, width=64), FeedForwardEnlarger(3, 3), SRResNet(1, 1, width=8)])
def test_a_signal_neither_dies_nor_explodes_without_a_normalisation(network: nn.Module) -> None:
    with torch.no_grad():
        spread = network(torch.rand(2, convolutions(network)[0].in_channels, 12, 12) * 2 - 1).std()
    assert 0.02 < spread < 1


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_the_copy_for_inference_gives_the_same_image(upsampling: SubPixel) -> None:
    network = SRResNet(1, 1, width=16, blocks=1, upsampling=upsampling)
    image = torch.rand(1, 1, 12, 10) * 2 - 1
    with torch.no_grad():
        copy = for_inference(network, precision="fp32", device=torch.device("cpu"))
        torch.testing.assert_close(copy(image), network(image), atol=1e-5, rtol=1e-4)
        rough = for_inference(network, precision="bf16", device=torch.device("cpu"))
        torch.testing.assert_close(rough(image), network(image), atol=0.05, rtol=0)


def test_the_discriminator_is_the_papers() -> None:
    network = VGGDiscriminator(3)
    layers = convolutions(network)
    assert [layer.out_channels for layer in layers] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [layer.stride[0] for layer in layers] == [1, 2] * 4
    assert {layer.kernel_size for layer in layers} == {(3, 3)}
    normalised = 64 + 2 * (128 + 256 + 512)
    assert parameters(network) == 23_559_937
    assert parameters(network) + 3 * normalised == 23_565_505, "with biases, scales and shifts of batch normalisation"


def test_at_96_px_the_grid_leaves_the_features_alone() -> None:
    network = VGGDiscriminator(1, width=2)
    features = network.layers(torch.randn(2, 1, 96, 96))
    assert torch.equal(network.grid(features), features)


@pytest.mark.parametrize("size_px", [32, 50, 64, 96, 200])
def test_one_logit_an_image_of_any_size(size_px: int) -> None:
    assert VGGDiscriminator(1, width=2)(torch.randn(3, 1, size_px, size_px)).shape == (3, 1)


def test_an_image_is_judged_alone() -> None:
    network, images = VGGDiscriminator(1, width=2), torch.randn(3, 1, 64, 64)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone)


def test_small_training_images_are_refused() -> None:
    check_size_fits(32)
    with pytest.raises(SettingsError, match=r"\[S210\].*too small for the discriminator.*31 px"):
        check_size_fits(31)
