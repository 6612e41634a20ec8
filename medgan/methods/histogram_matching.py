"""Histogram matching: grey values mapped to the other domain's, the baseline that knows no anatomy."""

from collections.abc import Iterable
from typing import Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.errors import TrainingError
from medgan.settings.recipe import Recipe
from medgan.training.translator import LETTERS, Domain, SampleShape, Translator

BACKGROUND = -1.0


class HistogramMatchingRecipe(Recipe):
    """No gradient steps; one pass over the training images."""

    total_steps: int = Field(default=0, ge=0, le=0)
    quantiles: int = Field(default=256, ge=2, description="Levels at which a domain's quantile function is kept")

    @classmethod
    def tiny(cls) -> Self:
        """No steps, few quantiles."""
        return cls(crop_px=32, quantiles=16)


class HistogramMatching(Translator):
    """Maps each image's own quantiles to the wanted domain's, channel by channel, by a monotone function.

    A domain's quantile function is the mean of its images' (of slices, for a volume), each weighted by its pixels:
    the histogram of a typical image, where the pooled one would be broader than any. Pixels at exactly -1 in every
    channel are background (air, the surround of a fundus): they stay so and count on neither side. A volume is matched
    slice by slice, so that grey values may drift along it. Equal values stay equal, and take their middle rank.
    """

    summary = "Baseline: quantiles of each image mapped to those of the other domain"
    paper = "Nyul et al. 2000, New variants of a method of MRI scale standardization, doi:10.1109/42.836373"
    many_domains = True
    recipe_type = HistogramMatchingRecipe
    directions: tuple[Domain, ...] = ("a", "b")
    size_multiple = 1

    def __init__(self, recipe: HistogramMatchingRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: HistogramMatchingRecipe = recipe
        self.directions = LETTERS[: shape.domains]
        for domain in self.directions:
            unknown = torch.full((shape.channels, recipe.quantiles), float("nan"))
            self.register_buffer(f"quantiles_{domain}", unknown)

    def fit(self, *samples: Iterable[Tensor]) -> None:
        """Take each domain's mean quantile function; a domain without foreground stays unknown."""
        for domain, of_domain in zip(self.directions, samples, strict=True):
            known = self.get_buffer(f"quantiles_{domain}")
            total, pixels = torch.zeros(known.shape, dtype=torch.float64), 0
            for sample in of_domain:
                image = self.middle(sample[None])[0].cpu()
                values = image[:, _foreground(image)]
                if values.numel():
                    total += values.shape[1] * _quantile_functions(values, count=self.recipe.quantiles)
                    pixels += values.shape[1]
            if pixels:
                known.copy_(total / pixels)

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Map each image's quantiles to those of the wanted domain; see :meth:`Translator.translate`.

        Raises:
            TrainingError: T210, if :meth:`fit` has seen no image of that domain.
        """
        target = self.get_buffer(f"quantiles_{to}")
        if target.isnan().any():
            raise TrainingError(
                "T210", f"histogram matching knows no image of domain {to}", remedy="fit it on the training set first"
            )
        return torch.stack([_match(one, target) for one in self.middle(image)])


def _foreground(image: Tensor) -> Tensor:
    return (image != BACKGROUND).any(dim=0)


def _quantile_functions(values: Tensor, *, count: int) -> Tensor:
    """Values (C, P) at ``count`` even levels from 0 to 1, (C, count) in float64; no limit on P, unlike torch's own."""
    ordered = values.double().sort(dim=1).values
    position = torch.linspace(0, ordered.shape[1] - 1, count, dtype=torch.float64, device=values.device)
    below = position.long()
    above = (below + 1).clamp(max=ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], position - below)


def _match(image: Tensor, target: Tensor) -> Tensor:
    """One image (C, H, W) with the target's quantiles (C, K); background as it was."""
    foreground = _foreground(image)
    matched = image.clone()
    values = image[:, foreground]
    if values.numel():
        own = _quantile_functions(values, count=target.shape[1])
        level = _levels(own, values.double().contiguous())
        below = level.long().clamp(max=target.shape[1] - 2)
        target = target.double()
        mapped = torch.lerp(target.gather(1, below), target.gather(1, below + 1), level - below)
        matched[:, foreground] = mapped.clamp(-1, 1).to(image.dtype)
    return matched


def _levels(own: Tensor, values: Tensor) -> Tensor:
    """Where values (C, P) stand among their own quantiles (C, K): in [0, K - 1], the middle rank where they tie."""
    first = torch.searchsorted(own, values, right=False)
    beyond = torch.searchsorted(own, values, right=True)
    return (_between(own, values, above=first, tied=0.0) + _between(own, values, above=beyond, tied=1.0)) / 2


def _between(own: Tensor, values: Tensor, *, above: Tensor, tied: float) -> Tensor:
    above = above.clamp(1, own.shape[1] - 1)
    low, high = own.gather(1, above - 1), own.gather(1, above)
    share = torch.where(high > low, (values - low) / (high - low), tied)
    return above - 1 + share


method = HistogramMatching
