"""Small methods and presets for the contracts: ``method`` or ``method:preset``."""

from medgan import discover
from medgan.settings.recipe import Recipe
from medgan.training.translator import SampleShape

SIZE = 32


def tiny_recipe(label: str, **settings: object) -> Recipe:
    """The method's tiny recipe, with the preset's settings and some others."""
    name, _, preset = label.partition(":")
    kind: type[Recipe] = discover.load("medgan.methods", name).method.recipe_type
    named = {"preset": preset, **kind.presets[preset].settings} if preset else {}
    return kind(**{**kind.tiny().model_dump(), **named, **settings})


def presets_with_other_turns() -> list[str]:
    """Presets whose first step has other turns than their method's."""
    return [
        f"{name}:{preset}"
        for name in discover.names("medgan.methods")
        for preset in discover.load("medgan.methods", name).method.recipe_type.presets
        if _turns(f"{name}:{preset}") != _turns(name)
    ]


def _turns(label: str) -> tuple[str, ...]:
    method = discover.load("medgan.methods", label.split(":")[0]).method
    turns: tuple[str, ...] = method(tiny_recipe(label), shape=SampleShape(1, 1, SIZE)).turns
    return turns
