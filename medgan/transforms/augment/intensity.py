"""Random contrast, gamma and noise of a grey image or a stack of slices."""

import numpy as np
from pydantic import Field

from medgan.settings.base import Settings
from medgan.transforms.augment import Labels, Pixels


class Intensity(Settings):
    """Change an MR or CT slice's grey values; all channels of a 2.5D stack alike, but for the noise.

    The lowest value, -1, stays where it is but for the noise: air stays air.
    """

    contrast: float = Field(default=0.1, ge=0, lt=1, description="Largest relative change of the range to either side")
    gamma: float = Field(default=0.15, ge=0, lt=1, description="Largest change of the exponent to either side")
    noise: float = Field(default=0.02, ge=0, le=1, description="Largest standard deviation, on the scale [-1, 1]")

    def __call__(self, image: Pixels, label: Labels | None, rng: np.random.Generator) -> tuple[Pixels, Labels | None]:
        """Change (C, H, W) and leave the label; see :class:`~medgan.transforms.augment.Augmentation`."""
        contrast = np.float32(1 + rng.uniform(-self.contrast, self.contrast))
        gamma = np.float32(1 + rng.uniform(-self.gamma, self.gamma))
        deviation = np.float32(rng.uniform(0, self.noise))
        changed = np.clip((image + 1) / 2, 0, 1) ** gamma * (2 * contrast) - 1
        if deviation > 0:
            changed = changed + rng.standard_normal(image.shape, dtype=np.float32) * deviation
        return np.clip(changed, -1, 1).astype(np.float32), label


augmentation = Intensity
