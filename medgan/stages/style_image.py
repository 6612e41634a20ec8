"""An image whose style a method is to learn, prepared like those that it is trained on."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from medgan.errors import GeometryError
from medgan.imaging.read import read_image
from medgan.imaging.slices import neighbour_stack
from medgan.samples.channels import repeated
from medgan.settings.preparation import Preparation
from medgan.training.translator import SampleShape
from medgan.transforms.prepare import check_preset, prepare


def style_samples(path: Path, *, preparation: Preparation, shape: SampleShape) -> Iterator[Tensor]:
    """The style image as samples of the target domain: itself, or every slice of a volume.

    Args:
        path: An image file that :func:`medgan.read_image` reads.
        preparation: How the study's images are prepared.
        shape: Of the method's samples.

    Yields:
        (channels * neighbours, H, W) in [-1, 1].

    Raises:
        GeometryError: G005, if it has other channels than the study's images; G-codes of reading and preparing it.
    """
    fill, cap = preparation.fill_not_finite, preparation.max_megapixels
    image = read_image(path, guard=True, max_megapixels=cap, fill_not_finite=fill)
    check_preset(image, preparation)
    pixels = prepare(image, preparation).pixels
    volume = pixels if pixels.ndim == 4 else pixels[:, None]
    if volume.shape[0] not in {1, shape.channels}:
        raise GeometryError(
            "G005",
            "the style image has other channels than the images",
            where=path.name,
            got=str(volume.shape[0]),
            expected=str(shape.channels),
        )
    volume = repeated(volume, channels=shape.channels)
    for index in range(volume.shape[1]):
        yield torch.from_numpy(neighbour_stack(volume, index, neighbours=shape.neighbours).copy())
