"""Segmentation: every pixel gets a class."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field
from torch import Tensor, nn

from medgan.downstream._recipe import TaskRecipe
from medgan.downstream._task import DownstreamTask
from medgan.losses.segmentation import cross_entropy, soft_dice
from medgan.networks.deeplab import DeepLabV3Plus
from medgan.networks.segmentation_unet import segmentation_unet
from medgan.training.learner import Batch, Turn

Network = Literal["unet", "deeplabv3plus"]


class SegmenterRecipe(TaskRecipe):
    """A small U-Net by default, which a processor can train; DeepLabv3+ as in Andrade et al. 2020 on request."""

    network: Network = "unet"
    width: int | None = Field(
        default=None, ge=8, description="unet: channels at full size, 16; deeplabv3plus: of its pyramid, 256"
    )
    width_multiplier: float = Field(default=1.0, gt=0, description="deeplabv3plus: width of its MobileNetV2")
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_dice: float = Field(default=1.0, ge=0)
    weight_cross_entropy: float = Field(default=1.0, ge=0)

    @classmethod
    def tiny(cls) -> Self:
        """A narrow network for 32 px."""
        return cls(total_steps=2, batch_size=2, width=8, width_multiplier=0.25)


class Segmenter(DownstreamTask):
    """Learns label maps by Dice and cross entropy over the pixels that are not padding.

    Args:
        recipe: Settings.
        channels: Channels of the images, neighbours counted.
        classes: Number of classes with the background, which is 0.
    """

    summary = "A class for every pixel"
    recipe_type = SegmenterRecipe
    size_multiple = 16

    def __init__(self, recipe: SegmenterRecipe, *, channels: int, classes: int) -> None:
        super().__init__(recipe, network=_network(recipe, channels, classes), classes=classes)
        self.recipe: SegmenterRecipe = recipe

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """One turn: Dice and cross entropy of a batch with ``"image"``, ``"label"`` and ``"valid"``."""
        logits = self.network(batch["image"])
        label, valid = batch["label"], batch["valid"]
        yield Turn(
            "network",
            {
                "dice": self.recipe.weight_dice * soft_dice(logits, label, valid=valid),
                "cross_entropy": self.recipe.weight_cross_entropy * cross_entropy(logits, label, valid=valid),
            },
        )

    def predict(self, image: Tensor) -> Tensor:
        """The likeliest class of every pixel.

        Args:
            image: (N, channels, H, W) in [-1, 1]; H and W are multiples of 16.

        Returns:
            Classes, (N, H, W), int64.
        """
        return self.probabilities(image).argmax(dim=1)

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Image, true and predicted labels of a batch; labels run from -1 to 1."""
        shown = 3 if batch["image"].shape[1] >= 3 else 1
        labels = {"label": batch["label"], "predicted": self.predict(batch["image"])}
        scaled = {name: value[:, None] * (2.0 / (self.classes - 1)) - 1.0 for name, value in labels.items()}
        return {"image": batch["image"][:, :shown], **scaled}


def _network(recipe: SegmenterRecipe, channels: int, classes: int) -> nn.Module:
    if recipe.network == "unet":
        return segmentation_unet(channels, classes, width=recipe.width or 16)
    return DeepLabV3Plus(channels, classes, width=recipe.width or 256, width_multiplier=recipe.width_multiplier)


task = Segmenter
