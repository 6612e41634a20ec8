"""How far a translation's structures are from its source's, whatever their grey values."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError

_ONE_PIXEL = 1.0


def edge_inconsistency(made: Tensor, source: Tensor, *, noise: float) -> Tensor:
    """How far two images' edges are apart in place and direction, whatever their contrast and its sign.

    Each pixel's gradient g becomes n = g / sqrt(|g|^2 + noise^2), which is near a unit vector on an edge and near 0
    elsewhere; compared is the matrix n n^T, in which a step up and a step down are the same. Half the squared distance
    is 0 where both have the same edge or none, a half for an edge in one alone, and 1 for edges at right angles.

    Args:
        made: (N, C, H, W) in [-1, 1]; channels are averaged.
        source: The same shape; no gradient goes there.
        noise: Steps from pixel to pixel, of [-1, 1], much below this are no edges.

    Returns:
        A scalar in float32, in [0, 1]: the mean over pixels.

    Raises:
        GeometryError: G210, if the shapes differ.

    Source:
        Normalised gradients: Haber and Modersitzki 2006, doi:10.1007/11866763_89, whose measure is symmetric here, so
        that an invented edge costs as much as a lost one. Derivatives by Sobel's filter, edges repeated.

    Example:
        >>> ramp = torch.arange(8.0).expand(1, 1, 8, 8)
        >>> round(edge_inconsistency(-2 * ramp, ramp, noise=0.001).item(), 4)
        0.0
        >>> round(edge_inconsistency(ramp.mT, ramp, noise=0.001).item(), 4)
        1.0
    """
    if made.shape != source.shape:
        raise _differing(made, source)
    found, wanted = (_orientation(image, noise) for image in (made, source.detach()))
    return (found - wanted).square().sum(dim=1).mean() / 2


def mask_inconsistency(found: Tensor, wanted: Tensor) -> Tensor:
    """How far the probabilities of structures are apart: squared differences over sums of squares.

    For hard masks this is 1 - Dice. It is 0 for equal probabilities, however soft they are, which Dice itself is not.

    Args:
        found: Probabilities in the translation, (N, K, H, W) in [0, 1], without the background's.
        wanted: The same of its source; no gradient goes there.

    Returns:
        A scalar in float32, in [0, 1]: the mean over images and structures. Where neither has a structure it is 0.

    Raises:
        GeometryError: G210, if the shapes differ.

    Source:
        Milletari 2016, arXiv:1606.04797, whose Dice has squares below the line; one pixel is added there.

    Example:
        >>> mask_inconsistency(torch.ones(1, 1, 1, 3), torch.zeros(1, 1, 1, 3)).item()
        0.75
    """
    if found.shape != wanted.shape:
        raise _differing(found, wanted)
    one, other = found.float(), wanted.detach().float()
    apart = (one - other).square().sum(dim=(2, 3))
    return (apart / (one.square() + other.square()).sum(dim=(2, 3)).add(_ONE_PIXEL)).mean()


def _orientation(image: Tensor, noise: float) -> Tensor:
    """The matrix n n^T of each pixel as a vector (xx, yy, sqrt(2) xy) of the same norm, (N, 3, H, W) in float32."""
    with torch.autocast(image.device.type, enabled=False):
        grey = F.pad(image.float().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        smooth, step = grey.new_tensor([1.0, 2.0, 1.0]) / 4, grey.new_tensor([-1.0, 0.0, 1.0]) / 2
        right = F.conv2d(F.conv2d(grey, smooth.view(1, 1, 3, 1)), step.view(1, 1, 1, 3))
        down = F.conv2d(F.conv2d(grey, step.view(1, 1, 3, 1)), smooth.view(1, 1, 1, 3))
        size = right.square() + down.square() + noise**2
        return torch.cat([right.square(), down.square(), 2**0.5 * right * down], dim=1) / size


def _differing(got: Tensor, expected: Tensor) -> GeometryError:
    return GeometryError(
        "G210", "what is compared differs in shape", got=str(tuple(got.shape)), expected=str(tuple(expected.shape))
    )
