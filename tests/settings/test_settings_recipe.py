"""Recipes, preparations and the loop's settings refuse what they do not know."""

import pytest
from pydantic import ValidationError

from medgan.settings.loop import LoopSettings
from medgan.settings.preparation import Preparation
from medgan.settings.recipe import Recipe


@pytest.mark.parametrize(
    ("model", "wrong", "told"),
    [
        (Recipe, {"learning_rat": 1e-3}, "learning_rat"),
        (Recipe, {"learning_rate": 0}, "greater than 0"),
        (Recipe, {"batch_size": 0}, "greater than or equal to 1"),
        (Recipe, {"crop_px": 8}, "greater than or equal to 16"),
        (Recipe, {"flips": ["diagonal"]}, "'horizontal' or 'vertical'"),
        (Recipe, {"decay_from": 1.5}, "less than or equal to 1"),
        (Recipe, {"ema_decay": 1.0}, "less than 1"),
        (Preparation, {}, "preset"),
        (Preparation, {"preset": "xray"}, "'fundus', 'photograph', 'mr' or 'ct'"),
        (Preparation, {"preset": "ct", "window": (0, 1)}, "window"),
        (Preparation, {"preset": "fundus", "size_px": 5000}, "less than or equal to 4096"),
        (Preparation, {"preset": "mr", "spacing_mm": (1.0, 1.0)}, "spacing_mm"),
        (Preparation, {"preset": "mr", "spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm.*not positive"),
        (Preparation, {"preset": "mr", "percentiles": (99.5, 0.0)}, "percentiles.*rising"),
        (Preparation, {"preset": "mr", "percentiles": (0.0, 100.5)}, "percentiles.*from 0 to 100"),
        (Preparation, {"preset": "ct", "window_hu": (400.0, -100.0)}, "window_hu.*does not rise"),
        (Recipe, {"neighbours": 2}, "is not odd"),
        (LoopSettings, {"total_steps": -1}, "greater than or equal to 0"),
        (LoopSettings, {"total_steps": 1, "seed": -1}, "greater than or equal to 0"),
        (LoopSettings, {"total_steps": 1, "device": "tpu"}, "'auto', 'cpu' or 'cuda'"),
    ],
)
def test_what_cannot_be_is_refused(model, wrong, told):
    with pytest.raises(ValidationError, match=told):
        model(**wrong)


def test_settings_are_frozen():
    recipe = Recipe()
    with pytest.raises(ValidationError, match="frozen"):
        recipe.batch_size = 4
    assert recipe == Recipe()


def test_a_rate_as_yaml_reads_it():
    """YAML takes ``1e-3`` for text; nobody who writes it means text."""
    assert Recipe.model_validate({"learning_rate": "1e-3"}).learning_rate == 1e-3


@pytest.mark.parametrize("model", [Recipe(total_steps=3), Preparation(preset="ct"), LoopSettings(total_steps=3)])
def test_settings_come_back_from_json(model):
    assert type(model).model_validate_json(model.model_dump_json()) == model


def test_the_loops_decisive_settings_are_those_that_change_what_is_learnt():
    base = LoopSettings(total_steps=10)
    for name, value in {"device": "cpu", "threads": 3, "checkpoint_every_seconds": 1.0, "tensorboard": True}.items():
        assert base.model_copy(update={name: value}).decisive() == base.decisive()
    for name, value in {"total_steps": 11, "seed": 1, "precision": "fp32", "ema_decay": 0.9, "log_every": 5}.items():
        assert base.model_copy(update={name: value}).decisive() != base.decisive()
