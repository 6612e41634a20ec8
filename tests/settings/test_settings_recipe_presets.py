"""Presets: named settings that a recipe starts from."""

from collections.abc import Mapping
from typing import ClassVar

import pytest
from pydantic import ValidationError

from medgan.settings.recipe import Preset, Recipe


class Painted(Recipe):
    """A recipe with a preset."""

    presets: ClassVar[Mapping[str, Preset]] = {"bold": Preset("Thick paint", {"weight": 7.0, "batch_size": 4})}
    weight: float = 1.0


def test_a_preset_is_started_from() -> None:
    recipe = Painted(preset="bold")
    assert (recipe.weight, recipe.batch_size, recipe.learning_rate) == (7.0, 4, 2e-4)


def test_what_stands_beside_it_goes_first() -> None:
    assert Painted(preset="bold", weight=2.0).weight == 2.0
    assert Painted(preset="bold", weight=2.0).batch_size == 4


def test_written_and_read_it_is_the_same() -> None:
    recipe = Painted(preset="bold", weight=2.0)
    assert Painted.model_validate_json(recipe.model_dump_json()) == recipe


def test_an_unknown_one_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="no preset 'bald'; there are bold"):
        Painted(preset="bald")
    with pytest.raises(ValidationError, match="there are none"):
        Recipe(preset="bold")
