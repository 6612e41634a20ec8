"""Settings that methods of style transfer share: what is looked at, through which network, and whose style it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from medgan.settings.features import FeatureNetworkName, FeatureSettings
from medgan.settings.recipe import Recipe

Layers = tuple[str, ...]


class StyleTransferRecipe(Recipe):
    """A recipe with content and style losses.

    A domain has a style where the papers have one image: by default it is that of the target domain's typical training
    image. That is medgan's extension.
    """

    usual_content: ClassVar[Mapping[FeatureNetworkName, Layers]] = {}
    usual_style: ClassVar[Mapping[FeatureNetworkName, Layers]] = {}

    features: FeatureSettings = Field(
        default=FeatureSettings(),
        description="The network that is looked through, see below; which layers is told beside it",
    )
    content_layers: Layers = Field(
        default=(), description="layers that say what an image shows; by default the paper's, or all usual ones"
    )
    style_layers: Layers = Field(
        default=(), description="layers that say how an image looks; by default the paper's, or all usual ones"
    )
    style_image: Path | None = Field(
        default=None,
        description="image whose style is taken, prepared like the study's images; by default that of the target "
        "domain's typical training image",
    )
    keep_background: bool = Field(
        default=True,
        description="Pixels at exactly -1 in every channel, such as the air of an MR slice, stay so and have no style",
    )

    @model_validator(mode="after")
    def _names_layers_once(self) -> Self:
        if self.features.layers:
            raise ValueError("layers stand in content_layers and style_layers, not in features")
        return self

    def layers_of_content(self, network: Layers) -> Layers:
        """Layers of the content, given those usual for the network.

        The papers' layer of VGG holds objects. A network of which no such layer is known has to hold the content where
        it holds the style, the finest layer included: with the last one alone it lost whatever is finer than that.
        """
        return self.content_layers or self.usual_content.get(self.features.network) or network

    def layers_of_style(self, network: Layers) -> Layers:
        """Layers of the style, given those usual for the network."""
        return self.style_layers or self.usual_style.get(self.features.network) or network
