"""Random mirroring."""

from typing import Literal

import numpy as np
from pydantic import Field

from medgan.settings.base import Settings
from medgan.transforms.augment import Labels, Pixels


class Flips(Settings):
    """Mirror an image along each axis with a given probability; leave it out where laterality matters."""

    axes: tuple[Literal["horizontal", "vertical"], ...] = Field(
        default=("horizontal", "vertical"), description="horizontal swaps left and right"
    )
    probability: float = Field(default=0.5, ge=0, le=1, description="Of each axis, by itself")

    def __call__(self, image: Pixels, label: Labels | None, rng: np.random.Generator) -> tuple[Pixels, Labels | None]:
        """Mirror (C, H, W) and (H, W) alike; see :class:`~medgan.transforms.augment.Augmentation`."""
        axes = tuple(-1 if axis == "horizontal" else -2 for axis in self.axes if rng.random() < self.probability)
        if not axes:
            return image, label
        flipped = np.ascontiguousarray(np.flip(image, axes))
        return flipped, None if label is None else np.ascontiguousarray(np.flip(label, axes))


augmentation = Flips
