"""Feed-forward style transfer: a network that paints every image in one style, learnt from perceptual losses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.errors import TrainingError
from medgan.losses.reconstruction import l2
from medgan.losses.structure import total_variation
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.initialisation import initialise
from medgan.networks.transform_network import TransformNetwork
from medgan.settings.extra_losses import WithExtraLosses
from medgan.settings.texture import StyleTransferRecipe
from medgan.training.extra_losses import ExtraTerms
from medgan.training.features import LossNetwork
from medgan.training.learner import Batch, Turn
from medgan.training.texture import BACKGROUND, Texture, content_loss, foreground, learnt_texture, style_loss
from medgan.training.translator import Domain, SampleShape, Translator

_PAPERS_CONTENT = ("relu2_2",)
_PAPERS_STYLE = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


class JohnsonStyleRecipe(StyleTransferRecipe, WithExtraLosses):
    """The paper's layers, steps, batch and rate; its feature network is VGG-16, which needs a file of the user's.

    The paper's text names relu2_2 for the content, its figure 2 relu3_3: the text is followed. It gives no weights of
    content and style, since they are chosen for each style; those of the authors' published program are 1 and 5, and
    total variation is 1e-6 to 1e-4 of a sum over levels. Losses are divided otherwise here (docs/style-transfer.md),
    so that none of these numbers carry over.

    The defaults were chosen at 64 px with random features, 150 steps of 2, a network of half the width and a rate of
    5e-3, by images of training subjects of docs/methods.md, none of a subject that is tested there. Content, in all
    layers that style is in, counts as much as style: weighed 0.3, pink and green patches were painted on skin. A style
    of your own needs a look at its pictures.
    """

    usual_content: ClassVar = {"vgg16": _PAPERS_CONTENT, "vgg19": _PAPERS_CONTENT}
    usual_style: ClassVar = {"vgg16": _PAPERS_STYLE, "vgg19": _PAPERS_STYLE}

    weight_content: float = Field(default=1.0, ge=0, description="Of the distance of features to the source image's")
    weight_style: float = Field(default=1.0, ge=0, description="Of the distance of Gram matrices to the style's")
    weight_pixel: float = Field(
        default=0.0,
        ge=0,
        description="Of the mean squared difference to the source image; the paper has it for super-resolution, where "
        "the true image is known",
    )
    weight_total_variation: float = Field(default=0.03, ge=0, description="Of the mean step from pixel to pixel")
    generator_width: int = Field(default=32, ge=1, description="Channels of the network's first layer")
    blocks: int = Field(default=5, ge=1, description="Residual blocks")
    predicts: Literal["change", "image"] = Field(
        default="change",
        description="change starts from the input, image is as published and needs the paper's tens of thousands of "
        "steps: after a few hundred it gives blots",
    )
    upsampling: Upsampling = "resize"
    norm: Norm = Field(
        default="instance-affine",
        description="As Ulyanov 2016 found better; the paper's batch normalisation would look across a batch",
    )
    total_steps: int = Field(default=40_000, ge=0, description="Optimizer steps")
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(
            total_steps=2, crop_px=32, batch_size=2, generator_width=8, blocks=1, weight_style=0.1, predicts="image"
        )


class JohnsonStyle(Translator):
    """One network for one style: images of domain a are the content, those of b give the style.

    The paper's style is that of one image. Here it is that of the target domain's typical training image, learnt
    before the first step, unless the recipe names a style image: medgan's extension. It is kept in checkpoints, and
    not in the weights: a run is translated with without it, and without the feature network.

    What is held is texture: nothing tells the network which tissue has which look, so that it may paint the target's
    texture, colours and even structures anywhere. A 2.5D stack goes in, the middle slice comes out.
    """

    summary = "One network, one style: perceptual losses through a frozen network; paints texture, knows no anatomy"
    paper = "Johnson et al. 2016, Perceptual losses for real-time style transfer and super-resolution, arXiv:1603.08155"
    recipe_type = JohnsonStyleRecipe
    directions = ("b",)
    size_multiple = 4
    groups: ClassVar = {"generator": ("g_ab",)}
    ema_networks = ("g_ab",)
    averages_over_samples = True

    def __init__(self, recipe: JohnsonStyleRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: JohnsonStyleRecipe = recipe
        self.texture = Texture({}, {})
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.features = LossNetwork(recipe.features, channels=shape.channels)
        network = TransformNetwork(
            shape.channels * shape.neighbours,
            shape.channels,
            width=recipe.generator_width,
            blocks=recipe.blocks,
            upsampling=recipe.upsampling,
            norm=recipe.norm,
        )
        self.g_ab = initialise(network)
        if recipe.predicts == "change":
            network.change_nothing()

    def fit(self, *samples: Iterable[Tensor]) -> None:
        """Learn the style of the images of b, which are the style image alone where the recipe names one."""
        content, style = self._layers()
        self.texture = learnt_texture(
            (self.middle(sample[None])[0] for sample in samples[1]),
            lambda image: self.features(image, (*content, *style)),
            style_layers=style,
            size_multiple=self.features.load().size_multiple,
            background=self.recipe.keep_background,
        )

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The network's turn."""
        recipe, source = self.recipe, self.middle(batch["a"])
        texture = self._known_texture()
        content, style = self._layers()

        made = self._painted(batch["a"])
        found = self.features(made, (*content, *style))
        with torch.no_grad():
            kept = self.features(source, content)
        styles = style_loss(
            found,
            texture,
            seen=foreground(source) if recipe.keep_background else None,
            size_multiple=self.features.load().size_multiple,
        )
        losses = {
            "content": recipe.weight_content * content_loss(found, kept, texture, layers=content),
            "style": recipe.weight_style * torch.stack(list(styles.values())).sum(),
        }
        if recipe.weight_pixel:
            losses["pixel"] = recipe.weight_pixel * l2(made, source)
        if recipe.weight_total_variation:
            losses["variation"] = recipe.weight_total_variation * total_variation(made)
        losses |= self.extra(source=source, made=made, target=self.middle(batch["b"]), suffix="_extra")
        yield Turn("generator", losses)

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate to b; see :meth:`Translator.translate`.

        Raises:
            SettingsError: S211, if asked for domain a.
        """
        self.check_direction(to)
        return self._painted(image)

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Content, translation and an image of the style's domain, (N, channels, H, W)."""
        made = self.translate(batch["a"], to="b")
        return {"real_a": self.middle(batch["a"]), "fake_b": made, "real_b": self.middle(batch["b"])}

    def extra_tensors(self) -> dict[str, Tensor]:
        """The style."""
        return self.texture.tensors()

    def load_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take it back."""
        self.texture = Texture.of_tensors(tensors)

    def _painted(self, image: Tensor) -> Tensor:
        source = self.middle(image)
        made: Tensor = self.g_ab(image, source if self.recipe.predicts == "change" else None)
        if not self.recipe.keep_background:
            return made
        return torch.where(foreground(source).bool(), made, BACKGROUND)

    def _layers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        usual = self.features.load().layers
        return self.recipe.layers_of_content(usual), self.recipe.layers_of_style(usual)

    def _known_texture(self) -> Texture:
        if not self.texture.grams:
            raise TrainingError(
                "T210", "the style is not known yet", remedy="fit it on the training set before the first step"
            )
        return self.texture


method = JohnsonStyle
