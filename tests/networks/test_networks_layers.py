"""Layers that must compute what torch's own do."""

import pytest
import torch
from torch import nn

from medgan.networks.layers import DoublingConv2d, InstanceNorm, ReflectedConv2d

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def same_as(layer, plain, features, *, layout, atol=1e-5):
    """Both layers with the same weights give the same outputs and gradients, and the layout stays."""
    plain.load_state_dict(layer.state_dict())
    plain, layer = plain.double(), layer.double().to(memory_format=layout)
    results = []
    for one in (layer, plain):
        source = features.double().to(memory_format=layout).requires_grad_()
        output = one(source)
        output.mul(torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)).sum().backward()
        results.append([output, source.grad, *(parameter.grad for parameter in one.parameters())])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=atol)
    if layout == torch.channels_last:
        assert results[0][0].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (7, 1)])
def test_reflected_convolution(layout, kernel, stride):
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 5, kernel, stride=stride, padding=kernel // 2, padding_mode="reflect")
    same_as(ReflectedConv2d(3, 5, kernel, stride=stride), plain, torch.randn(2, 3, 12, 9), layout=layout, atol=1e-12)


def test_reflected_convolution_pads_under_autocast_as_without():
    torch.manual_seed(0)
    layer, features = ReflectedConv2d(4, 4, 3), torch.randn(1, 4, 8, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(features)
        plain = nn.functional.pad(features, (1, 1, 1, 1), mode="reflect")
        expected = nn.functional.conv2d(plain, layer.weight, layer.bias)
    assert torch.equal(output, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (1, 3, 1, 1), (1, 3, 1, 4)])
def test_doubling_convolution(layout, bias, shape):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect", bias=bias))

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = plain[1].weight, plain[1].bias

        def forward(self, features):
            return plain(features)

    features = torch.randn(shape)
    same_as(DoublingConv2d(3, 4, bias=bias), Plain(), features, layout=layout, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("samples", [1, 3])
def test_instance_norm(layout, samples):
    torch.manual_seed(0)
    features = 5 + 3 * torch.randn(samples, 4, 7, 6)
    same_as(InstanceNorm(4), nn.InstanceNorm2d(4), features, layout=layout, atol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", [InstanceNorm(2), DoublingConv2d(2, 2)])
def test_layers_differentiate_twice(layer, layout):
    torch.manual_seed(0)
    features = torch.randn(2, 2, 3, 3, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    assert torch.autograd.gradgradcheck(layer.double(), features)


def test_instance_norm_in_bf16_is_near_fp32():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 16, 16).to(memory_format=torch.channels_last)
    exact, rough = InstanceNorm(4)(features), InstanceNorm(4)(features.bfloat16())
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.05


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_channel_that_is_the_same_everywhere_gets_no_gradient_and_leaves_the_others_theirs(layout):
    features = torch.randn(2, 3, 9, 8)
    features[0, 1] = -1.0
    features[1, 2] = 0.0
    features[1, 0] = 0.0
    features[1, 0, 4, 3] = 1.0  # flat, but for one pixel between those that are looked at first
    weights = torch.randn(2, 3, 9, 8)
    found, expected = (features.clone().to(memory_format=layout).requires_grad_() for _ in range(2))
    InstanceNorm(3)(found).mul(weights).sum().backward()
    nn.InstanceNorm2d(3)(expected).mul(weights).sum().backward()
    flat = torch.tensor([[False, True, False], [False, False, True]])
    assert not found.grad[flat].any()
    torch.testing.assert_close(found.grad[~flat], expected.grad[~flat])
    assert found.grad[1, 0].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_image_ends_no_training_by_an_infinite_gradient(layout):
    torch.manual_seed(0)
    layers = [part for _ in range(12) for part in (ReflectedConv2d(4, 4, 3), InstanceNorm(4))]
    network = nn.Sequential(*layers, ReflectedConv2d(4, 1, 3)).to(memory_format=layout)
    network(torch.full((2, 4, 16, 16), -1.0).to(memory_format=layout)).sub(1).square().mean().backward()
    norm = sum(parameter.grad.square().sum() for parameter in network.parameters() if parameter.grad is not None).sqrt()
    assert 0 < norm < 100
