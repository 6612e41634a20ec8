"""Discriminators at several scales, and spectral normalisation."""

import copy

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from medgan.networks.for_inference import for_inference
from medgan.networks.multiscale_discriminator import MultiScaleDiscriminator
from medgan.networks.patch_discriminator import PatchDiscriminator
from medgan.networks.resnet_generator import ResNetGenerator
from medgan.networks.spectral import spectrally_normalised

IMAGE = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_each_scale_judges_an_image_half_as_large() -> None:
    network = MultiScaleDiscriminator(3, scales=3, patch=16, width=8)
    logits = network(IMAGE)
    alone = PatchDiscriminator(3, patch=16, width=8)
    assert [tuple(one.shape) for one in logits] == [tuple(alone(F.avg_pool2d(IMAGE, f)).shape) for f in (1, 2, 4)]
    assert len({id(p) for p in network.parameters()}) == 3 * len(list(alone.parameters()))


def test_the_last_feature_is_the_logit() -> None:
    network = MultiScaleDiscriminator(3, scales=2, patch=70, width=8)
    features = network.features(IMAGE)
    assert [len(layers) for layers in features] == [5, 5]
    for layers, logits in zip(features, network(IMAGE), strict=True):
        assert torch.equal(layers[-1], logits)
        assert [layer.shape[1] for layer in layers] == [8, 16, 32, 64, 1]


def test_spectral_normalisation_bounds_every_layer() -> None:
    network = spectrally_normalised(PatchDiscriminator(3, patch=16, width=8, norm="none"))
    for _ in range(30):
        network(IMAGE)
    network.eval()
    for layer in network.layers:
        if hasattr(layer, "weight"):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_spectrally_normalised_twice_is_once() -> None:
    network = spectrally_normalised(spectrally_normalised(PatchDiscriminator(3, patch=16, width=8)))
    assert not any(".1." in name and "parametrizations.weight.1" in name for name in network.state_dict())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_normalised_generator_translates_the_same_when_made_ready(precision) -> None:
    network = spectrally_normalised(ResNetGenerator(1, 1, width=16, blocks=2))
    image = IMAGE[:1, :1]
    network(image)
    network.eval()
    expected = network(image)
    state = copy.deepcopy(network.state_dict())
    ready = for_inference(network, precision=precision, device=torch.device("cpu"))
    torch.testing.assert_close(ready(image), expected, atol=1e-4 if precision == "fp32" else 0.05, rtol=0)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
