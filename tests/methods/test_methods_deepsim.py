"""DeePSiM: the paper's weights as means, its discriminator, and a pause that is the same after a resume."""

import pytest
import torch

from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l2
from medgan.methods.deepsim import DeepSim, DeepSimRecipe
from medgan.networks.pooled_discriminator import PooledDiscriminator
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> DeepSim:
    torch.manual_seed(0)
    return DeepSim(DeepSimRecipe(**(DeepSimRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def step(learner: DeepSim) -> tuple[str, ...]:
    return tuple(turn.group for turn in learner.training_step(batch()))


def test_weights_are_the_papers_as_means() -> None:
    recipe = DeepSimRecipe()
    assert recipe.weight_adversarial == 100 / 100
    assert recipe.weight_image == pytest.approx(2e-6 * 3 * 227 * 227 * 127.5**2 / 100, rel=0.01)
    assert recipe.weight_feature == pytest.approx(0.01 * 256 * 6 * 6 / 100, rel=0.01)
    assert (recipe.learning_rate, recipe.betas, recipe.batch_size) == (2e-4, (0.9, 0.999), 64)
    assert (recipe.pause_below, recipe.resume_above) == (0.1, 0.5)


def test_the_discriminator_is_the_papers() -> None:
    network = PooledDiscriminator(3)
    convolutions = [layer for layer in network.layers if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 128, 256, 256]
    assert [layer.kernel_size[0] for layer in convolutions] == [7, 5, 3, 3, 3]
    assert [layer.stride[0] for layer in convolutions] == [4, 1, 2, 1, 2]
    of_convolutions = 4736 + 51_264 + 73_856 + 295_168 + 590_080
    assert sum(p.numel() for p in network.parameters()) == of_convolutions + 131_584 + 513


@pytest.mark.parametrize("size_px", [32, 100, 227])
def test_one_logit_an_image_of_any_size(size_px: int) -> None:
    assert PooledDiscriminator(1, width=2)(torch.randn(3, 1, size_px, size_px)).shape == (3, 1)


def test_losses_are_means_of_squares() -> None:
    learner, real = made(dropout=0.0), batch()
    turn = next(learner.training_step(real))
    fake = learner.g_ab(real["a"])
    torch.testing.assert_close(turn.losses["reconstruction"], 50 * l2(fake, real["b"]))
    apart = feature_distance(learner.features(fake), learner.features(real["b"]))
    torch.testing.assert_close(turn.losses["perceptual"], 0.92 * apart)


def test_the_generator_has_no_skips() -> None:
    assert not made().g_ab.skips


def test_the_discriminator_pauses_where_it_is_ahead_and_goes_on_later() -> None:
    learner = made(dropout=0.0)
    assert step(learner) == ("generator", "discriminator") == learner.turns
    learner._decide(torch.tensor(0.09), torch.tensor(1.0))
    assert learner.turns == ("generator",)
    learner._decide(torch.tensor(0.49), torch.tensor(1.0))
    assert learner.paused, "between the two limits it stays as it was"
    assert step(learner) == ("generator",)
    assert not learner.paused, "fresh logits are near 0: 1.4 of 0.7"
    learner._decide(torch.tensor(0.11), torch.tensor(1.0))
    assert not learner.paused


def test_a_pause_is_kept_in_checkpoints() -> None:
    learner, other = made(), made()
    learner.paused = True
    other.load_extra_tensors(learner.extra_tensors())
    assert other.paused


def test_a_paused_discriminator_is_not_moved() -> None:
    learner = made(dropout=0.0)
    learner.paused = True
    (turn,) = learner.training_step(batch())
    turn.losses["adversarial"].backward()
    assert turn.group == "generator"


def test_a_paused_discriminator_is_judged_by_changed_images_as_in_its_turn() -> None:
    learner, told = made(dropout=0.0, discriminator_augment=("translation", "cutout")), []
    learner._decide = lambda discriminator, generator: told.append((discriminator.item(), generator.item()))
    for paused in (False, True):
        learner.paused = paused
        torch.manual_seed(3)
        step(learner)
    assert told[0] == pytest.approx(told[1])
    learner.recipe = learner.recipe.model_copy(update={"discriminator_augment": ()})
    learner.adversary.recipe = learner.recipe
    step(learner)
    assert told[2][0] != pytest.approx(told[1][0])


@pytest.mark.parametrize(("preset", "left"), [("image", set()), ("image-feature", {"perceptual"})])
def test_without_a_discriminator_nothing_is_judged(preset: str, left: set[str]) -> None:
    learner = made(**DeepSimRecipe.presets[preset].settings)
    learner.d_b.register_forward_hook(lambda *_: pytest.fail("the discriminator ran"))
    (turn,) = learner.training_step(batch())
    assert set(turn.losses) == {"reconstruction"} | left
