"""The look of a domain: one image's is the papers', several images' is that of a typical one."""

import pytest
import torch

from medgan.losses.perceptual import gram
from medgan.settings.features import FeatureSettings
from medgan.training.features import LossNetwork
from medgan.training.texture import Texture, content_loss, foreground, learnt_texture, shown_in, style_loss

LOOK = LossNetwork(FeatureSettings(), channels=1)
STYLE = ("relu1b", "relu3b")
HOW = {"style_layers": STYLE, "size_multiple": 4, "background": True}


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(3)) - 0.6


def learnt(chosen: torch.Tensor, *, background: bool = True) -> Texture:
    return learnt_texture(list(chosen), LOOK, **HOW | {"background": background})


def test_one_images_style_is_its_own_gram_matrix_and_costs_it_nothing() -> None:
    image = images(1)
    texture = learnt(image)
    features = LOOK(image)
    for name in STYLE:
        torch.testing.assert_close(gram(features[name]), texture.grams[name], atol=1e-5, rtol=1e-4)
    losses = style_loss(features, texture, seen=None, size_multiple=4)
    assert all(loss.item() == pytest.approx(0, abs=1e-8) for loss in losses.values())


def test_a_blank_image_costs_one_a_layer() -> None:
    texture = learnt(images(3))
    blank = {name: torch.zeros(1, texture.grams[name].shape[1], 8, 8) for name in STYLE}
    losses = style_loss(blank, texture, seen=None, size_multiple=4)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(dict.fromkeys(STYLE, 1.0))


def test_no_image_costs_more_than_a_blank_one_however_bright_it_is() -> None:
    """An overexposed photograph must not count for a hundred others."""
    texture, features = learnt(images(3)), LOOK(images(1))
    costs = [
        style_loss({name: layer * by for name, layer in features.items()}, texture, seen=None, size_multiple=4)
        for by in (2, 10, 1000)
    ]
    for name in STYLE:
        assert costs[0][name] < costs[1][name] < costs[2][name] <= 1


def test_content_is_measured_by_the_features_own_size() -> None:
    """So that a network whose features are a thousand times as large comes to the same."""
    image, other = images(2).split(1)
    large = LossNetwork(FeatureSettings(), channels=1)
    last = large.load().network.get_submodule("conv1b")
    with torch.no_grad():
        last.weight.mul_(1000)
    found = [
        content_loss(look(image), look(other), learnt_texture(list(images(3)), look, **HOW), layers=["relu3b"]).item()
        for look in (LOOK, large)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_how_bright_images_are_between_them_is_no_part_of_a_typical_ones_style() -> None:
    """Two flat images, one dark and one bright: a typical one is flat, too, though their pooled pixels are not."""
    flat = torch.stack([torch.full((1, 32, 32), value) for value in (-0.8, -0.2)])
    texture = learnt(flat)
    for name in STYLE:
        rank_one = torch.linalg.matrix_rank(texture.grams[name][0].double(), rtol=1e-4)
        assert rank_one == 1, "nothing varies within the images"


def test_what_is_background_is_told_pixel_by_pixel_and_shared_out_to_layers() -> None:
    image = torch.zeros(1, 2, 6, 6)
    image[..., :3, :] = -1
    image[0, 1, 0, 0] = 0.5
    seen = foreground(image)
    assert seen.shape == (1, 1, 6, 6)
    assert seen[0, 0, :3].sum() == 1, "one channel that shows something is enough"
    shown = shown_in(torch.zeros(1, 5, 2, 2), seen, size_multiple=4)
    torch.testing.assert_close(shown[0, 0], torch.tensor([[5 / 16, 2 / 16], [8 / 16, 4 / 16]]))


def test_it_goes_through_tensors_and_back() -> None:
    texture = learnt(images(2))
    again = Texture.of_tensors(texture.tensors())
    assert again.powers == texture.powers
    assert all(torch.equal(again.grams[name], texture.grams[name]) for name in STYLE)
