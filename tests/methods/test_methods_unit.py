"""UNIT: the paper's weights, one latent space, and a translation that decodes the mean."""

import pytest
import torch

from medgan.losses.adversarial import generator_loss
from medgan.losses.reconstruction import l1
from medgan.methods.unit import UNIT, UNITRecipe
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> UNIT:
    torch.manual_seed(0)
    return UNIT(UNITRecipe(**(UNITRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def test_weights_stand_to_each_other_as_in_the_paper() -> None:
    recipe = UNITRecipe()
    adversarial, kl, likelihood = 10.0, 0.1, 100.0
    assert (recipe.weight_kl, recipe.weight_cycle_kl) == (kl / adversarial, kl / adversarial)
    assert (recipe.weight_reconstruction, recipe.weight_cycle) == (likelihood / adversarial, likelihood / adversarial)
    assert (recipe.learning_rate, recipe.betas, recipe.decay_from) == (1e-4, (0.5, 0.999), 1.0)
    assert (recipe.adversarial, recipe.blocks, recipe.shared, recipe.generator_width) == ("vanilla", 3, 1, 64)


def test_the_last_block_of_the_encoders_and_the_first_of_the_decoders_belong_to_both() -> None:
    learner, image = made(), batch()["a"]
    for domain in ("a", "b"):
        assert torch.equal(
            learner.encode(image, domain=domain),
            learner.encoder_shared(learner.get_submodule(f"encoder_{domain}")(image)),
        )
        code = torch.zeros(1, 32, 8, 8) + 0.5
        decoded = learner.get_submodule(f"decoder_{domain}")(learner.decoder_shared(code))
        assert torch.equal(learner.decode(code, to=domain), decoded)


def test_losses_are_the_papers_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    learner, real = made(), batch()
    generator, _ = learner.training_step(real)
    mean_a, mean_b = learner.encode(real["a"], domain="a"), learner.encode(real["b"], domain="b")
    fake_a, fake_b = learner.decode(mean_b, to="a"), learner.decode(mean_a, to="b")
    again_a, again_b = learner.encode(fake_b, domain="b"), learner.encode(fake_a, domain="a")
    expected = {
        "adversarial_a": generator_loss(learner.d_a(fake_a), kind="vanilla"),
        "adversarial_b": generator_loss(learner.d_b(fake_b), kind="vanilla"),
        "reconstruction_a": 10 * l1(learner.decode(mean_a, to="a"), real["a"]),
        "reconstruction_b": 10 * l1(learner.decode(mean_b, to="b"), real["b"]),
        "kl_a": 0.01 * mean_a.square().mean() / 2,
        "kl_b": 0.01 * mean_b.square().mean() / 2,
        "cycle_a": 10 * l1(learner.decode(again_a, to="a"), real["a"]),
        "cycle_b": 10 * l1(learner.decode(again_b, to="b"), real["b"]),
        "kl_cycle_a": 0.01 * again_a.square().mean() / 2,
        "kl_cycle_b": 0.01 * again_b.square().mean() / 2,
    }
    torch.testing.assert_close(generator.losses, expected, atol=1e-5, rtol=1e-4)


def test_a_code_in_training_has_noise_of_unit_variance_about_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, seen = made(), []
    learner.decoder_shared.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    next(learner.training_step(batch()))
    means = torch.cat([learner.encode(batch()[name], domain=name) for name in "ab"])
    noise = seen[0] - means
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_translation_decodes_the_mean_in_training_too() -> None:
    learner, image = made().train(), batch()["a"]
    expected = learner.decode(learner.encode(image, domain="a"), to="b")
    assert torch.equal(learner.translate(image, to="b"), expected)


def test_without_cycle_weights_nothing_is_encoded_again() -> None:
    learner = made(weight_cycle=0, weight_cycle_kl=0)
    assert not [name for name in next(learner.training_step(batch())).losses if "cycle" in name]
