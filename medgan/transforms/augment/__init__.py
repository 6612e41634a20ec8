"""Random changes to a training sample, one file each, found by name."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from medgan.discover import load

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int16]

OUTSIDE = -1
"""Label of a pixel that shows nothing: padding, or moved in from beyond the border."""


class Augmentation(Protocol):
    """A random change to one sample; everything random comes from the generator that is passed in."""

    def __call__(self, image: Pixels, label: Labels | None, rng: np.random.Generator) -> tuple[Pixels, Labels | None]:
        """Change an image and its label map alike.

        Args:
            image: (C, H, W) in [-1, 1].
            label: (H, W), classes from 0 and :data:`OUTSIDE`; None where there is none.
            rng: Source of everything random.

        Returns:
            New arrays of the same shapes and types; the inputs stay as they are.
        """
        ...


class Chain:
    """Augmentations one after the other.

    Args:
        steps: In the order of their use.
    """

    def __init__(self, *steps: Augmentation) -> None:
        self.steps = steps

    def __call__(self, image: Pixels, label: Labels | None, rng: np.random.Generator) -> tuple[Pixels, Labels | None]:
        """Apply every step; see :class:`Augmentation`."""
        for step in self.steps:
            image, label = step(image, label, rng)
        return image, label


def build(settings: Mapping[str, Mapping[str, Any]]) -> Chain:
    """Build a chain from names and settings.

    Args:
        settings: Name of an augmentation's file to its settings, in the order of their use.

    Raises:
        DiscoverError: If there is no augmentation of that name.

    Example:
        >>> [type(step).__name__ for step in build({"flips": {"axes": ["horizontal"]}, "colour": {}}).steps]
        ['Flips', 'Colour']
    """
    return Chain(*(load(__name__, name).augmentation.model_validate(values) for name, values in settings.items()))
