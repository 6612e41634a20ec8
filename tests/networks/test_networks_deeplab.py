import pytest
import torch
from torch import nn

from medgan.networks.deeplab import DeepLabV3Plus
from medgan.networks.mobilenet import MobileNetV2, MobileNetV2Classifier
from medgan.networks.segmentation_unet import segmentation_unet


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def count_by_the_table(classes):
    """Weights of Sandler et al. 2018, table 2: convolutions without bias, two numbers a channel for batch norm."""
    total, width = 3 * 32 * 9 + 64, 32
    table = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    for expansion, channels, repeats in table:
        for _ in range(repeats):
            hidden = width * expansion
            total += (width * hidden + 2 * hidden if expansion > 1 else 0) + 9 * hidden + 2 * hidden
            total += hidden * channels + 2 * channels
            width = channels
    return total + 320 * 1280 + 2 * 1280 + 1280 * classes + classes


def test_mobilenet_has_the_papers_parameters():
    network = MobileNetV2Classifier(3, 1000)
    assert count(network) == count_by_the_table(1000) == 3_504_872
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


@pytest.mark.parametrize(("stride", "side"), [(8, 12), (16, 6), (32, 3)])
def test_output_stride_by_dilation(stride, side):
    network = MobileNetV2(1, width_multiplier=0.35, output_stride=stride).eval()
    features = network(torch.randn(1, 1, 96, 96))
    assert features.low.shape == (1, network.low_channels, 24, 24)
    assert features.high.shape == (1, network.high_channels, side, side)
    assert count(network) == count(MobileNetV2(1, width_multiplier=0.35, output_stride=32))


def test_dilated_features_hold_the_strided_ones():
    """With the same weights, every second output at stride 16 is the output at stride 32."""
    torch.manual_seed(0)
    coarse, fine = (MobileNetV2(1, width_multiplier=0.35, output_stride=stride).eval() for stride in (32, 16))
    fine.load_state_dict(coarse.state_dict())
    image = torch.randn(1, 1, 128, 128)
    with torch.no_grad():
        torch.testing.assert_close(fine(image).high[:, :, ::2, ::2], coarse(image).high, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("multiplier", [0.35, 1.0, 1.4])
def test_widths_are_multiples_of_eight(multiplier):
    widths = {m.out_channels for m in MobileNetV2(3, width_multiplier=multiplier).modules() if isinstance(m, nn.Conv2d)}
    assert all(width % 8 == 0 for width in widths)


@pytest.fixture
def deeplab():
    torch.manual_seed(0)
    return DeepLabV3Plus(3, 4, width=32, width_multiplier=0.35)


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_deeplab_gives_logits_at_the_images_size(deeplab, size):
    assert deeplab(torch.randn(2, 3, *size)).shape == (2, 4, *size)


def test_deeplab_trains_on_a_batch_of_one(deeplab):
    out = deeplab.train()(torch.randn(1, 3, 32, 32))
    out.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in deeplab.parameters())
    assert all((p.grad != 0).any() for p in deeplab.parameters() if p.ndim > 1)


def test_the_pooled_branch_sees_the_whole_image(deeplab):
    deeplab.eval()
    image = torch.zeros(1, 3, 256, 256)
    other = image.clone()
    other[:, :, -16:, -16:] = 1
    with torch.no_grad():
        assert not torch.equal(deeplab(image)[:, :, :4, :4], deeplab(other)[:, :, :4, :4])


def test_deeplab_rates_are_the_papers(deeplab):
    rates = [m.dilation[0] for m in deeplab.pyramid.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert rates == [6, 12, 18]


def test_the_unet_halves_four_times_and_has_no_transposed_convolution():
    network = segmentation_unet(2, 3, width=8)
    assert network(torch.randn(1, 2, 32, 48)).shape == (1, 3, 32, 48)
    assert not any(isinstance(module, nn.ConvTranspose2d) for module in network.modules())
    assert count(segmentation_unet(2, 3, width=16)) > 3 * count(network)
