"""BiGAN between images: one discriminator of pairs, its objective by hand, and nothing else holding them together."""

import torch
from torch.nn import functional as F  # noqa: N812

from medgan.losses.adversarial import discriminator_loss
from medgan.methods.bigan import BiGAN, BiGANRecipe
from medgan.networks.patch_discriminator import receptive_field_px
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> BiGAN:
    torch.manual_seed(0)
    return BiGAN(BiGANRecipe(**(BiGANRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def pairs(learner: BiGAN, real: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(F(b), b), then (a, G(a))."""
    encoded = torch.cat([learner.g_ba(real["b"]), real["b"]], dim=1)
    return encoded, torch.cat([real["a"], learner.g_ab(real["a"])], dim=1)


def test_objective_is_bigans_and_the_rest_cyclegans() -> None:
    recipe = BiGANRecipe()
    assert recipe.adversarial == "vanilla"
    assert (recipe.learning_rate, recipe.betas, recipe.decay_from, recipe.batch_size) == (2e-4, (0.5, 0.999), 0.5, 1)
    assert (recipe.generator_width, recipe.discriminator_width, recipe.patch) == (64, 64, 70)
    assert (recipe.norm, recipe.weight_discriminator) == ("instance", 0.5)


def test_256_px_give_cyclegans_networks_with_one_discriminator_of_both_images() -> None:
    learner = BiGAN(BiGANRecipe(generator_width=2, discriminator_width=2), shape=SampleShape(3, 1, 256))
    assert len(learner.g_ab.residuals) == len(learner.g_ba.residuals) == 9
    assert receptive_field_px(learner.d_ab) == 70
    assert learner.d_ab.layers[0].in_channels == 6
    assert learner.groups["discriminator"] == ("d_ab",)


def test_losses_are_the_papers_equations() -> None:
    learner, real = made(weight_discriminator=0.5), batch()
    generators, discriminator = learner.training_step(real)
    encoded, generated = (learner.d_ab(pair) for pair in pairs(learner, real))
    # Donahue 2017, section 3.4: the generators minimise the cross-entropy of the inverted labels.
    inverted = F.softplus(encoded).mean() + F.softplus(-generated).mean()
    torch.testing.assert_close(generators.losses, {"adversarial": inverted})
    judged = 0.5 * (F.softplus(-encoded).mean() + F.softplus(generated).mean())
    torch.testing.assert_close(discriminator.losses, {"adversarial": judged})


def test_other_objectives_swap_the_sides_too() -> None:
    learner, real = made(adversarial="least-squares"), batch()
    encoded, generated = (learner.d_ab(pair) for pair in pairs(learner, real))
    swapped = discriminator_loss(generated, encoded, kind="least-squares")
    torch.testing.assert_close(next(learner.training_step(real)).losses["adversarial"], swapped)


def test_both_generators_learn_from_the_one_discriminator() -> None:
    learner = made()
    next(learner.training_step(batch())).losses["adversarial"].backward()
    for network in (learner.g_ab, learner.g_ba):
        assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_nothing_but_the_discriminator_holds_them_together() -> None:
    generators, _ = made().training_step(batch())
    assert set(generators.losses) == {"adversarial"}
