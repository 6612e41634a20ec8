"""Distances of features and styles, by hand and by einsum."""

import pytest
import torch

from medgan.errors import GeometryError
from medgan.losses.perceptual import feature_distance, gram, grams, style_distance

ONE = {"low": torch.randn(2, 3, 8, 8), "high": torch.randn(2, 5, 4, 4)}
OTHER = {"low": torch.randn(2, 3, 8, 8), "high": torch.randn(2, 5, 4, 4)}


def test_the_layers_are_weighed_and_added() -> None:
    low, high = (torch.nn.functional.mse_loss(ONE[key], OTHER[key]) for key in ("low", "high"))
    torch.testing.assert_close(feature_distance(ONE, OTHER), low + high)
    weighed = feature_distance(ONE, OTHER, weights={"low": 2.0, "high": 0.5})
    torch.testing.assert_close(weighed, 2 * low + high / 2)
    absolute = torch.nn.functional.l1_loss(ONE["low"], OTHER["low"])
    torch.testing.assert_close(feature_distance({"low": ONE["low"]}, {"low": OTHER["low"]}, kind="l1"), absolute)


def test_gram_equals_einsum() -> None:
    layer = ONE["high"]
    expected = torch.einsum("nchw,ndhw->ncd", layer, layer) / (5 * 4 * 4)
    torch.testing.assert_close(gram(layer), expected)


def test_pixels_that_are_not_shown_do_not_count() -> None:
    layer, shown = ONE["high"], torch.zeros(2, 1, 4, 4)
    shown[..., :2, :] = 1
    torch.testing.assert_close(gram(layer, shown=shown), gram(layer[..., :2, :]))
    torch.testing.assert_close(gram(layer, shown=torch.full_like(shown, 0.3)), gram(layer))
    assert not gram(layer, shown=torch.zeros_like(shown)).any()


def test_a_style_forgets_where_things_are() -> None:
    turned = {name: layer.flip(-1) for name, layer in ONE.items()}
    assert style_distance(grams(turned), grams(ONE)).item() == pytest.approx(0, abs=1e-8)
    assert feature_distance(turned, ONE) > 0.1


def test_one_style_serves_a_whole_batch() -> None:
    style = {name: matrix[:1] for name, matrix in grams(OTHER).items()}
    whole = {name: matrix.expand(2, -1, -1) for name, matrix in style.items()}
    torch.testing.assert_close(style_distance(grams(ONE), style), style_distance(grams(ONE), whole))


def test_other_layers_or_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"\[G210\].*differ"):
        feature_distance(ONE, {"low": OTHER["low"]})
    with pytest.raises(GeometryError, match=r"\[G210\].*differ"):
        style_distance(grams(ONE), {"low": torch.zeros(1, 4, 4), "high": torch.zeros(1, 5, 5)})


def test_no_gradient_goes_to_the_reference() -> None:
    reference = {name: layer.clone().requires_grad_() for name, layer in OTHER.items()}
    image = {name: layer.clone().requires_grad_() for name, layer in ONE.items()}
    (feature_distance(image, reference) + style_distance(grams(image), grams(reference))).backward()
    assert all(layer.grad is None for layer in reference.values())
    assert all(layer.grad.abs().sum() > 0 for layer in image.values())
