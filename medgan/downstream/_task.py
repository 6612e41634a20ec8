"""What segmentation and classification share: one network, its optimizer and its use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from medgan.downstream._recipe import TaskRecipe
from medgan.errors import GeometryError
from medgan.training.learner import Learner, OptimizerSettings


class DownstreamTask(Learner):
    """A learner with one network, trained on labelled samples.

    A task's file defines one subclass and names it ``task`` at its end. Training batches are those of
    :class:`~medgan.samples.labelled.LabelledSamples`.

    Args:
        recipe: Settings.
        network: Images (N, channels, H, W) in [-1, 1] to logits.
        classes: Number of classes; for a segmentation with the background.
    """

    summary: ClassVar[str] = ""
    recipe_type: ClassVar[type[TaskRecipe]] = TaskRecipe
    groups: ClassVar = {"network": ("network",)}
    ema_networks = ("network",)
    size_multiple: int = 16

    def __init__(self, recipe: TaskRecipe, *, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.recipe, self.classes = recipe, classes
        self.network = network

    @classmethod
    def blank(cls, recipe: TaskRecipe, *, channels: int, classes: int) -> Self:
        """The learner of a recipe, to put a run's weights in; nothing is read from elsewhere."""
        return cls(recipe, channels=channels, classes=classes)  # type: ignore[call-arg]

    def optimizer(self, group: str) -> OptimizerSettings:
        """The recipe's optimizer."""
        recipe = self.recipe
        return OptimizerSettings(
            recipe.learning_rate, recipe.betas, recipe.weight_decay, recipe.decay_from, recipe.optimizer
        )

    def probabilities(self, image: Tensor) -> Tensor:
        """Probabilities of the classes, in evaluation mode and without gradient.

        Args:
            image: (N, channels, H, W) in [-1, 1]; H and W are multiples of :attr:`size_multiple`.

        Returns:
            (N, classes, H, W) or (N, classes), float32; they add up to 1 over the classes.

        Raises:
            GeometryError: G042, if the size does not fit; the message says which size to pad to.
        """
        self._check_size(image)
        with _evaluating(self):
            return self.network(image).float().softmax(dim=1)

    def _check_size(self, image: Tensor) -> None:
        height, width = image.shape[-2:]
        fitting = tuple(-(-side // self.size_multiple) * self.size_multiple for side in (height, width))
        if (height, width) != fitting:
            raise GeometryError(
                "G042",
                "the image size does not fit the network",
                got=f"{height} x {width}",
                expected=f"multiples of {self.size_multiple}",
                remedy=f"pad to {fitting[0]} x {fitting[1]}",
            )


@contextmanager
def _evaluating(learner: Learner) -> Iterator[None]:
    """Evaluation mode without gradient, and back as it was."""
    was_training = learner.training
    learner.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        learner.train(was_training)
