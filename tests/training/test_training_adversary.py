"""What discriminators are asked, for every method that lets a recipe regularise them."""

import pytest
import torch

from medgan import discover
from medgan.losses.adversarial import discriminator_loss, generator_loss
from medgan.losses.penalties import gradient_penalty, r1_penalty
from medgan.networks.patch_discriminator import PatchDiscriminator
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.training.adversary import Adversary
from medgan.training.learner import freeze_all_but
from medgan.training.translator import SampleShape

REAL, FAKE = (torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))
METHODS = {name: discover.load("medgan.methods", name).method for name in discover.names("medgan.methods")}
REGULAR = [name for name, method in METHODS.items() if issubclass(method.recipe_type, DiscriminatorRecipe)]


def made(**settings: object) -> tuple[Adversary, PatchDiscriminator]:
    torch.manual_seed(0)
    adversary = Adversary(DiscriminatorRecipe(**settings), kind="hinge", channels=1)
    return adversary, adversary.prepared(PatchDiscriminator(1, patch=16, width=8))


def test_without_settings_it_is_the_plain_loss() -> None:
    adversary, judge = made()
    found = adversary.discriminator_losses(judge, REAL, FAKE, step=0, weight=0.5, suffix="_b")
    expected = 0.5 * discriminator_loss(judge(REAL), judge(FAKE), kind="hinge")
    torch.testing.assert_close(found, {"adversarial_b": expected})
    torch.testing.assert_close(adversary.generator_loss(judge, FAKE), generator_loss(judge(FAKE), kind="hinge"))


def test_penalties_are_weighted_and_named() -> None:
    adversary, judge = made(weight_r1=4, weight_gradient_penalty=10)
    torch.manual_seed(3)
    found = adversary.discriminator_losses(judge, REAL, FAKE, step=0)
    torch.manual_seed(3)
    slope = gradient_penalty(judge, REAL, FAKE)
    torch.testing.assert_close(found["r1"], 4 * r1_penalty(judge, REAL) / judge(REAL)[0].numel())
    torch.testing.assert_close(found["gradient_penalty"], 10 * slope)


def test_lazy_r1_counts_as_often_as_it_is_left_out() -> None:
    adversary, judge = made(weight_r1=4, r1_every=3)
    found = [adversary.discriminator_losses(judge, REAL, FAKE, step=step)["r1"] for step in range(6)]
    torch.testing.assert_close(found[0], 12 * r1_penalty(judge, REAL) / judge(REAL)[0].numel())
    assert [bool(one) for one in found] == [True, False, False] * 2


def test_r1_of_patches_that_do_not_overlap_is_the_mean_of_each_ones_own() -> None:
    """As if each patch were an image of its own: a map of many logits is held no tighter than one logit."""
    adversary, _ = made(weight_r1=1)
    weights = torch.randn(1, 1, 8, 8)
    judge = lambda images: torch.conv2d(images, weights, stride=8)  # noqa: E731
    found = adversary.discriminator_losses(judge, REAL, FAKE, step=0)["r1"]
    torch.testing.assert_close(found, weights.square().sum() / 2)


def test_spectral_weights_have_a_largest_singular_value_of_one() -> None:
    _, judge = made(spectral=True)
    for _ in range(100):
        judge(REAL)
    judge.eval()
    for layer in judge.layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.testing.assert_close(
                torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item(), 1.0, atol=1e-3, rtol=0
            )


def test_real_and_fake_are_both_shown_changed() -> None:
    adversary, _ = made(discriminator_augment=["cutout"])
    seen: list[torch.Tensor] = []

    def judge(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return images.mean(dim=(1, 2, 3))

    torch.manual_seed(0)
    adversary.discriminator_losses(judge, REAL, FAKE, step=0)
    adversary.generator_loss(judge, FAKE)
    assert [len(images) for images in seen] == [4, 2]
    assert all((image == 0).any() for images in seen for image in images)


@pytest.mark.parametrize("name", REGULAR)
@pytest.mark.parametrize(
    "settings",
    [
        {"spectral": True},
        {"weight_r1": 1.0, "weight_gradient_penalty": 1.0},
        {"discriminator_augment": ("colour", "translation", "cutout")},
    ],
    ids=["spectral", "slope", "augment"],
)
def test_every_method_takes_the_settings_up(name: str, settings: dict[str, object]) -> None:
    """What its recipe promises is done, and each turn still reaches its own networks alone."""
    torch.manual_seed(0)
    method, shape = METHODS[name], SampleShape(3, 1, 32)
    learner = method(method.recipe_type(**{**method.recipe_type.tiny().model_dump(), **settings}), shape=shape)
    a = torch.rand(2, 3, 32, 32) * 2 - 1
    learner.fit(list(a), list(-a))
    state, losses = torch.get_rng_state(), set()
    turns = learner.training_step({"a": a, "b": -a})
    for group in learner.turns:
        freeze_all_but(learner, group)
        learner.zero_grad(set_to_none=True)
        turn = next(turns)
        torch.stack(list(turn.losses.values())).sum().backward()
        losses |= {loss.split("_")[0] for loss in turn.losses}
        for other in learner.groups:
            graded = [parameter.grad is not None for parameter in learner.parameters_of(other)]
            assert all(graded) if other == group else not any(graded)
    if "spectral" in settings:
        assert any("parametrizations" in key for key in learner.state_dict())
    elif "weight_r1" in settings:
        assert {"r1", "gradient"} <= losses
    else:
        assert not torch.equal(torch.get_rng_state(), state)
