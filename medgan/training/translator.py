"""A learner that translates images: what every file in ``methods/`` defines."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from torch import Tensor

from medgan.errors import SettingsError
from medgan.settings.domains import LETTERS, Domain
from medgan.settings.recipe import Recipe
from medgan.training.learner import Learner, OptimizerSettings

__all__ = ["LETTERS", "Domain", "SampleShape", "Translator"]


class SampleShape(NamedTuple):
    """What one sample of any domain looks like, and how many domains there are.

    Args:
        channels: 1 for grey, 3 for RGB.
        neighbours: Slices stacked in the channels, odd; a sample is (channels * neighbours, H, W).
        size_px: Side of the square samples seen in training.
        domains: How many domains are learnt; their letters are a, b, c and so on.
    """

    channels: int
    neighbours: int
    size_px: int
    domains: int = 2

    def told(self) -> dict[str, int]:
        """As a checkpoint holds it: the domains only where there are more than two, as in those from before."""
        return {name: value for name, value in self._asdict().items() if name != "domains" or value != 2}


class Translator(Learner):
    """Maps images of domain a to domain b, some methods back, and some among more domains.

    A method's file defines one subclass and names it ``method`` at its end::

        method = CycleGAN

    Training batches hold ``"a"`` and ``"b"``, each (N, channels * neighbours, H, W) in [-1, 1]; where
    :attr:`needs_pairs`, they show the same thing, pixel by pixel, unless :meth:`learns_by_pairs` says that a recipe
    makes do without. A method that takes :attr:`many_domains` finds in
    ``shape.domains`` how many there are, in batches ``"c"`` and so on as well, and sets :attr:`directions` for itself.
    """

    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    needs_pairs: ClassVar[bool] = False
    recipe_type: ClassVar[type[Recipe]] = Recipe
    many_domains: ClassVar[bool] = False
    directions: tuple[Domain, ...] = ("b",)
    size_multiple: ClassVar[int] = 4
    channels_last: ClassVar[bool] = True

    def __init__(self, recipe: Recipe, *, shape: SampleShape) -> None:
        super().__init__()
        self.recipe = recipe
        self.shape = shape

    @classmethod
    def learns_by_pairs(cls, recipe: Recipe) -> bool:
        """Whether training under a recipe takes pairs."""
        return cls.needs_pairs and not recipe.makes_pairs

    def optimizer(self, group: str) -> OptimizerSettings:
        """The recipe's optimizer, the same for every group."""
        recipe = self.recipe
        return OptimizerSettings(recipe.learning_rate, recipe.betas, 0.0, recipe.decay_from, recipe.optimizer)

    def fit(self, *samples: Iterable[Tensor]) -> None:
        """Learn what needs no gradient, before the first step.

        Args:
            samples: Those of domain a, then b and so on; each (channels * neighbours, H, W).
        """

    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate a batch.

        Args:
            image: (N, channels * neighbours, H, W) in [-1, 1]; H and W are multiples of :attr:`size_multiple`.
            to: Domain wanted; one of :attr:`directions`.

        Returns:
            (N, channels, H, W) in [-1, 1]: the middle slice where there are neighbours.
        """
        raise TypeError(f"{type(self).__name__} does not say how to translate")

    def check_direction(self, to: Domain) -> None:
        """Refuse a direction that the method does not offer.

        Raises:
            SettingsError: S211.
        """
        if to not in self.directions:
            raise SettingsError(
                "S211",
                f"{type(self).__name__} does not translate in this direction",
                got=f"to={to!r}",
                expected=" or ".join(f"to={known!r}" for known in self.directions),
                remedy="train a second run with the domains swapped",
            )

    def middle(self, stack: Tensor) -> Tensor:
        """The middle slice's channels of a 2.5D stack (N, channels * neighbours, H, W)."""
        start = self.shape.channels * (self.shape.neighbours // 2)
        return stack[:, start : start + self.shape.channels]
