"""Projection heads: what a generator's features are brought into before patches of them are compared."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class ProjectionHeads(nn.Module):
    """A network of two linear layers for each layer of features, whose output has length 1.

    For 3, 128, 256, 256 and 256 channels and 256 units these are the published 560,384 parameters.

    Args:
        channels: Channels of each layer's features, by the layer's name.
        units: Of both linear layers.

    Source:
        Park 2020, arXiv:2007.15651, section 3 and appendix C; Chen 2020, arXiv:2002.05709, for projecting at all.
    """

    def __init__(self, channels: Mapping[str, int], *, units: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {
                layer: nn.Sequential(nn.Linear(count, units), nn.ReLU(inplace=True), nn.Linear(units, units))
                for layer, count in channels.items()
            }
        )

    def forward(self, features: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Project patches, in the weights' own precision whatever autocast says.

        Args:
            features: (N, channels, h, w) of every layer.
            places: Which pixels of each layer to take, (S,), counted along rows; the same in all images.

        Returns:
            Unit vectors (N, S, units) of every layer.
        """
        with torch.autocast(next(iter(features.values())).device.type, enabled=False):
            return {layer: self._projected(layer, features[layer], places[layer]) for layer in features}

    def _projected(self, layer: str, features: Tensor, places: Tensor) -> Tensor:
        head = self.heads[layer]
        patches = features.flatten(2)[..., places].mT.to(next(head.parameters()).dtype)
        return F.normalize(head(patches), dim=-1)


def draw_places(features: Mapping[str, Tensor], *, patches: int) -> dict[str, Tensor]:
    """Pixels of each layer at random, by torch's generator, none twice.

    Args:
        features: (N, channels, h, w) by layer.
        patches: How many; all pixels of a layer that has no more.

    Returns:
        (S,) for each layer, counted along rows.
    """
    return {
        layer: torch.randperm(one.shape[-2] * one.shape[-1], device=one.device)[:patches]
        for layer, one in features.items()
    }
