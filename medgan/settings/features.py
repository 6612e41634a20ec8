"""Which network's features a perceptual loss compares: always a local one, nothing is downloaded."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from medgan.settings.base import Settings

FeatureNetworkName = Literal["random", "vgg16", "vgg19", "efficientnet-lite0", "vessels", "run"]

_NEEDS_FILE = frozenset({"vgg16", "vgg19", "vessels", "run"})


class FeatureSettings(Settings):
    """A network whose layers say how alike two images are.

    A network trained on photographs sees texture; one trained downstream sees what the study is about. Random weights
    need no file and see local contrast at several scales.
    """

    network: FeatureNetworkName = Field(
        default="random",
        description="random: three scales with fixed random weights; vgg16 and vgg19: ImageNet weights from a file; "
        "efficientnet-lite0: ImageNet weights of the extra `pretrained`; vessels: a W-Net for retinal vessels, from a "
        "file; run: the network of a downstream run of medgan",
    )
    weights: Path | None = Field(
        default=None,
        description="file of the weights (.safetensors, or a .pth with tensors alone), or folder of the run",
    )
    layers: tuple[str, ...] = Field(
        default=(), description="names of layers; by default those usual for the network, or its encoder's levels"
    )

    @model_validator(mode="after")
    def _has_its_file(self) -> Self:
        if (self.network in _NEEDS_FILE) != (self.weights is not None):
            needs = "needs the file or folder of its weights" if self.weights is None else "takes no file of weights"
            raise ValueError(f"network {self.network!r} {needs}")
        return self

    def usually(self, **layers: tuple[str, ...]) -> Self:
        """The same, with a paper's layers of a network, by its name, where none are asked for.

        Example:
            >>> FeatureSettings().usually(random=("relu1a",)).layers
            ('relu1a',)
        """
        if self.layers or self.network not in layers:
            return self
        return self.model_copy(update={"layers": layers[self.network]})
