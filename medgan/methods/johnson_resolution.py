"""Johnson's super-resolution: a feed-forward network held to the features that a frozen network sees in the truth."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l2
from medgan.networks.blocks import Norm, evaluating
from medgan.networks.levels import with_levels_of
from medgan.networks.reduction import Kernel
from medgan.networks.super_resolution import FeedForwardEnlarger
from medgan.settings.extra_losses import WithPairedExtraLosses
from medgan.settings.features import FeatureSettings
from medgan.settings.recipe import Preset
from medgan.settings.resolution import ResolutionRecipe
from medgan.training.extra_losses import ExtraTerms
from medgan.training.features import LossNetwork
from medgan.training.learner import Batch, Turn
from medgan.training.resolution import coarse, on_the_fine_grid
from medgan.training.translator import Domain, SampleShape, Translator


class JohnsonResolutionRecipe(WithPairedExtraLosses, ResolutionRecipe):
    """The paper's settings, but for the normalisation, the upsampling, the feature network and the histograms.

    The paper compares ``relu2_2`` of VGG-16; that is the layer where ``features`` names VGG-16's file. The default
    network is random and needs no file. There is no other loss, so that its weight is of no account by itself; beside
    it stands ``extra``, with the paper's total variation: 1e-6 to 1e-4 times a sum over pixels there, and given for
    style alone.

    Batches of 4, 200,000 steps, crops of 288 px: on images that are smaller, or whole, leave ``crop_px`` out. Coarse
    images that are made are blurred by a Gaussian of 1 px, then reduced by a bicubic kernel.

    The paper gives each result the histogram of its coarse input, since its loss does not hold colours. Here that is
    off: a coarse image has lost its brightest and darkest values, and the random features hold grey values anyhow.

    The paper normalises by batch; here no layer may look across a batch, and there is no normalisation.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "pixels": Preset(
            "The same network with the squared error in pixels, the paper's baseline", {"content": "pixels"}
        ),
        "x8": Preset("Eight times as many rows and columns", {"factor": 8}),
    }

    kernel: Kernel = Field(default="gaussian-bicubic", description="Of coarse images that are made")
    sigma_px: float | None = Field(
        default=1.0, gt=0, description="Of the kernel's Gaussian; none takes half the factor"
    )
    content: Literal["features", "pixels"] = Field(default="features", description="What is compared with the truth")
    weight_content: float = Field(default=1.0, gt=0, description="Of the squared difference in features or pixels")
    features: FeatureSettings = Field(default=FeatureSettings(), description="Network of `content: features`")
    match_levels: bool = Field(
        default=False, description="Give the result the histogram of its coarse input, as published"
    )
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator")
    blocks: int = Field(default=4, ge=1, description="Residual blocks of the generator")
    norm: Norm = Field(default="none", description="Normalisation inside the generator")
    total_steps: int = Field(default=200_000, ge=0, description="Optimizer steps")
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")

    @classmethod
    def tiny(cls) -> Self:
        """A narrow network for 32 px, whose weights move visibly in two steps of plain gradient descent."""
        return cls(total_steps=2, crop_px=32, batch_size=2, generator_width=8, blocks=1, weight_content=10.0)


class JohnsonResolution(Translator):
    """A network that takes an image back to a coarser grid and up again, trained by perceptual distance.

    Its input is an image on the fine grid, as everything here: see :class:`ResolutionRecipe` for the way down. A 2.5D
    stack goes in, the middle slice comes out. The paper's other half, style, is a method of its own.
    """

    summary = "Super-resolution: a feed-forward network held to features of a frozen network"
    paper = "Johnson et al. 2016, Perceptual losses for real-time style transfer and super-resolution, arXiv:1603.08155"
    needs_pairs = True
    recipe_type = JohnsonResolutionRecipe
    directions = ("b",)
    size_multiple = 8
    groups: ClassVar = {"generator": ("g_ab",)}
    ema_networks = ("g_ab",)
    averages_over_samples = True

    def __init__(self, recipe: JohnsonResolutionRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: JohnsonResolutionRecipe = recipe
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.features = LossNetwork(recipe.features.usually(vgg16=("relu2_2",)), channels=shape.channels)
        self.g_ab = FeedForwardEnlarger(
            shape.channels * shape.neighbours,
            shape.channels,
            factor=recipe.factor,
            width=recipe.generator_width,
            blocks=recipe.blocks,
            norm=recipe.norm,
        )

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generator's turn."""
        recipe, source, real_b = self.recipe, on_the_fine_grid(batch, self.recipe), self.middle(batch["b"])
        fake_b = self.g_ab(coarse(source, recipe))
        if recipe.content == "pixels":
            losses = {"reconstruction": recipe.weight_content * l2(fake_b, real_b)}
        else:
            with torch.no_grad():
                wanted = self.features(real_b)
            losses = {"perceptual": recipe.weight_content * feature_distance(self.features(fake_b), wanted)}
        losses |= self.extra(source=self.middle(source), made=fake_b, target=real_b)
        yield Turn("generator", losses)

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Super-resolve a coarse image on the fine grid; see :meth:`Translator.translate`.

        Args:
            image: (N, channels * neighbours, H, W) in [-1, 1], sides multiples of 8 and at least 3 times the factor.
            to: ``"b"``.

        Raises:
            SettingsError: S211, if asked for domain a.
        """
        self.check_direction(to)
        with evaluating(self.g_ab):
            made: Tensor = self.g_ab(coarse(image, self.recipe))
        return with_levels_of(made, self.middle(image)) if self.recipe.match_levels else made

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Input, translation and target, (N, channels, H, W)."""
        fake_b = self.translate(batch["a"], to="b")
        return {"real_a": self.middle(batch["a"]), "fake_b": fake_b, "real_b": self.middle(batch["b"])}


method = JohnsonResolution
