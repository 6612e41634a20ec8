"""Features of the residual generator: the same as in the pass that generates, no further than asked, fields known."""

import pytest
import torch
from torch import nn

from medgan.networks.initialisation import initialise
from medgan.networks.resnet_generator import ResNetGenerator

LAYERS = ("pixels", "down-1", "down-2", "block-1", "block-5")


def network(**settings: object) -> ResNetGenerator:
    torch.manual_seed(0)
    return initialise(ResNetGenerator(3, 3, **{"width": 4, "blocks": 6, **settings}), std=0.2)


def image(size: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_channels_are_the_published_ones_at_the_published_width() -> None:
    made = ResNetGenerator(3, 3, width=64, blocks=9)
    assert [made.feature_channels[layer] for layer in LAYERS] == [3, 128, 256, 256, 256]
    assert list(made.feature_channels)[-1] == "block-9"


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
@pytest.mark.parametrize("predicts", ["image", "change"])
def test_both_ways_give_what_forward_gives(norm, predicts) -> None:
    made, shown = network(norm=norm, predicts=predicts), image()
    drawn, found = made.forward_with_features(shown, LAYERS)
    assert torch.equal(drawn, made(shown))
    alone = made.features(shown, LAYERS)
    assert list(found) == list(alone) == list(LAYERS)
    for layer, one in alone.items():
        assert torch.equal(found[layer], one)
        assert one.shape[:2] == (2, made.feature_channels[layer])


def test_each_layer_is_what_its_name_says() -> None:
    made, shown = network(norm="none"), image()
    found = made.features(shown, LAYERS)
    assert found["pixels"] is shown
    assert found["down-1"].min() < 0  # in front of the activation
    torch.testing.assert_close(found["down-1"], made.encoder[:3](shown))
    torch.testing.assert_close(found["block-1"], made.residuals[0](made.encoder(shown)))
    torch.testing.assert_close(found["block-5"], made.residuals[:5](made.encoder(shown)))


def test_nothing_is_computed_beyond_the_last_layer() -> None:
    made = network()
    for part in (*made.residuals[1:], made.decoder):
        part.register_forward_hook(lambda *_: pytest.fail("it ran on"))
    made.features(image(), ("down-1", "block-1"))


@pytest.mark.parametrize(("layer", "sees"), [*zip(LAYERS, (1, 9, 13, 29, 93), strict=True)])
def test_receptive_fields(layer: str, sees: int) -> None:
    """Without normalisation, which sees everything: how far a pixel of the features reaches in the image."""
    made, shown = network(norm="none", down_padding="zeros"), image(160)[:1].requires_grad_()
    for module in made.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
    one = made.features((shown.abs() + 1), (layer,))[layer]
    middle = one.shape[-1] // 2
    (slope,) = torch.autograd.grad(one[0, 0, middle, middle], shown)
    reached = slope.abs().sum(dim=(0, 1)).nonzero()
    assert (reached.max(dim=0).values - reached.min(dim=0).values + 1).tolist() == [sees, sees]


def test_gradients_reach_the_image_and_the_weights() -> None:
    made, shown = network(), image().requires_grad_()
    drawn, found = made.forward_with_features(shown, LAYERS)
    (drawn.sum() + sum(one.square().sum() for one in found.values())).backward()
    assert shown.grad is not None
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())
