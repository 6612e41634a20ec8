"""Random brightness, contrast, gamma and saturation of a photograph."""

import numpy as np
from pydantic import Field

from medgan.settings.base import Settings
from medgan.transforms.augment import Labels, Pixels

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Colour(Settings):
    """Change a photograph's colours as another camera or lamp would.

    Each setting is the largest relative change to either side. Black stays black but for the contrast. For grey
    photographs the saturation is left alone. Not for volumes: a 2.5D stack of three slices is not RGB.

    Source:
        Brightness, contrast and saturation as in Krizhevsky et al. 2012's successors; luma weights of ITU-R BT.601.
    """

    brightness: float = Field(default=0.15, ge=0, lt=1)
    contrast: float = Field(default=0.15, ge=0, lt=1)
    gamma: float = Field(default=0.15, ge=0, lt=1)
    saturation: float = Field(default=0.15, ge=0, lt=1)

    def __call__(self, image: Pixels, label: Labels | None, rng: np.random.Generator) -> tuple[Pixels, Labels | None]:
        """Change (C, H, W) and leave the label; see :class:`~medgan.transforms.augment.Augmentation`."""
        brightness, contrast, gamma, saturation = (
            np.float32(1 + rng.uniform(-reach, reach))
            for reach in (self.brightness, self.contrast, self.gamma, self.saturation)
        )
        levels = np.clip((image + 1) / 2, 0, 1) ** gamma * brightness
        mean = levels.mean(dtype=np.float32)
        levels = mean + contrast * (levels - mean)
        if image.shape[0] == 3:
            grey = np.tensordot(_LUMA, levels, axes=1)
            levels = grey + saturation * (levels - grey)
        return np.clip(levels * 2 - 1, -1, 1).astype(np.float32), label


augmentation = Colour
