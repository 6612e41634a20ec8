"""pix2pix: the paper's settings, its ablations, and a translation that never changes from call to call."""

import pytest
import torch
from pydantic import ValidationError

from medgan.errors import SettingsError
from medgan.losses.adversarial import discriminator_loss, generator_loss
from medgan.losses.reconstruction import l1
from medgan.methods.pix2pix import Pix2Pix, Pix2PixRecipe
from medgan.networks.patch_discriminator import receptive_field_px
from medgan.training.translator import SampleShape

STACK = SampleShape(1, 3, 32)


def made(**settings: object) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(Pix2PixRecipe(**(Pix2PixRecipe.tiny().model_dump() | settings)), shape=STACK)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def test_defaults_are_the_papers() -> None:
    recipe = Pix2PixRecipe()
    assert (recipe.weight_l1, recipe.weight_adversarial, recipe.weight_discriminator) == (100, 1, 0.5)
    assert (recipe.adversarial, recipe.conditional, recipe.patch) == ("vanilla", True, 70)
    assert (recipe.generator, recipe.dropout, recipe.generator_width) == ("unet", 0.5, 64)
    assert (recipe.learning_rate, recipe.betas) == (2e-4, (0.5, 0.999))


@pytest.mark.parametrize("generator", ["unet", "encoder-decoder", "resnet"])
def test_a_change_starts_from_the_middle_slice(generator: str) -> None:
    neighbours = 1 if generator == "resnet" else 3
    settings = {"generator": generator, "predicts": "change", "neighbours": neighbours}
    recipe = Pix2PixRecipe(**(Pix2PixRecipe.tiny().model_dump() | settings))
    stack = torch.linspace(-0.9, 0.9, neighbours)[:, None, None].expand(1, -1, 32, 32).contiguous()
    moved = Pix2Pix(recipe, shape=SampleShape(1, neighbours, 32)).translate(stack, to="b") - stack[:, neighbours // 2]
    assert 0 < moved.abs().mean() < 0.1


def test_a_change_of_a_stack_by_a_resnet_is_refused() -> None:
    with pytest.raises(ValidationError, match="generator resnet changes one slice"):
        Pix2PixRecipe(generator="resnet", predicts="change", neighbours=3)


def test_256_px_give_the_papers_unet() -> None:
    recipe = Pix2PixRecipe(generator_width=2, discriminator_width=2)
    assert len(Pix2Pix(recipe, shape=SampleShape(3, 1, 256)).g_ab.downs) == 8


def test_losses_are_the_papers_equations() -> None:
    learner, real = made(dropout=0), batch()
    generator, discriminator = learner.training_step(real)
    target, fake = real["b"][:, 1:2], learner.g_ab(real["a"])
    fake_logits = learner.d_b(torch.cat([real["a"], fake], dim=1))
    real_logits = learner.d_b(torch.cat([real["a"], target], dim=1))
    expected = {"adversarial": generator_loss(fake_logits, kind="vanilla"), "reconstruction": 100 * l1(fake, target)}
    torch.testing.assert_close(generator.losses, expected)
    judged = 0.5 * discriminator_loss(real_logits, fake_logits, kind="vanilla")
    torch.testing.assert_close(discriminator.losses["adversarial"], judged)


def test_l1_alone_runs_no_discriminator() -> None:
    learner = made(weight_adversarial=0)
    learner.d_b.register_forward_hook(lambda *_: pytest.fail("the discriminator ran"))
    (turn,) = learner.training_step(batch())
    assert learner.turns == ("generator",)
    assert set(turn.losses) == {"reconstruction"}


def test_adversarial_alone_asks_for_no_target() -> None:
    generator, _ = made(weight_l1=0).training_step(batch())
    assert set(generator.losses) == {"adversarial"}


def test_asking_for_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would be learned"):
        Pix2PixRecipe(weight_l1=0, weight_adversarial=0)


@pytest.mark.parametrize(("conditional", "channels"), [(True, 4), (False, 1)])
def test_the_discriminator_sees_the_input_only_when_conditional(conditional: bool, channels: int) -> None:
    learner = made(conditional=conditional)
    seen: list[int] = []
    learner.d_b.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    list(learner.training_step(batch()))
    assert seen == [channels, channels]


@pytest.mark.parametrize("generator", ["unet", "encoder-decoder", "resnet"])
def test_dropout_works_in_training_and_never_in_translation(generator: str) -> None:
    learner, image = made(generator=generator).train(), batch()["a"]
    assert not torch.equal(learner.g_ab(image), learner.g_ab(image))
    first = learner.translate(image, to="b")
    assert first.shape == (2, 1, 32, 32)
    assert torch.equal(first, learner.translate(image, to="b"))
    assert torch.equal(first, learner.eval().translate(image, to="b"))
    assert learner.train().g_ab.training


def test_a_patients_image_does_not_depend_on_the_batch_it_is_in() -> None:
    learner, image = made().eval(), batch()["a"]
    torch.testing.assert_close(learner.translate(image, to="b")[:1], learner.translate(image[:1], to="b"))


def test_the_way_back_is_refused() -> None:
    with pytest.raises(SettingsError, match="S211"):
        made().translate(batch()["a"], to="a")


def test_the_encoder_decoder_draws_what_it_is_shown() -> None:
    """A bottleneck of one pixel was wiped out by the normalisation behind it: all images became the same."""
    learner = made(generator="encoder-decoder").eval()
    out = learner.translate(batch()["a"], to="b")
    assert (out[0] - out[1]).abs().max() > 1e-3
    assert out[0].std() > 1e-3


PRESETS = {
    "l1": (100, 0, True, "unet", 70),
    "gan": (0, 1, False, "unet", 70),
    "cgan": (0, 1, True, "unet", 70),
    "l1-gan": (100, 1, False, "unet", 70),
    "l1-cgan": (100, 1, True, "unet", 70),
    "encoder-decoder": (100, 1, True, "encoder-decoder", 70),
    "pixel": (100, 1, True, "unet", 1),
    "patch-16": (100, 1, True, "unet", 16),
    "image": (100, 1, True, "unet", "image"),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_differs_from_the_method_in_what_the_paper_takes_away(preset: str) -> None:
    recipe = Pix2PixRecipe(preset=preset)
    losses = (recipe.weight_l1, recipe.weight_adversarial, recipe.conditional)
    assert (*losses, recipe.generator, recipe.patch) == PRESETS[preset]
    assert set(Pix2PixRecipe.presets) == set(PRESETS)


@pytest.mark.parametrize(("size_px", "sees"), [(32, 34), (64, 70), (96, 142), (256, 286), (320, 286)])
def test_the_image_preset_sees_a_whole_training_image(size_px: int, sees: int) -> None:
    recipe = Pix2PixRecipe(preset="image", generator_width=2, discriminator_width=2)
    learner = Pix2Pix(recipe, shape=SampleShape(1, 1, size_px))
    assert receptive_field_px(learner.d_b) == sees
    assert learner.d_b(torch.zeros(1, 2, size_px, size_px)).shape[1] == 1
