"""Classification: every image gets a class, such as a grade or a quality."""

from collections.abc import Iterator, Sequence
from typing import Literal, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from medgan.downstream._recipe import TaskRecipe
from medgan.downstream._task import DownstreamTask
from medgan.errors import TrainingError
from medgan.losses.across_ranks import mean_over_ranks
from medgan.networks.efficientnet import EfficientNet, Pretrained
from medgan.training.learner import Batch, Turn


class ClassifierRecipe(TaskRecipe):
    """EfficientNet-B0 as in Simões et al. 2020; from ImageNet weights a rate of 3e-4, from nothing 1e-3 may be better.

    Ordered grades are learnt as classes, by cross entropy; their order is looked at in the scores.
    """

    network: Literal["efficientnet-b0"] = "efficientnet-b0"
    pretrained: Pretrained | None = Field(
        default=None, description="start from the ImageNet weights of EfficientNet-Lite0"
    )
    learning_rate: float = Field(default=3e-4, gt=0)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced weighs each class by the inverse of its share of the training samples"
    )

    @classmethod
    def tiny(cls) -> Self:
        """Two steps on two images."""
        return cls(total_steps=2, batch_size=2)


class Classifier(DownstreamTask):
    """Learns one class for each image by cross entropy.

    Args:
        recipe: Settings.
        channels: Channels of the images, neighbours counted.
        classes: Number of classes.
        load_pretrained: Whether to start from the recipe's pretrained weights; not needed where a run's are put in.

    Raises:
        SettingsError: S040, if pretrained weights are wanted and not installed.
    """

    summary = "A class for every image"
    recipe_type = ClassifierRecipe
    size_multiple = 32
    class_weights: Tensor

    def __init__(self, recipe: ClassifierRecipe, *, channels: int, classes: int, load_pretrained: bool = True) -> None:
        network = EfficientNet(
            channels, classes, pretrained=recipe.pretrained, dropout=recipe.dropout, load=load_pretrained
        )
        super().__init__(recipe, network=network, classes=classes)
        self.recipe: ClassifierRecipe = recipe
        self.register_buffer("class_weights", torch.ones(classes))
        self.register_buffer("is_balanced", torch.tensor(recipe.class_weights == "none"))

    @classmethod
    def blank(cls, recipe: TaskRecipe, *, channels: int, classes: int) -> Self:
        """The classifier of a recipe, without its pretrained weights."""
        return cls(ClassifierRecipe.model_validate(recipe), channels=channels, classes=classes, load_pretrained=False)

    def balance(self, shares: Sequence[float]) -> None:
        """Weigh each class by the inverse of its share; a class that does not occur gets no weight.

        Args:
            shares: Share or count of each class among the training samples.

        Raises:
            TrainingError: T040, if there are not as many shares as classes, or they are not positive in sum.
        """
        given = torch.as_tensor(shares, dtype=torch.float64)
        if len(given) != self.classes or (given < 0).any() or given.sum() <= 0:
            raise TrainingError(
                "T040",
                "class shares do not fit the classes",
                got=str([round(share, 4) for share in given.tolist()]),
                expected=f"{self.classes} shares, none negative",
            )
        present = given > 0
        weights = torch.where(present, given.sum() / (present.sum() * given.clamp(min=1e-12)), 0.0)
        self.class_weights.copy_(weights)
        self.get_buffer("is_balanced").fill_(True)  # noqa: FBT003

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """One turn: cross entropy of a batch with ``"image"`` and ``"label"`` (N,).

        Raises:
            TrainingError: T041, if the recipe wants balanced classes and :meth:`balance` was not called.
        """
        if not self.get_buffer("is_balanced"):
            raise TrainingError("T041", "class shares are not known", remedy="call balance() before training")
        logits = self.network(batch["image"]).float()
        loss = functional.cross_entropy(logits, batch["label"], weight=self.class_weights)
        loss = mean_over_ranks(loss, self.class_weights[batch["label"]].sum())
        yield Turn("network", {"cross_entropy": loss})

    def predict(self, image: Tensor) -> Tensor:
        """Probabilities of the classes.

        Args:
            image: (N, channels, H, W) in [-1, 1]; H and W are multiples of 32.

        Returns:
            (N, classes), float32; every row adds up to 1.
        """
        return self.probabilities(image)


task = Classifier
