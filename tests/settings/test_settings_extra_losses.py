"""Extra losses and discriminators' settings: off by default, and refused where they cannot mean anything."""

import pytest
from pydantic import ValidationError

from medgan import discover
from medgan.errors import SettingsError
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import PAIRED, ExtraLosses, PairedExtraLosses, WithExtraLosses, WithPairedExtraLosses
from medgan.settings.study import TranslatorPlan
from medgan.stages.train import read_recipe

METHODS = {name: discover.load("medgan.methods", name).method for name in discover.names("medgan.methods")}


@pytest.mark.parametrize("kind", [ExtraLosses, PairedExtraLosses])
def test_all_are_off_by_default(kind: type[ExtraLosses]) -> None:
    assert not kind().asks
    assert kind(weight_edges=1).asks


def test_every_loss_with_a_target_is_known_to_be_one() -> None:
    assert set(PAIRED) == set(PairedExtraLosses.model_fields) - set(ExtraLosses.model_fields)


@pytest.mark.parametrize("name", PAIRED)
def test_a_loss_with_a_target_is_refused_without_pairs(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} would need the true target image.*weight_edges"):
        ExtraLosses(**{name: 1.0})
    assert getattr(PairedExtraLosses(**{name: 1.0}), name) == 1


def test_the_refusal_reaches_the_study() -> None:
    plan = TranslatorPlan(name="t", method="cyclegan", recipe={"extra": {"weight_ssim": 1.0}})
    with pytest.raises(SettingsError, match=r"S002.*extra: .*weight_ssim would need the true target image"):
        read_recipe(plan)


def test_a_misspelt_loss_is_met_with_the_nearest() -> None:
    plan = TranslatorPlan(name="t", method="pix2pix", recipe={"extra": {"weight_sim": 1.0}})
    with pytest.raises(SettingsError, match=r"extra\.weight_sim: .*did you mean 'weight_ssim'"):
        read_recipe(plan)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight_mask": 1.0}, "go together"),
        ({"segmenter": {"network": "vessels", "weights": "w.pth"}}, "go together"),
        ({"weight_mask": 1.0, "segmenter": {"network": "random"}}, "'random' finds no masks"),
        ({"source_segmenter": {"network": "vessels", "weights": "w.pth"}}, "stands beside"),
    ],
)
def test_a_mask_keeper_has_its_segmenter(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ExtraLosses(**settings)


def test_a_critic_without_bounds_is_refused() -> None:
    recipe_type = METHODS["cyclegan"].recipe_type
    with pytest.raises(ValidationError, match="bounded slope"):
        recipe_type(adversarial="wasserstein")
    assert recipe_type(adversarial="wasserstein", weight_gradient_penalty=10).weight_gradient_penalty == 10
    assert recipe_type(adversarial="wasserstein", spectral=True).spectral


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_losses_with_targets_only_where_it_has_pairs(name: str) -> None:
    recipe_type = METHODS[name].recipe_type
    if issubclass(recipe_type, WithPairedExtraLosses):
        assert METHODS[name].needs_pairs
    if issubclass(recipe_type, WithExtraLosses | WithPairedExtraLosses):
        assert not recipe_type().extra.asks
    if issubclass(recipe_type, DiscriminatorRecipe):
        assert not recipe_type().discriminator_augment
