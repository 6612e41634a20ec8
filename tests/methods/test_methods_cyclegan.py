"""CycleGAN: the paper's settings, what is computed and what is not."""

from unittest.mock import patch

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from medgan.errors import SettingsError
from medgan.losses.adversarial import discriminator_loss, generator_loss
from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l1
from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.networks.layers import InstanceNorm
from medgan.training.learner import freeze_all_but
from medgan.training.translator import SampleShape

GREY = SampleShape(1, 1, 32)


def made(**settings: object) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(CycleGANRecipe(**(CycleGANRecipe.tiny().model_dump() | settings)), shape=GREY)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def ablated(preset: str, **settings: object) -> CycleGAN:
    return made(preset=preset, **CycleGANRecipe.presets[preset].settings, **settings)


def calls(learner: CycleGAN) -> dict[str, int]:
    """How often each network runs in one step."""
    counts = dict.fromkeys(("g_ab", "g_ba", "d_a", "d_b"), 0)

    def count(name: str):
        def hook(*_: object) -> None:
            counts[name] += 1

        return hook

    handles = [learner.get_submodule(name).register_forward_hook(count(name)) for name in counts]
    list(learner.training_step(batch()))
    for handle in handles:
        handle.remove()
    return counts


def test_defaults_are_the_papers() -> None:
    recipe = CycleGANRecipe()
    assert (recipe.weight_cycle, recipe.weight_identity, recipe.weight_discriminator) == (10, 0.5, 0.5)
    assert (recipe.adversarial, recipe.pool_size, recipe.patch, recipe.batch_size) == ("least-squares", 50, 70, 1)
    assert (recipe.learning_rate, recipe.betas, recipe.decay_from) == (2e-4, (0.5, 0.999), 0.5)
    assert (recipe.generator_width, recipe.discriminator_width, recipe.norm) == (64, 64, "instance")


@pytest.mark.parametrize(("size_px", "blocks"), [(128, 6), (256, 9)])
def test_blocks_follow_the_size(size_px: int, blocks: int) -> None:
    recipe = CycleGANRecipe(generator_width=2, discriminator_width=2)
    assert len(CycleGAN(recipe, shape=SampleShape(1, 1, size_px)).g_ab.residuals) == blocks


def test_losses_are_the_papers_equations() -> None:
    learner, real = made(pool_size=0), batch()
    generator, discriminator = learner.training_step(real)
    fake_b, fake_a = learner.g_ab(real["a"]), learner.g_ba(real["b"])
    expected = {
        "adversarial_a": generator_loss(learner.d_a(fake_a), kind="least-squares"),
        "adversarial_b": generator_loss(learner.d_b(fake_b), kind="least-squares"),
        "cycle_a": 10 * l1(learner.g_ba(fake_b), real["a"]),
        "cycle_b": 10 * l1(learner.g_ab(fake_a), real["b"]),
        "identity_a": 5 * l1(learner.g_ba(real["a"]), real["a"]),
        "identity_b": 5 * l1(learner.g_ab(real["b"]), real["b"]),
    }
    torch.testing.assert_close(generator.losses, expected)
    judged = {
        f"adversarial_{domain}": 0.5 * discriminator_loss(judge(real[domain]), judge(fake), kind="least-squares")
        for domain, judge, fake in (("a", learner.d_a, fake_a), ("b", learner.d_b, fake_b))
    }
    torch.testing.assert_close(discriminator.losses, judged)


def test_fakes_are_made_once_and_serve_both_turns() -> None:
    assert calls(made()) == {"g_ab": 2, "g_ba": 2, "d_a": 2, "d_b": 2}


def test_without_identity_its_images_are_not_generated() -> None:
    learner = made(weight_identity=0)
    sizes: list[int] = []
    learner.g_ab.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    turn = next(learner.training_step(batch()))
    assert sizes == [2, 2]
    assert not [name for name in turn.losses if name.startswith("identity")]


@pytest.mark.parametrize(
    ("preset", "adversarial", "cycles"),
    [
        ("cycle", False, ["cycle_a", "cycle_b"]),
        ("gan", True, []),
        ("forward", True, ["cycle_a"]),
        ("backward", True, ["cycle_b"]),
        ("full", True, ["cycle_a", "cycle_b"]),
    ],
)
def test_presets_are_the_papers_ablations(preset: str, adversarial: bool, cycles: list[str]) -> None:
    """Tables 4 and 5 of Zhu 2017, whose comparison has no identity loss."""
    learner = ablated(preset)
    turns = list(learner.training_step(batch()))
    names = ["adversarial_a", "adversarial_b"] if adversarial else []
    assert list(turns[0].losses) == names + cycles
    assert tuple(turn.group for turn in turns) == learner.turns
    assert learner.turns == (("generator", "discriminator") if adversarial else ("generator",))


def test_the_forward_cycle_begins_and_ends_in_a() -> None:
    learner, real = ablated("forward"), batch()
    losses = next(learner.training_step(real)).losses
    torch.testing.assert_close(losses["cycle_a"], 10 * l1(learner.g_ba(learner.g_ab(real["a"])), real["a"]))
    assert calls(learner) == {"g_ab": 1, "g_ba": 2, "d_a": 2, "d_b": 2}
    assert calls(ablated("backward")) == {"g_ab": 2, "g_ba": 1, "d_a": 2, "d_b": 2}


def test_without_a_discriminators_turn_none_is_asked_and_no_pool_is_filled() -> None:
    learner = ablated("cycle", pool_size=2)
    assert calls(learner) == {"g_ab": 2, "g_ba": 2, "d_a": 0, "d_b": 0}
    assert "images" not in learner.pool_a.tensors()


def test_a_weight_of_the_adversarial_loss_multiplies_the_generators_share_alone() -> None:
    one, half = (
        [turn.losses["adversarial_a"] for turn in made(weight_adversarial=weight).training_step(batch())]
        for weight in (1.0, 0.5)
    )
    assert half[0].item() == pytest.approx(0.5 * one[0].item())
    assert half[1].item() == pytest.approx(one[1].item())


def test_a_perceptual_cycle_compares_features_of_what_comes_back() -> None:
    learner, real = made(weight_cycle_perceptual=2.0), batch()
    losses = next(learner.training_step(real)).losses
    back = learner.g_ba(learner.g_ab(real["a"]))
    wanted = 2 * feature_distance(learner.extra.features(back), learner.extra.features(real["a"]))
    torch.testing.assert_close(losses["cycle_perceptual_a"], wanted)
    assert calls(learner) == {"g_ab": 2, "g_ba": 2, "d_a": 2, "d_b": 2}, "the image that comes back serves both"


def test_presets_for_one_defect_name_their_papers() -> None:
    presets = CycleGANRecipe.presets
    found = {name: presets[name].paper.split()[-1] for name in ("blur", "haze")}
    assert found == {"blur": "arXiv:1711.07064", "haze": "arXiv:1805.05308"}
    blur = CycleGANRecipe(preset="blur")
    assert (blur.adversarial, blur.weight_gradient_penalty, blur.predicts) == ("wasserstein", 10, "change")
    assert blur.weight_discriminator == 1, "the penalty stands beside the whole loss"


@pytest.mark.parametrize("settings", [{"weight_cycle": 0.0}, {"cycles": "none", "weight_identity": 0.0}])
def test_nothing_to_learn_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="nothing would be learned"):
        CycleGANRecipe(weight_adversarial=0, **settings)
    assert CycleGANRecipe(weight_adversarial=0, cycles="none").weight_identity == 0.5


def test_discriminators_see_pooled_fakes() -> None:
    learner = made(pool_size=2)
    shown = torch.full((2, 1, 32, 32), 0.25)
    seen: list[torch.Tensor] = []
    learner.d_b.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with patch.object(learner.pool_b, "exchange", return_value=shown):
        list(learner.training_step(real := batch()))
    assert torch.equal(seen[1], torch.cat([real["b"], shown]))


def test_directions_use_their_own_generator() -> None:
    learner, image = made().eval(), batch()["a"]
    with torch.no_grad():
        assert torch.equal(learner.translate(image, to="b"), learner.g_ab(image))
        assert torch.equal(learner.translate(image, to="a"), learner.g_ba(image))
        assert not torch.equal(learner.g_ab(image), learner.g_ba(image))


def test_pools_draw_apart_from_each_other_and_from_torch() -> None:
    learner = made(pool_size=2)
    assert not torch.equal(learner.pool_a.tensors()["random_state"], learner.pool_b.tensors()["random_state"])
    list(learner.training_step(batch()))
    state = torch.get_rng_state()
    list(learner.training_step(batch()))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_patch_larger_than_the_crop_is_refused() -> None:
    with pytest.raises(SettingsError, match="S210"):
        made(patch=286)


def test_discriminator_turn_does_not_keep_the_generators_graph() -> None:
    learner = made()
    step = learner.training_step(batch())
    freeze_all_but(learner, "generator")
    next(step)
    freeze_all_but(learner, "discriminator")
    torch.stack(list(next(step).losses.values())).sum().backward()
    assert all(p.grad is None for p in learner.parameters_of("generator"))
    assert all(p.grad is not None for p in learner.parameters_of("discriminator"))


@pytest.mark.parametrize(("own", "expected"), [(None, 0), ("none", 0), ("instance", 1)])
def test_discriminators_may_have_another_normalisation_than_the_generators(own, expected) -> None:
    learner = made(norm="none", discriminator_norm=own)
    counts = [sum(isinstance(m, InstanceNorm) for m in network.modules()) for network in (learner.d_a, learner.g_ab)]
    assert counts == [expected, 0]


def test_weights_start_as_published() -> None:
    learner = CycleGAN(CycleGANRecipe(blocks=1), shape=GREY)
    for network in (learner.g_ab, learner.g_ba, learner.d_a, learner.d_b):
        weights = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
        assert weights.std().item() == pytest.approx(0.02, rel=0.01)
