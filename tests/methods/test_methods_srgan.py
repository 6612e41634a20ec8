"""SRGAN: the paper's settings and schedule, its four variants, and what a network is shown."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l2
from medgan.methods.srgan import SRGAN, SRGANRecipe
from medgan.networks.feature_network import random_features
from medgan.networks.reduction import enlarged, reduced
from medgan.settings.features import FeatureSettings
from medgan.training.resolution import coarse, on_the_fine_grid
from medgan.training.schedule import rate_factor
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> SRGAN:
    torch.manual_seed(0)
    return SRGAN(SRGANRecipe(**(SRGANRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 1.8 - 0.9 for name in "ab"}


def test_the_settings_are_the_papers() -> None:
    recipe = SRGANRecipe()
    assert (recipe.learning_rate, recipe.betas[0], recipe.batch_size, recipe.crop_px) == (1e-4, 0.9, 16, 96)
    assert (recipe.factor, recipe.blocks, recipe.generator_width, recipe.kernel) == (4, 16, 64, "bicubic")
    assert (recipe.content, recipe.weight_adversarial, recipe.adversarial) == ("features", 1e-3, "vanilla")
    assert recipe.discriminator_width == 64


def test_the_schedule_is_a_million_steps_of_pixels_and_two_hundred_thousand_of_the_rest() -> None:
    learner = made(total_steps=1_200_000, pretraining=SRGANRecipe().pretraining)
    turns = {}
    for step in (0, 999_999, 1_000_000, 1_199_999):
        learner.step = step
        turns[step] = learner.turns
    pixels, both = ("generator",), ("generator", "discriminator")
    assert turns == {0: pixels, 999_999: pixels, 1_000_000: both, 1_199_999: both}
    settings = learner.optimizer("generator")
    rates = [
        settings.learning_rate
        * rate_factor(step, total_steps=1_200_000, decay_from=settings.decay_from, tenth_from=settings.tenth_from)
        for step in (0, 1_099_999, 1_100_000, 1_199_999)
    ]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    assert SRGANRecipe(preset="srresnet-mse").tenth_from == 1


def test_pre_training_learns_from_pixels_and_shows_the_discriminator_nothing() -> None:
    learner, images = made(pretraining=0.5, total_steps=4, weight_content=7.0), batch()
    learner.d_b.register_forward_hook(lambda *_: pytest.fail("the discriminator ran"))
    for step in (0, 1):
        learner.step = step
        (turn,) = learner.training_step(images)
        fake = learner.g_ab(coarse(images["a"], learner.recipe))
        assert set(turn.losses) == {"reconstruction"}
        torch.testing.assert_close(turn.losses["reconstruction"], l2(fake, images["b"]))


@pytest.mark.parametrize(
    ("preset", "losses"),
    [
        ("srresnet-mse", {"reconstruction"}),
        ("srresnet-features", {"perceptual"}),
        ("srgan-mse", {"reconstruction", "adversarial"}),
        ("srgan-features", {"perceptual", "adversarial"}),
    ],
)
def test_the_papers_four_variants(preset: str, losses: set[str]) -> None:
    learner, images = made(**SRGANRecipe.presets[preset].settings), batch()
    learner.step = 1
    turns = list(learner.training_step(images))
    assert set(turns[0].losses) == losses
    assert tuple(turn.group for turn in turns) == learner.turns
    assert ("discriminator" in learner.turns) == ("adversarial" in losses)
    fake = learner.g_ab(coarse(images["a"], learner.recipe))
    if "perceptual" in losses:
        features = random_features(1)
        wanted = feature_distance(features(fake), features(images["b"]))
        torch.testing.assert_close(turns[0].losses["perceptual"], wanted)
    else:
        torch.testing.assert_close(turns[0].losses["reconstruction"], l2(fake, images["b"]))
    if "adversarial" in losses:
        fooled = 1e-3 * torch.nn.functional.softplus(-learner.d_b(fake)).mean()
        torch.testing.assert_close(turns[0].losses["adversarial"], fooled)


def test_the_default_is_srgan_with_features() -> None:
    settings = SRGANRecipe.presets["srgan-features"].settings
    assert SRGANRecipe(**settings) == SRGANRecipe()


def test_vgg19_is_looked_at_where_the_paper_does() -> None:
    vgg = FeatureSettings(network="vgg19", weights="vgg19.safetensors")
    assert made(features=vgg.model_dump()).features.settings.layers == ("relu5_4",)
    shallow = {**vgg.model_dump(), "layers": ("relu2_2",)}
    assert made(features=shallow).features.settings.layers == ("relu2_2",)
    assert made().features.settings.layers == ()


def test_the_network_is_shown_the_coarse_image_and_translation_takes_the_same_way() -> None:
    learner, images = made(low_resolution="given").eval(), batch()
    seen: list[Tensor] = []
    learner.g_ab.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    next(learner.training_step(images))
    out = learner.translate(images["a"], to="b")
    assert seen[0].shape == (2, 1, 8, 8)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(out, learner.g_ab(coarse(images["a"], learner.recipe)).clamp(-1, 1))


@pytest.mark.parametrize("kernel", ["bicubic", "box", "gaussian", "gaussian-bicubic"])
def test_a_made_coarse_image_is_what_a_true_one_of_that_kernel_would_be(kernel: str) -> None:
    """A scanner with that kernel, whose images were interpolated onto the fine grid, is met as in training."""
    learner, images = made(low_resolution="made", kernel=kernel, sigma_px=1.5), batch()
    scanned = enlarged(reduced(images["b"], factor=4, kernel=kernel, sigma_px=1.5), factor=4)
    assert torch.equal(on_the_fine_grid(images, learner.recipe), scanned)
    seen: list[Tensor] = []
    learner.g_ab.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    next(learner.training_step(images))
    learner.translate(scanned, to="b")
    assert torch.equal(seen[0], seen[1])


def test_made_coarse_images_do_not_look_at_the_source() -> None:
    images = batch()
    other = {**images, "a": -images["a"]}
    first, second = (next(made(low_resolution="made").training_step(one)).losses for one in (images, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for way, by_pairs in (("made", False), ("given", True)):
        learner = made(low_resolution=way)
        assert learner.learns_by_pairs(learner.recipe) == by_pairs


def test_a_stack_comes_out_as_its_middle_slice() -> None:
    recipe = SRGANRecipe.tiny().model_copy(update={"neighbours": 3, "predicts": "change", "factor": 2})
    learner = SRGAN(recipe, shape=SampleShape(1, 3, 32)).eval()
    stack = torch.rand(1, 3, 32, 48) * 2 - 1
    wanted = enlarged(coarse(stack, recipe)[:, 1:2], factor=2)
    torch.testing.assert_close(learner.translate(stack, to="b"), wanted)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValidationError, match="weight_content"):
        SRGANRecipe(weight_content=0)
    with pytest.raises(ValidationError, match="factor"):
        SRGANRecipe(factor=3)
