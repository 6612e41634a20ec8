"""The look of a domain as a frozen network sees it, and how far an image is from that look and from its own content."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.errors import TrainingError
from medgan.losses.perceptual import feature_distance, gram

Look = Callable[[Tensor], dict[str, Tensor]]
"""Gives features (N, C, h, w) by layer of images (N, channels, H, W) in [-1, 1]."""

BACKGROUND = -1.0
_TINY = 1e-12


class Texture(NamedTuple):
    """A look that images are drawn to.

    Args:
        powers: Mean square of features, a scalar by layer: what differences of content are measured by.
        grams: Gram matrix of a typical image's features, (1, C, C) by layer of the style.
    """

    powers: Mapping[str, Tensor]
    grams: Mapping[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """The same as tensors by name, to be kept."""
        parts = {"power": self.powers, "gram": self.grams}
        return {f"{part}.{layer}": tensor for part, of_part in parts.items() for layer, tensor in of_part.items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> "Texture":
        """Take back what :meth:`tensors` gave."""
        powers, grams = (
            {key.removeprefix(part): tensor for key, tensor in tensors.items() if key.startswith(part)}
            for part in ("power.", "gram.")
        )
        return cls(powers, grams)


def foreground(image: Tensor) -> Tensor:
    """Where images (N, channels, H, W) show something, (N, 1, H, W): 0 where every channel is exactly -1, else 1."""
    return (image != BACKGROUND).any(dim=1, keepdim=True).float()


def learnt_texture(
    images: Iterable[Tensor], look: Look, *, style_layers: Iterable[str], size_multiple: int, background: bool
) -> Texture:
    """The look of a typical image.

    The mean of images' Gram matrices would hold how they differ from one another, too, in brightness first of all, and
    an image drawn to it would have to hold all of that in itself: it turns blotchy. So the covariance of features
    within an image is averaged, and the mean feature, and their Gram matrix is made of both. Of one image that is its
    own Gram matrix, the papers' style.

    Args:
        images: (channels, H, W) each, in [-1, 1].
        look: The network.
        style_layers: Layers of which Gram matrices are kept.
        size_multiple: Sides are padded to multiples of this by the network.
        background: Whether pixels at exactly -1 are background, which has no look.

    Raises:
        TrainingError: T210, if no image shows anything.
    """
    style, sums, count = tuple(style_layers), _Sums(), 0
    for image in images:
        seen = foreground(image[None])
        if background and not seen.any():
            continue
        count += 1
        with torch.no_grad():
            features = look(image[None])
        for name, layer in features.items():
            weights = shown_in(layer, seen, size_multiple=size_multiple) if background else None
            sums.add(name, layer, weights, with_gram=name in style)
    if not count:
        raise TrainingError(
            "T210", "no image shows the style that is wanted", remedy="fit it on the training set first"
        )
    return Texture(
        powers={name: (total / count).float() for name, total in sums.power.items()},
        grams={name: sums.typical_gram(name, count).float() for name in style},
    )


def shown_in(layer: Tensor, seen: Tensor, *, size_multiple: int) -> Tensor:
    """Share of each position of a layer (N, C, h, w) that lies on foreground (N, 1, H, W): (N, 1, h, w)."""
    rows, columns = -seen.shape[-2] % size_multiple, -seen.shape[-1] % size_multiple
    return F.adaptive_avg_pool2d(F.pad(seen, (0, columns, 0, rows)), (layer.shape[-2], layer.shape[-1]))


def content_loss(
    features: Mapping[str, Tensor], kept: Mapping[str, Tensor], texture: Texture, *, layers: Iterable[str]
) -> Tensor:
    """Mean squared difference of features in some layers, summed over these: Johnson 2016, equation 2.

    Each layer's is divided by the mean square of the style's features, so that networks of any scale count alike.

    Args:
        features: Of the image that is made, by layer.
        kept: Of the content image; no gradient goes there.
        texture: The look that is wanted.
        layers: Those that count.
    """
    names = tuple(layers)
    weights = {name: 1 / max(float(texture.powers[name]), _TINY) for name in names}
    return feature_distance(
        {name: features[name] for name in names}, {name: kept[name] for name in names}, weights=weights
    )


def style_loss(
    features: Mapping[str, Tensor], texture: Texture, *, seen: Tensor | None, size_multiple: int
) -> dict[str, Tensor]:
    """Squared Frobenius distance of Gram matrices by layer, averaged over images: Johnson 2016, equation 4.

    Each layer's is divided by the sum of both matrices' squared norms, so that layers count alike in every network:
    it lies in [0, 1], 1 for a blank image. Divided by the wanted matrix alone it would grow with the fourth power of
    an image's features: among photographs near grey one that is overexposed had the loss of a hundred others, which
    threw a network in training off, into black holes and green skin, and painted patches where pixels are optimised.

    Args:
        features: By layer.
        texture: The look that is wanted.
        seen: Foreground of the images, (N, 1, H, W); None where all counts.
        size_multiple: As for :func:`learnt_texture`.
    """
    losses = {}
    for name, wanted in texture.grams.items():
        layer = features[name]
        weights = None if seen is None else shown_in(layer, seen, size_multiple=size_multiple)
        found = gram(layer, shown=weights)
        wanted = wanted.to(found.device)
        apart, size, wanted_size = (one.square().sum(dim=(1, 2)) for one in (found - wanted, found, wanted))
        losses[name] = (apart / (size + wanted_size).clamp(min=_TINY)).mean()
    return losses


class _Sums:
    """What is added up over images, by layer, in float64."""

    def __init__(self) -> None:
        self.power: dict[str, Tensor] = {}
        self._mean: dict[str, Tensor] = {}
        self._spread: dict[str, Tensor] = {}

    def add(self, name: str, layer: Tensor, shown: Tensor | None, *, with_gram: bool) -> None:
        """Add one image's layer (1, C, h, w), whose pixels count as the weights (1, 1, h, w) say."""
        mean = _mean(layer, shown)
        _increase(self.power, name, _mean(layer.square(), shown).mean())
        _increase(self._mean, name, mean)
        if with_gram:
            within = gram(layer, shown=shown).double() - torch.outer(mean, mean) / len(mean)
            _increase(self._spread, name, within)

    def typical_gram(self, name: str, count: int) -> Tensor:
        """Of the mean spread within images and of the mean feature, (1, C, C)."""
        mean = self._mean[name] / count
        return self._spread[name] / count + torch.outer(mean, mean) / len(mean)


def _increase(sums: dict[str, Tensor], name: str, by: Tensor) -> None:
    sums[name] = sums[name] + by if name in sums else by


def _mean(layer: Tensor, shown: Tensor | None) -> Tensor:
    """Mean of each channel over the pixels that count, (C,) in float64."""
    wide = layer.double()
    if shown is None:
        return wide.mean(dim=(0, 2, 3))
    weights = shown.double()
    return (wide * weights).sum(dim=(0, 2, 3)) / weights.sum().clamp(min=1e-6)
