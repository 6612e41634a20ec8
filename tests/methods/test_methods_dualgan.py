"""DualGAN: the paper's settings, critics that step more often and stay clipped, and a translation without noise."""

import pytest
import torch
from pydantic import ValidationError

from medgan.losses.reconstruction import l1
from medgan.methods.dualgan import DualGAN, DualGANRecipe
from medgan.networks.patch_discriminator import receptive_field_px
from medgan.training.learner import freeze_all_but
from medgan.training.loop import LoopSettings, train
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> DualGAN:
    torch.manual_seed(0)
    return DualGAN(DualGANRecipe(**(DualGANRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch(number: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def test_defaults_are_the_papers() -> None:
    recipe = DualGANRecipe()
    assert (recipe.adversarial, recipe.weight_clip, recipe.patch) == ("wasserstein", 0.01, 70)
    assert (recipe.optimizer, recipe.learning_rate, recipe.betas[1]) == ("rmsprop", 5e-5, 0.9)
    assert 100 <= recipe.weight_cycle_a <= 1000
    assert 100 <= recipe.weight_cycle_b <= 1000
    assert 2 <= recipe.critic_steps <= 4
    assert recipe.dropout == 0.5


def test_256_px_give_the_papers_u_net_and_patch() -> None:
    learner = DualGAN(DualGANRecipe(generator_width=2, discriminator_width=2), shape=SampleShape(3, 1, 256))
    assert len(learner.g_ab.downs) == len(learner.g_ba.ups) == 8
    assert learner.g_ab.skips
    assert receptive_field_px(learner.d_a) == receptive_field_px(learner.d_b) == 70


@pytest.mark.parametrize("critic_steps", [1, 2, 4])
def test_the_generators_step_in_every_so_manieth_step(critic_steps: int) -> None:
    learner, seen = made(critic_steps=critic_steps), []
    for learner.step in range(8):
        turns = [turn.group for turn in learner.training_step(batch())]
        assert tuple(turns) == learner.turns
        seen.append("generator" in turns)
    assert seen == [step % critic_steps == critic_steps - 1 for step in range(8)]


def test_losses_are_the_papers_equations() -> None:
    learner, real = made(dropout=0, critic_steps=1, weight_cycle_a=100, weight_cycle_b=500, weight_clip=10), batch()
    critics, generators = learner.training_step(real)
    fake_a, fake_b = learner.g_ba(real["b"]), learner.g_ab(real["a"])
    expected = {
        "adversarial_a": learner.d_a(fake_a).mean() - learner.d_a(real["a"]).mean(),
        "adversarial_b": learner.d_b(fake_b).mean() - learner.d_b(real["b"]).mean(),
    }
    torch.testing.assert_close(critics.losses, expected)
    expected = {
        "adversarial_a": -learner.d_a(fake_a).mean(),
        "adversarial_b": -learner.d_b(fake_b).mean(),
        "cycle_a": 100 * l1(learner.g_ba(fake_b), real["a"]),
        "cycle_b": 500 * l1(learner.g_ab(fake_a), real["b"]),
    }
    torch.testing.assert_close(generators.losses, expected)


def test_the_critics_turn_needs_no_graph_of_the_generators() -> None:
    learner = made()
    freeze_all_but(learner, "discriminator")
    made_in_turn = []
    learner.g_ab.register_forward_hook(lambda _, __, image: made_in_turn.append(image.requires_grad))
    next(learner.training_step(batch()))
    assert made_in_turn == [False]


@pytest.mark.parametrize("bound", [0.01, 0.1, None])
def test_critics_stay_clipped_in_training(bound: float | None, tmp_path) -> None:
    learner = made(weight_clip=bound, weight_gradient_penalty=0.0 if bound else 10.0)
    settings = LoopSettings(total_steps=3, device="cpu", precision="fp32", preview_every=None)
    train(learner, batch, run=tmp_path, settings=settings)
    largest = max(p.abs().max().item() for p in learner.parameters_of("discriminator"))
    others = max(p.abs().max().item() for p in learner.parameters_of("generator"))
    assert largest == pytest.approx(bound) if bound == 0.01 else largest > 0.02
    assert others > 0.02
    if bound:
        assert largest <= bound + 1e-8


def test_critics_of_unbounded_slope_are_refused() -> None:
    with pytest.raises(ValidationError, match="bounded slope"):
        DualGANRecipe(weight_clip=None)
    assert DualGANRecipe(weight_clip=None, weight_gradient_penalty=10).weight_gradient_penalty == 10
    assert DualGANRecipe(weight_clip=None, adversarial="least-squares").weight_clip is None


def test_dropout_is_noise_in_training_and_off_in_translation() -> None:
    learner, image = made(dropout=0.5).train(), batch()["a"]
    assert not torch.equal(learner.g_ab(image), learner.g_ab(image))
    assert torch.equal(learner.translate(image, to="b"), learner.translate(image, to="b"))
    assert torch.equal(learner.translate(image, to="b"), learner.eval().g_ab(image))


def test_without_reconstruction_it_is_two_gans() -> None:
    recipe = DualGANRecipe(preset="gan")
    assert (recipe.weight_cycle_a, recipe.weight_cycle_b) == (0, 0)
    learner = made(weight_cycle_a=0.0, weight_cycle_b=0.0, critic_steps=1)
    _, generators = learner.training_step(batch())
    assert set(generators.losses) == {"adversarial_a", "adversarial_b"}
