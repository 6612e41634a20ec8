"""How a method asks its discriminators: what they are shown, the losses, and what keeps them regular."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from medgan.losses.adversarial import Adversarial, discriminator_loss, generator_loss
from medgan.losses.augmentation import augmented
from medgan.losses.penalties import gradient_penalty, r1_penalty
from medgan.networks.initialisation import initialise
from medgan.networks.spectral import spectrally_normalised
from medgan.settings.discriminator import DiscriminatorRecipe

Judge = Callable[[Tensor], Tensor | Sequence[Tensor]]
"""Gives logits, or several maps of them where it judges at several scales, whose losses are summed."""

Network = TypeVar("Network", bound=nn.Module)


class Adversary:
    """What a recipe's settings of discriminators come to, the same for all discriminators of a method.

    Args:
        recipe: The settings.
        kind: Form of the adversarial loss.
        channels: Channels of one picture; discriminators may be shown several side by side.
    """

    def __init__(self, recipe: DiscriminatorRecipe, *, kind: Adversarial, channels: int) -> None:
        self.recipe, self.kind, self.channels = recipe, kind, channels

    def prepared(self, discriminator: Network) -> Network:
        """Draw a discriminator's weights, and normalise them where the recipe says so; in place."""
        initialise(discriminator)
        return spectrally_normalised(discriminator) if self.recipe.spectral else discriminator

    def generator_loss(self, judge: Judge, fake: Tensor) -> Tensor:
        """How far fakes (N, C, H, W) are from passing for real; a scalar."""
        losses = [generator_loss(logits, kind=self.kind) for logits in _maps(judge(self._shown(fake)))]
        return torch.stack(losses).sum()

    def exchange_loss(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        """How far both sides, each of which a generator made in part, are from passing for the other; a scalar.

        What the discriminator wants, with the labels inverted: Donahue 2017, arXiv:1605.09782, section 3.4.

        Args:
            judge: The discriminator.
            real: What it should call real, (N, C, H, W) in [-1, 1].
            fake: What it should call fake, the same channels and size.
        """
        maps = zip(_maps(judge(self._shown(real))), _maps(judge(self._shown(fake))), strict=True)
        losses = [discriminator_loss(of_fake, of_real, kind=self.kind) for of_real, of_fake in maps]
        return torch.stack(losses).sum()

    def discriminator_losses(
        self, judge: Judge, real: Tensor, fake: Tensor, *, step: int, weight: float = 1.0, suffix: str = ""
    ) -> dict[str, Tensor]:
        """What one discriminator wants.

        Args:
            judge: The discriminator, which gives logits; no layer of it looks across the batch.
            real: (N, C, H, W) in [-1, 1].
            fake: The same channels and size.
            step: Steps done before this one, which say when R1 is due.
            weight: Of the adversarial loss.
            suffix: Of the losses' names, where there are several discriminators.

        Returns:
            Weighted scalars, by the same names in every step: adversarial, r1, gradient_penalty.
        """
        recipe = self.recipe
        shown_real, shown_fake = self._both_shown(real, fake)
        told = self._told(judge, shown_real, shown_fake)
        losses = {"adversarial": weight * told}
        if recipe.weight_r1:
            due = step % recipe.r1_every == 0
            slope = r1_penalty(_in_one(judge, by_patch=True), shown_real) if due else told.new_zeros(())
            losses["r1"] = recipe.weight_r1 * recipe.r1_every * slope
        if recipe.weight_gradient_penalty:
            slope = gradient_penalty(_in_one(judge), shown_real, shown_fake)
            losses["gradient_penalty"] = recipe.weight_gradient_penalty * slope
        return {name + suffix: loss for name, loss in losses.items()}

    def told(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        """One discriminator's adversarial loss of :meth:`discriminator_losses` alone, with weight 1; a scalar."""
        return self._told(judge, *self._both_shown(real, fake))

    def _told(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        maps = [logits.split([len(real), len(fake)]) for logits in _maps(judge(torch.cat([real, fake])))]
        return torch.stack([discriminator_loss(*pair, kind=self.kind) for pair in maps]).sum()

    def _both_shown(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        shown_real, shown_fake = self._shown(torch.cat([real, fake.detach()])).split([len(real), len(fake)])
        return shown_real, shown_fake

    def _shown(self, images: Tensor) -> Tensor:
        return augmented(images, kinds=self.recipe.discriminator_augment, channels=self.channels)


def _maps(logits: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


def _in_one(judge: Judge, *, by_patch: bool = False) -> Callable[[Tensor], Tensor]:
    """A judge whose values of all scales stand in one row for each image; by patch, each map by the root of its length.

    Of patches that do not overlap, the squared slope of their sum is then the mean of each patch's own; of those that
    do, it is more, by up to the number that see a pixel. By the bare sum a map of many logits would hardly dare to
    judge.
    """

    def judged(images: Tensor) -> Tensor:
        rows = [logits.flatten(1) for logits in _maps(judge(images))]
        return torch.cat([row / row.shape[1] ** 0.5 if by_patch else row for row in rows], dim=1)

    return judged
