"""A downstream run of two steps on noise, for losses that look through one."""

from pathlib import Path

import torch

from medgan import discover
from medgan.settings.loop import LoopSettings
from medgan.training.identity import Identity
from medgan.training.loop import train
from medgan.training.weights import export_weights


def segmentation_run(folder: Path, *, channels: int, seed: int = 0) -> Path:
    """Train a narrow U-Net on noise and export its weights."""
    torch.manual_seed(seed)
    kind = discover.load("medgan.downstream", "segmentation").task
    recipe = kind.recipe_type.tiny()
    image = torch.randn(2, channels, 32, 32)
    batch = {"image": image, "label": (image[:, 0] > 0).long(), "valid": torch.ones(2, 32, 32).bool()}
    identity = Identity(
        method="segmentation",
        recipe=recipe.model_dump(mode="json"),
        shape={"channels": channels, "classes": 2, "size_px": 32},
        context={
            "task": {"name": "noise", "task": "segmentation", "label": "mask"},
            "preparation": {"preset": "photograph"},
        },
    )
    loop = LoopSettings(total_steps=2, device="cpu", precision="fp32", preview_every=None)
    learner = kind(recipe, channels=channels, classes=2)
    train(learner, lambda _: batch, run=folder, settings=loop, identity=identity)
    export_weights(folder)
    return folder
