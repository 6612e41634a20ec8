"""What is rebuilt of a finished run."""

import torch

from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe
from medgan.settings.preparation import Preparation
from medgan.stages.trained import open_run
from medgan.training.translator import SampleShape
from medgan.training.weights import write_weights


def test_a_run_keeps_what_its_preset_held_when_it_was_trained(tmp_path) -> None:
    """A setting that is newer than the run takes its default, not what the preset says of it today."""
    recipe = CycleGANRecipe.tiny().model_copy(update={"norm": "none"})
    learner = CycleGAN(recipe, shape=SampleShape(1, 1, 32))
    told = {**recipe.model_dump(mode="json"), "preset": "change"}
    assert "discriminator_norm" in CycleGANRecipe.presets["change"].settings
    del told["discriminator_norm"]
    domain = {"low": 0.0, "high": 1.0, "unit": ""}
    identity = {
        "method": "cyclegan",
        "recipe": told,
        "shape": {"channels": 1, "neighbours": 1, "size_px": 32},
        "directions": ["a", "b"],
        "intensity": {"source": domain, "target": domain},
        "data": {},
        "context": {
            "direction": {"source": "x", "target": "y"},
            "preparation": Preparation(preset="mr").model_dump(mode="json"),
        },
    }
    write_weights(tmp_path, learner.state_dict(), identity=identity, step=0, averaged=False)
    again = open_run(tmp_path, device="cpu").learner
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(
        again.translate(image, to="b"), learner.eval().translate(image, to="b"), atol=1e-4, rtol=0
    )
