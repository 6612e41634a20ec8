"""Johnson's super-resolution: the paper's settings, its losses by hand, its factors and its histograms."""

import pytest
import torch
from torch import Tensor

from medgan.losses.reconstruction import l2
from medgan.losses.structure import total_variation
from medgan.methods.johnson_resolution import JohnsonResolution, JohnsonResolutionRecipe
from medgan.networks.feature_network import random_features
from medgan.settings.features import FeatureSettings
from medgan.training.resolution import coarse
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> JohnsonResolution:
    torch.manual_seed(0)
    recipe = JohnsonResolutionRecipe(
        **(JohnsonResolutionRecipe.tiny().model_dump() | {"weight_content": 1.0} | settings)
    )
    return JohnsonResolution(recipe, shape=GREY)


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 1.8 - 0.9 for name in "ab"}


def test_the_settings_are_the_papers() -> None:
    recipe = JohnsonResolutionRecipe()
    assert (recipe.learning_rate, recipe.batch_size, recipe.total_steps) == (1e-3, 4, 200_000)
    assert (recipe.decay_from, recipe.betas) == (1.0, (0.9, 0.999))
    assert (recipe.factor, recipe.kernel, recipe.sigma_px) == (4, "gaussian-bicubic", 1.0)
    assert (recipe.generator_width, recipe.blocks) == (64, 4)
    assert JohnsonResolutionRecipe(preset="x8").factor == 8


def test_the_loss_is_the_mean_squared_difference_of_features() -> None:
    """Equation 2: the squared Euclidean distance over C x H x W, summed over the layers of the default network."""
    learner, images = made(), batch()
    (turn,) = learner.training_step(images)
    fake, features = learner.g_ab(coarse(images["a"], learner.recipe)), random_features(1)
    pairs = zip(features(fake).values(), features(images["b"]).values(), strict=True)
    by_hand = sum(((one - other) ** 2).sum() / one.numel() for one, other in pairs)
    assert set(turn.losses) == {"perceptual"}
    torch.testing.assert_close(turn.losses["perceptual"], by_hand)


def test_the_baseline_compares_pixels_and_smoothness_stands_beside() -> None:
    learner, images = made(content="pixels", extra={"weight_total_variation": 0.3}), batch()
    (turn,) = learner.training_step(images)
    fake = learner.g_ab(coarse(images["a"], learner.recipe))
    torch.testing.assert_close(turn.losses["reconstruction"], l2(fake, images["b"]))
    torch.testing.assert_close(turn.losses["total_variation"], 0.3 * total_variation(fake))


def test_vgg16_is_looked_at_where_the_paper_does() -> None:
    vgg = FeatureSettings(network="vgg16", weights="vgg16.safetensors").model_dump()
    assert made(features=vgg).features.settings.layers == ("relu2_2",)


@pytest.mark.parametrize(("factor", "side"), [(2, 16), (4, 8), (8, 4)])
def test_it_goes_up_from_a_grid_that_many_times_coarser(factor: int, side: int) -> None:
    learner = made(factor=factor).eval()
    learner.g_ab.register_forward_pre_hook(lambda _, inputs: sides.append(tuple(inputs[0].shape[2:])))
    sides: list[tuple[int, ...]] = []
    assert learner.translate(batch()["a"], to="b").shape == (2, 1, 32, 32)
    assert sides == [(side, side)]


def test_levels_of_the_input_are_given_where_asked_for() -> None:
    images = batch()
    plain, matched = (made(match_levels=one).eval().translate(images["a"], to="b") for one in (False, True))
    assert torch.equal(matched.flatten(2).sort().values, images["a"].flatten(2).sort().values)
    assert torch.equal(matched.flatten(2).argsort(stable=True), plain.flatten(2).argsort(stable=True))
