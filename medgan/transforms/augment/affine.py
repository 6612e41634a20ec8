"""Random rotation, scaling and shift."""

import numpy as np
import numpy.typing as npt
from pydantic import Field

from medgan.settings.base import Settings
from medgan.transforms.augment import Labels, Pixels

Matrix = npt.NDArray[np.float64]


class Affine(Settings):
    """Turn, scale and shift an image about its centre, each by a uniform random amount.

    The image is interpolated linearly and filled with -1, the label takes its nearest neighbour and is filled with
    :data:`~medgan.transforms.augment.OUTSIDE`.
    """

    rotation_degrees: float = Field(default=15.0, ge=0, le=180, description="Largest turn to either side")
    scale: tuple[float, float] = Field(default=(0.9, 1.1), description="Smallest and largest magnification")
    shift: float = Field(default=0.05, ge=0, le=0.5, description="Largest shift as a share of each side")
    probability: float = Field(default=1.0, ge=0, le=1)

    def __call__(self, image: Pixels, label: Labels | None, rng: np.random.Generator) -> tuple[Pixels, Labels | None]:
        """Move (C, H, W) and (H, W) alike; see :class:`~medgan.transforms.augment.Augmentation`."""
        if rng.random() >= self.probability:
            return image, label
        angle = np.deg2rad(rng.uniform(-self.rotation_degrees, self.rotation_degrees))
        magnification = rng.uniform(*self.scale)
        shift = rng.uniform(-self.shift, self.shift, size=2)
        height, width = image.shape[-2:]
        matrix = _inverse_map(angle, magnification, shift, height=height, width=width)
        return _sample(image, label, matrix)


def _inverse_map(
    angle: float,
    magnification: float,
    shift: Matrix,
    *,
    height: int,
    width: int,
) -> Matrix:
    """Matrix (2, 3) from an output point (x, y, 1) to the input point, both in [-1, 1] over the whole image.

    The turn is made in pixels, so that an oblong image is not sheared.
    """
    cosine, sine = np.cos(angle) / magnification, np.sin(angle) / magnification
    aspect = height / width
    turn = np.array([[cosine, sine * aspect], [-sine / aspect, cosine]])
    return np.column_stack([turn, -turn @ (2.0 * shift)])


def _sample(image: Pixels, label: Labels | None, matrix: Matrix) -> tuple[Pixels, Labels | None]:
    import torch
    from torch.nn import functional

    shape = [1, 1, *image.shape[-2:]]
    grid = functional.affine_grid(torch.from_numpy(matrix).float()[None], shape, align_corners=False)
    # both are moved up by one, so that the zeros that fill in from outside become -1
    raised = torch.from_numpy(image)[None] + 1
    moved = functional.grid_sample(raised, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0] - 1
    pixels = moved.clamp_(-1, 1).numpy()
    if label is None:
        return pixels, None
    above = torch.from_numpy(label).float()[None, None] + 1
    nearest = functional.grid_sample(above, grid, mode="nearest", padding_mode="zeros", align_corners=False)[0, 0]
    return pixels, nearest.numpy().astype(np.int16) - 1


augmentation = Affine
