"""Presets that start from the input: a fresh network gives nearly its input back, and a blank slice breaks nothing."""

import pytest
import torch
from torch.nn.functional import interpolate

from medgan import discover
from medgan.training.translator import SampleShape, Translator

METHODS = {name: discover.load("medgan.methods", name).method for name in discover.names("medgan.methods")}
FOUND = [
    (name, preset)
    for name, method in METHODS.items()
    for preset, held in method.recipe_type.presets.items()
    if held.settings.get("predicts") == "change"
]


def made(name: str, preset: str, *, width: int, size_px: int = 64, neighbours: int = 1) -> Translator:
    recipe_type = METHODS[name].recipe_type
    settings = {"preset": preset, "crop_px": size_px, "neighbours": neighbours, "generator_width": width}
    settings |= {"discriminator_width": 8, "patch": 16}
    known = {key: value for key, value in settings.items() if key in recipe_type.model_fields}
    torch.manual_seed(0)
    return METHODS[name](recipe_type.model_validate(known), shape=SampleShape(1, neighbours, size_px))


def smooth(count: int, channels: int = 1, size_px: int = 64) -> torch.Tensor:
    coarse = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(1))
    return interpolate(coarse * 1.8 - 0.9, size=(size_px, size_px), mode="bicubic", align_corners=True).clamp(-1, 1)


def test_four_methods_have_the_preset() -> None:
    assert {name for name, preset in FOUND if preset == "change"} == {"cyclegan", "cut", "stargan", "dualgan"}


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize(("name", "preset"), FOUND)
def test_a_fresh_network_gives_nearly_its_input(name: str, preset: str, width: int) -> None:
    learner, image = made(name, preset, width=width), smooth(2)
    for to in learner.directions:
        moved = learner.translate(image, to=to) - image
        assert 0 < moved.abs().mean() < 0.1


@pytest.mark.parametrize(("name", "preset"), FOUND)
def test_a_stack_starts_from_its_middle_slice(name: str, preset: str) -> None:
    learner, stack = made(name, preset, width=16, neighbours=3), smooth(2, 3)
    assert (learner.translate(stack, to="b") - stack[:, 1:2]).abs().mean() < 0.1


@pytest.mark.parametrize(("name", "preset"), [one for one in FOUND if one[0] != "cut"])  # whose contrast has its own
def test_gradients_of_blank_slices_stay_in_bounds(name: str, preset: str) -> None:
    """Where nothing is, a normalisation divides by next to nothing; in layer upon layer that becomes infinite."""
    learner = made(name, preset, width=16, size_px=64)
    learner.step = getattr(learner.recipe, "critic_steps", 1) - 1
    for turn in learner.training_step({"a": torch.full((1, 1, 64, 64), -1.0), "b": smooth(1)}):
        learner.zero_grad()
        sum(turn.losses.values()).backward()
        norms = [parameter.grad.norm() for parameter in learner.parameters() if parameter.grad is not None]
        assert torch.stack(norms).max() < 1e6
