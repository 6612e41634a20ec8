"""Identity: the image as it is, the baseline that every translation has to beat."""

from typing import Self

from pydantic import Field
from torch import Tensor

from medgan.settings.recipe import Recipe
from medgan.training.translator import Domain, Translator


class IdentityRecipe(Recipe):
    """Nothing to set: there is nothing to train."""

    total_steps: int = Field(default=0, ge=0, le=0)

    @classmethod
    def tiny(cls) -> Self:
        """No steps."""
        return cls(crop_px=32)


class Identity(Translator):
    """Leaves every image as it is."""

    summary = "Baseline: the image as it is"
    paper = "A trivial baseline; it has no paper"
    recipe_type = IdentityRecipe
    directions = ("a", "b")
    size_multiple = 1

    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Give the middle slice back, to the bit."""
        return self.middle(image)


method = Identity
