"""MUNIT: the paper's settings and losses, and several translations of one image."""

import pytest
import torch
from torch import Tensor

from medgan.errors import SettingsError
from medgan.losses.adversarial import discriminator_loss, generator_loss
from medgan.losses.reconstruction import l1
from medgan.methods.identity import method as without_styles
from medgan.methods.munit import MUNIT, MUNITRecipe
from medgan.training.schedule import rate_factor
from medgan.training.styles import Style, with_styles
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> MUNIT:
    torch.manual_seed(0)
    return MUNIT(MUNITRecipe(**(MUNITRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def test_defaults_are_the_papers() -> None:
    recipe = MUNITRecipe()
    assert (recipe.weight_image, recipe.weight_style, recipe.weight_content, recipe.weight_cycle) == (10, 1, 1, 0)
    assert (recipe.style_size, recipe.blocks, recipe.scales, recipe.generator_width) == (8, 4, 3, 64)
    assert (recipe.adversarial, recipe.learning_rate, recipe.betas) == ("least-squares", 1e-4, (0.5, 0.999))
    assert MUNITRecipe(preset="cycle").weight_cycle == 10


def test_the_rate_is_halved_every_100_000_steps_and_weights_decay() -> None:
    settings = made().optimizer("generator")
    assert (settings.weight_decay, settings.halve_every, settings.decay_from) == (1e-4, 100_000, 1.0)
    steps = (0, 99_999, 100_000, 250_000)
    factors = [rate_factor(s, total_steps=10**6, decay_from=1.0, halve_every=settings.halve_every) for s in steps]
    assert factors == [1, 1, 0.5, 0.25]


def test_losses_are_the_papers_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_a, drawn_b = torch.randn(2, 8), torch.randn(2, 8)
    drawn = iter([drawn_a, drawn_b])
    learner, real = made(weight_cycle=10.0), batch()
    monkeypatch.setattr(learner, "_drawn", lambda _: next(drawn))
    generator, discriminator = learner.training_step(real)
    real_a, real_b = real["a"], real["b"]
    content_a, content_b = learner.content_a(real_a), learner.content_b(real_b)
    style_a, style_b = learner.style_a(real_a), learner.style_b(real_b)
    fake_a, fake_b = learner.decoder_a(content_b, drawn_a), learner.decoder_b(content_a, drawn_b)
    again_a, again_b = learner.content_b(fake_b), learner.content_a(fake_a)
    expected = {
        "adversarial_a": sum(generator_loss(logits, kind="least-squares") for logits in learner.d_a(fake_a)),
        "adversarial_b": sum(generator_loss(logits, kind="least-squares") for logits in learner.d_b(fake_b)),
        "reconstruction_a": 10 * l1(learner.decoder_a(content_a, style_a), real_a),
        "reconstruction_b": 10 * l1(learner.decoder_b(content_b, style_b), real_b),
        "content_code_a": l1(again_a, content_a),
        "content_code_b": l1(again_b, content_b),
        "style_code_a": l1(learner.style_a(fake_a), drawn_a),
        "style_code_b": l1(learner.style_b(fake_b), drawn_b),
        "cycle_a": 10 * l1(learner.decoder_a(again_a, style_a), real_a),
        "cycle_b": 10 * l1(learner.decoder_b(again_b, style_b), real_b),
    }
    torch.testing.assert_close(generator.losses, expected, atol=1e-5, rtol=1e-4)
    pairs = zip(learner.d_a(real_a), learner.d_a(fake_a), strict=True)
    judged = sum(discriminator_loss(*pair, kind="least-squares") for pair in pairs)
    torch.testing.assert_close(discriminator.losses["adversarial_a"], judged, atol=1e-5, rtol=1e-4)


def test_three_discriminators_judge_a_domain_each_at_half_the_size() -> None:
    learner = made()
    assert [logits.shape[-1] for logits in learner.d_b(batch()["b"])] == [14, 6, 2]


def test_a_patch_that_does_not_fit_the_smallest_size_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"S210.*patch 70.*got 8 px"):
        made(patch=70)


def test_translation_takes_the_style_of_zeros() -> None:
    learner, image = made().train(), batch()["a"]
    expected = learner.decoder_b(learner.content_a(image), torch.zeros(2, 8))
    assert torch.equal(learner.translate(image, to="b"), expected)
    assert torch.equal(learner.translate_styled(image, to="b", style=torch.zeros(1, 8)), expected)


def test_styles_differ_and_each_gives_the_same_image_every_time() -> None:
    learner, image = made(), batch()["b"]
    styles = learner.random_styles(3, seed=4)
    images = [learner.translate_styled(image, to="a", style=style[None]) for style in styles]
    again = learner.translate_styled(image, to="a", style=styles[1][None])
    assert torch.equal(images[1], again)
    assert (images[0] - images[1]).abs().mean() > 0.01
    own = learner.translate_styled(image, to="a", style=styles[:2])
    torch.testing.assert_close(own[1:], images[1][1:])


def test_random_styles_follow_from_the_seed_and_not_from_how_many_are_drawn() -> None:
    learner = made()
    state = torch.get_rng_state()
    three, nine = learner.random_styles(3, seed=1), learner.random_styles(9, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(three, nine[:3])
    assert not torch.equal(three, learner.random_styles(3, seed=2))
    assert learner.random_styles(0, seed=0).shape == (0, 8)
    many = learner.random_styles(2000, seed=0)
    assert many.mean().item() == pytest.approx(0, abs=0.03)
    assert many.std().item() == pytest.approx(1, abs=0.03)


def test_the_style_of_an_image_is_what_its_domain_encodes() -> None:
    learner, image = made(), batch()["a"]
    assert torch.equal(learner.style_of(image, domain="a"), learner.style_a(image))
    assert torch.equal(learner.style_of(image, domain="b"), learner.style_b(image))


def test_a_style_of_one_domain_is_refused_for_the_other() -> None:
    learner, image = made(), batch()["a"]
    style = Style(tuple(learner.style_of(image, domain="a")[0].tolist()), "style of a reference image", "a")
    assert learner.in_style(image, style, to="a").shape == image.shape
    with pytest.raises(SettingsError, match=r"S221.*style of domain 'a'; expected one of domain 'b'"):
        learner.in_style(image, style, to="b")


def test_a_method_without_styles_says_so() -> None:
    with pytest.raises(SettingsError, match=r"S220.*identity: the method has no styles.*train munit"):
        with_styles(without_styles(without_styles.recipe_type(), shape=GREY), name="identity")


def test_a_patients_image_does_not_depend_on_the_batch_it_is_in() -> None:
    learner, image = made().eval(), batch()["a"]
    torch.testing.assert_close(learner.translate(image, to="b")[:1], learner.translate(image[:1], to="b"))
