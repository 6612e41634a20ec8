"""How far images are apart in what a network sees of them; features are dicts of layers (N, C, H, W)."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from medgan.errors import GeometryError

Features = Mapping[str, Tensor]


def feature_distance(
    features: Features,
    reference: Features,
    *,
    kind: Literal["l1", "l2"] = "l2",
    weights: Mapping[str, float] | None = None,
) -> Tensor:
    """Weighted sum over layers of the mean absolute or squared difference.

    Args:
        features: Layers of the image that is judged, (N, C, H, W) each.
        reference: The same layers of what it should look like; no gradient goes there.
        kind: ``"l2"`` as in Johnson 2016, or ``"l1"``.
        weights: Weight of each layer; 1 by default.

    Returns:
        A scalar in float32, at least 0; its scale depends on the network.

    Raises:
        GeometryError: G210, if layers or shapes differ.

    Source:
        Johnson 2016, arXiv:1603.08155, equation 2.

    Example:
        >>> feature_distance({"one": torch.ones(1, 2, 3, 3)}, {"one": torch.full((1, 2, 3, 3), 3.0)}).item()
        4.0
    """
    _check_alike(features, reference)
    parts = []
    for name, layer in features.items():
        difference = layer.float() - reference[name].detach().float()
        mean = difference.abs().mean() if kind == "l1" else difference.square().mean()
        parts.append(mean * (1.0 if weights is None else weights[name]))
    return torch.stack(parts).sum()


def gram(layer: Tensor, *, shown: Tensor | None = None) -> Tensor:
    """Products of channels, summed over pixels: what stays of a texture when its place is forgotten.

    Args:
        layer: (N, C, H, W).
        shown: Weight of each pixel, (N, 1, H, W) in [0, 1], where some do not count; all do by default.

    Returns:
        (N, C, C) in float32, divided by C * H * W, or by C times the sum of the weights; 0 where that is 0.

    Source:
        Gatys 2016, doi:10.1109/CVPR.2016.265; divided as in Johnson 2016, equation 3.

    Example:
        >>> gram(torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]]))
        tensor([[[1.2500, 0.5000],
                 [0.5000, 0.2500]]])
    """
    flat = layer.float().flatten(2)
    with torch.autocast(layer.device.type, enabled=False):
        if shown is None:
            return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])
        weights = shown.float().flatten(2)
        total = weights.sum(dim=2, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        return (flat * (weights / total)) @ flat.transpose(1, 2) / flat.shape[1]


def grams(features: Features) -> dict[str, Tensor]:
    """The Gram matrices of every layer, (N, C, C) each."""
    return {name: gram(layer) for name, layer in features.items()}


def style_distance(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, weights: Mapping[str, float] | None = None
) -> Tensor:
    """Weighted sum over layers of the squared Frobenius distance of Gram matrices, averaged over images.

    Args:
        found: Gram matrices (N, C, C) by layer, from :func:`grams`.
        wanted: The same, or (1, C, C) for one style for all; no gradient goes there.
        weights: Weight of each layer; 1 by default.

    Returns:
        A scalar in float32, at least 0.

    Raises:
        GeometryError: G210, if layers or shapes differ.

    Source:
        Johnson 2016, arXiv:1603.08155, equation 4.

    Example:
        >>> style_distance({"one": torch.zeros(1, 2, 2)}, {"one": torch.ones(1, 2, 2)}).item()
        4.0
    """
    whole = {name: matrix.expand(found[name].shape) for name, matrix in wanted.items() if _spreads(matrix, found, name)}
    _check_alike(found, whole)
    parts = [
        (matrix - whole[name].detach()).square().sum(dim=(1, 2)).mean() * (1.0 if weights is None else weights[name])
        for name, matrix in found.items()
    ]
    return torch.stack(parts).sum()


def _spreads(matrix: Tensor, found: Mapping[str, Tensor], name: str) -> bool:
    return name in found and matrix.shape[1:] == found[name].shape[1:] and len(matrix) in (1, len(found[name]))


def _check_alike(features: Features, reference: Features) -> None:
    found, wanted = ({name: tuple(layer.shape) for name, layer in one.items()} for one in (features, reference))
    if found != wanted or not found:
        raise GeometryError("G210", "the features to compare differ", got=str(found), expected=str(wanted))
