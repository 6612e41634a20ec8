"""The inference copy of a network gives what the network gives, on every size and whatever the batch."""

import copy

import pytest
import torch
from torch import Tensor, nn

from medgan.networks.for_inference import ChannelNorm, for_inference
from medgan.networks.layers import DoublingConv2d, InstanceNorm
from medgan.networks.resnet_generator import ResNetGenerator
from medgan.networks.unet_generator import UNetGenerator
from medgan.networks.winograd import WinogradConvolution, suits

CPU = torch.device("cpu")
ROUNDING = 5e-5
"""Largest difference in [-1, 1] that another order of summation makes in nine blocks; fp32 itself is off by 3e-6."""


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def resnet(**changes: object) -> ResNetGenerator:
    torch.manual_seed(1)
    settings: dict[str, object] = {"in_channels": 1, "out_channels": 1, "width": 16, "blocks": 9}
    return ResNetGenerator(**{**settings, **changes}).eval()


def unet(**changes: object) -> UNetGenerator:
    torch.manual_seed(2)
    settings: dict[str, object] = {"in_channels": 3, "out_channels": 1, "width": 16, "depth": 5}
    return UNetGenerator(**{**settings, **changes}).eval()


NETWORKS = {
    "resnet": resnet,
    "as published": lambda: resnet(upsampling="transposed"),
    "group norm": lambda: resnet(norm="group"),
    "no norm": lambda: resnet(norm="none", blocks=2),
    "changes": lambda: resnet(predicts="change"),
    "colour": lambda: resnet(in_channels=3, out_channels=3, width=32, blocks=2),
    "unet": unet,
    "unet changes": lambda: unet(predicts="change"),
    "unet as published": lambda: unet(upsampling="transposed"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(64, 64), (76, 92), (32, 100)])
@torch.inference_mode()
def test_fp32_differs_from_the_network_by_rounding(name: str, size: tuple[int, int]) -> None:
    network = NETWORKS[name]()
    before = copy.deepcopy(network.state_dict())
    channels = 3 if name == "colour" or name.startswith("unet") else 1
    image = images(2, channels, *size)
    made = for_inference(network, precision="fp32", device=CPU)
    torch.testing.assert_close(made(image), network(image), atol=ROUNDING, rtol=0)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), "the network itself stays as it is"


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_bf16_stays_near_and_gives_float32(name: str) -> None:
    network = NETWORKS[name]()
    image = images(1, 3 if name == "colour" or name.startswith("unet") else 1, 64, 64)
    made = for_inference(network, precision="bf16", device=CPU)(image)
    reference = network(image)
    assert made.dtype == torch.float32
    assert (made - reference).abs().mean() < 0.02
    assert not torch.equal(made, reference), "it was computed in fp32"
    assert len(made.unique()) > 1000, "the output has no more steps than bf16 has"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["resnet", "unet"])
@torch.inference_mode()
def test_the_same_input_gives_the_same_bits(name: str, precision: str) -> None:
    made = for_inference(NETWORKS[name](), precision=precision, device=CPU)
    image = images(1, 1 if name == "resnet" else 3, 52, 60)
    assert torch.equal(made(image), made(image))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_scales_and_shifts_of_a_normalisation_stay(precision: str) -> None:
    torch.manual_seed(5)
    network = nn.Sequential(InstanceNorm(4, affine=True), nn.Identity())
    nn.init.normal_(network[0].weight)
    nn.init.normal_(network[0].bias)
    image = images(2, 4, 40, 40)
    torch.testing.assert_close(for_inference(network, precision=precision, device=CPU)(image), network(image))


def scaled() -> nn.Sequential:
    """A convolution that bf16 computes, and a normalisation whose scales are fp32."""
    torch.manual_seed(6)
    network = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), InstanceNorm(16, affine=True), nn.ReLU())
    nn.init.normal_(network[1].weight)
    nn.init.normal_(network[1].bias)
    return network


@pytest.mark.parametrize("side", [8, 31, 32, 40])
@torch.inference_mode()
def test_scales_in_fp32_take_features_in_bf16(side: int) -> None:
    """On either side of the size from which maps are normalised in bf16."""
    network, image = scaled(), images(2, 16, side, side)
    made = for_inference(network, precision="bf16", device=CPU)
    assert isinstance(made[1], ChannelNorm)
    assert (made[0](image).dtype, made[1].weight.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(made(image).float(), network(image), atol=0.06, rtol=0.02)


@torch.inference_mode()
def test_kernels_of_other_devices_get_features_of_their_scales_type() -> None:
    """Meta tensors stand for a card's, whose kernel refuses bf16 features with fp32 scales."""
    norm = for_inference(scaled(), precision="bf16", device=CPU)[1].to("meta")
    features = torch.empty(2, 16, 40, 40, dtype=torch.bfloat16, device="meta")
    assert norm(features).dtype == torch.float32


def test_it_takes_no_gradient() -> None:
    made = for_inference(resnet(), precision="fp32", device=CPU)
    assert not any(parameter.requires_grad for parameter in made.parameters())
    assert not made.training


def test_the_fast_ways_are_taken() -> None:
    """Else the tests above compare a network with itself."""
    made = for_inference(resnet(blocks=3), precision="fp32", device=CPU)
    found = [module for module in made.modules() if isinstance(module, WinogradConvolution)]
    assert [module.doubled for module in found] == [False] * 6 + [True]
    assert not any(isinstance(module, nn.InstanceNorm2d) for module in made.modules())
    names = {type(module).__name__ for module in made.modules()}
    assert "FewChannelsOut" in names


class TestWinograd:
    @pytest.mark.parametrize("size", [(16, 16), (17, 23), (18, 64), (3, 200), (96, 96)])
    @pytest.mark.parametrize(("mode", "doubled"), [("reflect", False), ("zeros", False), ("reflect", True)])
    @torch.inference_mode()
    def test_it_convolves_to_the_last_edge(self, size: tuple[int, int], mode: str, doubled: bool) -> None:
        torch.manual_seed(3)
        convolution = nn.Conv2d(32, 40, 3, padding=1, padding_mode=mode)
        image = images(2, 32, *size)
        exact = copy.deepcopy(convolution).double()
        big = nn.functional.interpolate(image.double(), scale_factor=2) if doubled else image.double()
        if doubled:
            weights, convolution = convolution.state_dict(), DoublingConv2d(32, 40)
            convolution.load_state_dict(weights)
        made = WinogradConvolution(convolution)(image)
        torch.testing.assert_close(made.double(), exact(big), atol=5e-6, rtol=0)

    @torch.inference_mode()
    def test_its_rounding_error_is_of_the_size_of_the_convolutions_own(self) -> None:
        torch.manual_seed(4)
        convolution = nn.Conv2d(256, 64, 3, padding=1, bias=False)
        image = torch.randn(1, 256, 32, 32)
        exact = copy.deepcopy(convolution).double()(image.double())
        spread = float(exact.std())
        assert float((WinogradConvolution(convolution)(image) - exact).std()) < 2e-6 * spread

    def test_only_what_it_can_do_is_given_to_it(self) -> None:
        assert suits(nn.Conv2d(32, 32, 3, padding=1))
        unfit = [
            nn.Conv2d(32, 32, 3),
            nn.Conv2d(32, 32, 3, padding=1, stride=2),
            nn.Conv2d(32, 32, 3, padding=1, groups=2),
            nn.Conv2d(32, 32, 3, padding=2, dilation=2),
            nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular"),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.Conv2d(32, 32, 5, padding=2),
        ]
        assert not any(suits(module) for module in unfit)
