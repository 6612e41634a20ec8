"""CUT: the paper's settings and losses, its presets, heads that exist before training, and bfloat16's error."""

import pytest
import torch
from torch import Tensor

from medgan.errors import SettingsError
from medgan.losses.adversarial import discriminator_loss, generator_loss
from medgan.losses.patch_nce import patch_nce
from medgan.losses.reconstruction import l1
from medgan.methods.cut import CUT, CUTRecipe
from medgan.networks.layers import InstanceNorm
from medgan.networks.projection_heads import draw_places
from medgan.training.learner import freeze_all_but
from medgan.training.translator import SampleShape

SHAPE = SampleShape(3, 1, 32)


def made(**settings: object) -> CUT:
    torch.manual_seed(0)
    return CUT(CUTRecipe(**(CUTRecipe.tiny().model_dump() | settings)), shape=SHAPE)


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.rand(2, 3, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def contrast(learner: CUT, queries: dict[str, Tensor], keys: dict[str, Tensor], images: slice) -> Tensor:
    """The mean over layers at the places that come next."""
    recipe, places = learner.recipe, draw_places(queries, patches=learner.recipe.patches)
    sides = [learner.heads(side, places) for side in (queries, keys)]
    each = [
        patch_nce(*(side[layer][images] for side in sides), temperature=0.07, negatives=recipe.negatives)
        for layer in queries
    ]
    return torch.stack(each).mean()


def test_defaults_are_the_papers() -> None:
    recipe = CUTRecipe()
    assert (recipe.weight_nce, recipe.weight_identity, recipe.temperature, recipe.patches) == (1, 1, 0.07, 256)
    assert recipe.nce_layers == ("pixels", "down-1", "down-2", "block-1", "block-5")
    assert (recipe.nce_units, recipe.negatives, recipe.flip_equivariance) == (256, "image", False)
    assert (recipe.adversarial, recipe.patch, recipe.norm) == ("least-squares", 70, "instance")
    assert (recipe.learning_rate, recipe.betas, recipe.batch_size, recipe.decay_from) == (2e-4, (0.5, 0.999), 1, 0.5)


@pytest.mark.parametrize(("own", "expected"), [(None, 0), ("instance", 1)])
def test_the_discriminator_may_have_another_normalisation_than_the_generator(own, expected) -> None:
    learner = made(norm="none", discriminator_norm=own)
    counts = [sum(isinstance(m, InstanceNorm) for m in network.modules()) for network in (learner.d_b, learner.g_ab)]
    assert counts == [expected, 0]


def test_fastcut_is_the_papers() -> None:
    recipe = CUTRecipe(preset="fastcut")
    assert (recipe.weight_nce, recipe.weight_identity, recipe.flip_equivariance) == (10, 0, True)


def test_sincut_sees_many_crops_with_r1_and_identity() -> None:
    recipe = CUTRecipe(preset="sincut")
    assert (recipe.batch_size, recipe.weight_r1, recipe.weight_identity_pixels) == (16, 1, 1)
    assert (recipe.adversarial, recipe.betas, recipe.negatives) == ("vanilla", (0.0, 0.99), "batch")
    # The published discriminator halves its adversarial loss and leaves R1 whole, as for CUT.
    assert (recipe.weight_nce, recipe.weight_identity, recipe.weight_discriminator) == (4, 4, 0.5)


def test_the_heads_are_there_before_training_with_the_published_size() -> None:
    recipe = CUTRecipe(discriminator_width=2)
    learner = CUT(recipe, shape=SampleShape(3, 1, 256))
    assert sum(p.numel() for p in learner.heads.parameters()) == 560_384
    assert {id(p) for p in learner.heads.parameters()} <= {id(p) for p in learner.parameters_of("generator")}
    assert learner.directions == ("b",)


def test_losses_are_the_papers_equations() -> None:
    learner, real = made(), batch()
    layers = learner.recipe.nce_layers
    torch.manual_seed(7)
    generator, discriminator = learner.training_step(real)
    both = torch.cat([real["a"], real["b"]])
    fake = learner.g_ab(both)
    queries, keys = learner.g_ab.features(fake, layers), learner.g_ab.features(both, layers)
    torch.manual_seed(7)
    expected = {"contrastive": contrast(learner, queries, keys, slice(2))}
    torch.manual_seed(7)
    expected["contrastive_identity"] = contrast(learner, queries, keys, slice(2, None))
    expected["adversarial"] = generator_loss(learner.d_b(fake[:2]), kind="least-squares")
    torch.testing.assert_close(generator.losses, expected)
    judged = 0.5 * discriminator_loss(learner.d_b(real["b"]), learner.d_b(fake[:2]), kind="least-squares")
    torch.testing.assert_close(discriminator.losses["adversarial"], judged)


def test_fastcut_compares_mirrored_features_and_judges_what_is_turned_back() -> None:
    learner, real = made(preset="fastcut", weight_nce=10.0, weight_identity=0.0, flip_equivariance=True), batch()
    layers, seen = learner.recipe.nce_layers, set()
    for seed in range(8):
        torch.manual_seed(seed)
        generator, _ = learner.training_step(real)
        torch.manual_seed(seed)
        turned = bool(torch.rand(()) < 0.5)
        seen.add(turned)
        made_b = learner.g_ab(real["a"].flip(-1) if turned else real["a"])
        queries = learner.g_ab.features(made_b, layers)
        if turned:
            queries, made_b = {layer: one.flip(-1) for layer, one in queries.items()}, made_b.flip(-1)
        expected = {"contrastive": 10 * contrast(learner, queries, learner.g_ab.features(real["a"], layers), slice(2))}
        expected["adversarial"] = generator_loss(learner.d_b(made_b), kind="least-squares")
        torch.testing.assert_close(generator.losses, expected)
    assert seen == {False, True}


def test_sincut_holds_pixels_of_the_target_too() -> None:
    preset = CUTRecipe.presets["sincut"].settings
    learner, real = made(preset="sincut", **preset), batch()
    generator, discriminator = learner.training_step(real)
    torch.testing.assert_close(generator.losses["identity_pixels"], l1(learner.g_ab(real["b"]), real["b"]))
    assert {"adversarial", "r1"} <= set(discriminator.losses)
    assert not learner.averages_over_samples
    assert made().averages_over_samples


def test_the_generator_runs_once_a_step() -> None:
    for settings, passes in (({}, [4]), ({"weight_identity": 0.0}, [2])):
        learner, sizes = made(**settings), []
        learner.g_ab.decoder.register_forward_hook(lambda _, args, __, sizes=sizes: sizes.append(len(args[0])))
        list(learner.training_step(batch()))
        assert sizes == passes


@pytest.mark.parametrize("preset", [None, "fastcut"])
def test_bfloat16_keeps_the_contrast_and_its_gradient(preset: str | None) -> None:
    """Features are rounded to 8 bits; heads, cosines and logits are not. In a turned step weights keep gradients."""
    settings = {**CUTRecipe.presets[preset].settings, "preset": preset} if preset else {}
    found = []
    for enabled in (False, True):
        learner = made(generator_width=16, nce_units=64, **settings)
        torch.manual_seed(1)  # a turned step, where there are some
        freeze_all_but(learner, "generator")
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            turn = next(learner.training_step(batch()))
        assert turn.losses["contrastive"].dtype == torch.float32
        turn.losses["contrastive"].backward()
        gradient = torch.cat([p.grad.flatten() for p in learner.heads.parameters()])
        inner = torch.cat([p.grad.flatten() for p in learner.g_ab.encoder.parameters()])
        found.append((turn.losses["contrastive"].detach(), gradient, inner))
    exact, rounded = found
    torch.testing.assert_close(rounded[0], exact[0], rtol=0.01, atol=0)
    for one, other in zip(exact[1:], rounded[1:], strict=True):
        assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.95


def test_layers_that_the_generator_lacks_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"S041.*nce_layers.*block-5.*block-1"):
        made(nce_layers=("pixels", "block-5"))


def test_the_way_back_is_refused() -> None:
    with pytest.raises(SettingsError, match="S211"):
        made().translate(batch()["a"], to="a")
