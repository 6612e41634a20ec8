"""SRGAN: a coarse image made fine by SRResNet, held to the truth in pixels or features, and to what looks real."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l2
from medgan.networks.blocks import Drawn, Norm, evaluating
from medgan.networks.super_resolution import SRResNet, SubPixel
from medgan.networks.vgg_discriminator import VGGDiscriminator, check_size_fits
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithPairedExtraLosses
from medgan.settings.features import FeatureSettings
from medgan.settings.recipe import Preset
from medgan.settings.resolution import ResolutionRecipe
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.features import LossNetwork
from medgan.training.learner import Batch, OptimizerSettings, Turn
from medgan.training.resolution import coarse, on_the_fine_grid
from medgan.training.translator import Domain, SampleShape, Translator


class SRGANRecipe(WithPairedExtraLosses, DiscriminatorRecipe, ResolutionRecipe):
    """The paper's settings, but for the normalisation, the upsampling and the feature network.

    The paper trains for 1,000,000 steps with the squared error in pixels, then for 200,000 against the discriminator,
    the second half of those at a tenth of the rate: ``pretraining`` is 5/6 of the steps, and ``tenth_from`` 11/12.

    Its features are VGG-19's ``relu5_4`` (SRGAN-VGG54), or ``relu2_2`` (VGG22), divided by 12.75 to bring the loss to
    the scale of the squared error: a ``weight_content`` of 0.006. Where ``features`` names VGG-19's file, that layer
    is looked at by default; set the weight beside it. The default network is random and needs no file; its distance
    is that of the squared error as it is (1.0 to 1.1 times it, for blurred and noisy slices), so that its weight is 1.

    The paper normalises by batch, in both networks. Here no layer may look across a batch: the generator has no
    normalisation (Lim 2017 found that it loses nothing), the discriminator normalises each image by itself.

    The paper's upsampling is ``"sub-pixel"``. The default repeats pixels and convolves, since a checkerboard in a
    medical image reads as texture, and an adversarial loss is what draws it; ``"sub-pixel"`` starts without one.

    ``predicts="change"`` adds to the interpolated image: what a short training has not learnt stays interpolated. As
    published the network draws the image itself.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "srresnet-mse": Preset(
            "SRResNet: the squared error in pixels alone; the highest PSNR, blurred",
            {"content": "pixels", "weight_adversarial": 0.0, "tenth_from": 1.0},
        ),
        "srresnet-features": Preset(
            "The distance of features alone (SRResNet-VGG22)",
            {"content": "features", "weight_adversarial": 0.0, "pretraining": 0.0, "tenth_from": 1.0},
        ),
        "srgan-mse": Preset("The squared error in pixels and a discriminator", {"content": "pixels"}),
        "srgan-features": Preset(
            "The whole method, as by default: features and a discriminator (SRGAN-VGG54)", {"content": "features"}
        ),
    }

    content: Literal["pixels", "features"] = Field(
        default="features", description="What is compared with the fine image after the pre-training"
    )
    weight_content: float = Field(
        default=1.0,
        gt=0,
        description="Of the squared difference in pixels or features, behind the pre-training; with VGG-19 published "
        "as 0.006",
    )
    weight_adversarial: float = Field(default=1e-3, ge=0, description="0 trains no discriminator")
    pretraining: float = Field(
        default=5 / 6, ge=0, le=1, description="Share of the steps that learn from the squared error in pixels alone"
    )
    features: FeatureSettings = Field(default=FeatureSettings(), description="Network of `content: features`")
    adversarial: Adversarial = "vanilla"
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator")
    blocks: int = Field(default=16, ge=1, description="Residual blocks of the generator")
    upsampling: SubPixel = Field(
        default="resize", description="resize and convolve, or sub-pixel convolution as published"
    )
    predicts: Drawn = Field(
        default="image", description="The image, as published, or the change to the interpolated image"
    )
    norm: Norm = Field(default="none", description="Normalisation inside the generator")
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminator's first layer")
    discriminator_norm: Norm = Field(default="instance", description="Normalisation inside the discriminator")
    crop_px: int | None = Field(default=96, ge=16, description="Random square crop; none takes the whole padded image")
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    tenth_from: float = Field(
        default=11 / 12, ge=0, le=1, description="Share of the steps after which the rate is a tenth"
    )

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px, and no pre-training, so that every turn is taken."""
        sizes = {"generator_width": 8, "blocks": 1, "discriminator_width": 4}
        return cls(total_steps=2, crop_px=32, batch_size=2, pretraining=0.0, **sizes)


class SRGAN(Translator):
    """A generator that takes an image back to a coarser grid and up again, and a discriminator of the whole image.

    Its input is an image on the fine grid, as everything here: see :class:`ResolutionRecipe` for the way down. A 2.5D
    stack goes in, the middle slice comes out. The discriminator's dense layers look at 6 x 6 cells of the training
    image, whatever its size: of a crop other than the paper's 96 px each cell is another share.

    The generator's last layer is not bounded, as published; a translation is clipped to [-1, 1].
    """

    summary = "Super-resolution: SRResNet, features of a frozen network and a discriminator of whole images"
    paper = (
        "Ledig et al. 2017, Photo-realistic single image super-resolution using a generative adversarial network, "
        "arXiv:1609.04802"
    )
    needs_pairs = True
    recipe_type = SRGANRecipe
    directions = ("b",)
    size_multiple = 8
    groups: ClassVar = {"generator": ("g_ab",), "discriminator": ("d_b",)}
    ema_networks = ("g_ab",)
    averages_over_samples = True

    def __init__(self, recipe: SRGANRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: SRGANRecipe = recipe
        check_size_fits(shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.features = LossNetwork(recipe.features.usually(vgg19=("relu5_4",)), channels=shape.channels)
        self.g_ab = SRResNet(
            shape.channels * shape.neighbours,
            shape.channels,
            factor=recipe.factor,
            width=recipe.generator_width,
            blocks=recipe.blocks,
            upsampling=recipe.upsampling,
            norm=recipe.norm,
            predicts=recipe.predicts,
        )
        judge = VGGDiscriminator(shape.channels, width=recipe.discriminator_width, norm=recipe.discriminator_norm)
        self.d_b = self.adversary.prepared(judge)

    @property
    def turns(self) -> tuple[str, ...]:
        """The generator's turn, and after the pre-training the discriminator's if it has a say."""
        judged = self.recipe.weight_adversarial and not self._in_pretraining
        return ("generator", "discriminator") if judged else ("generator",)

    def optimizer(self, group: str) -> OptimizerSettings:
        """As for every method, and a tenth of the rate from some step on."""
        return super().optimizer(group)._replace(tenth_from=self.recipe.tenth_from)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generator's turn, then the discriminator's after the pre-training."""
        recipe, source, real_b = self.recipe, on_the_fine_grid(batch, self.recipe), self.middle(batch["b"])
        fake_b = self.g_ab(coarse(source, recipe))
        losses = self._content(fake_b, real_b)
        losses |= self.extra(source=self.middle(source), made=fake_b, target=real_b)
        if "discriminator" not in self.turns:
            yield Turn("generator", losses)
            return
        losses["adversarial"] = recipe.weight_adversarial * self.adversary.generator_loss(self.d_b, fake_b)
        yield Turn("generator", losses)
        yield Turn("discriminator", self.adversary.discriminator_losses(self.d_b, real_b, fake_b, step=self.step))

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
            return self.g_ab(coarse(image, self.recipe)).clamp(-1, 1)

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Input, translation and target, (N, channels, H, W)."""
        fake_b = self.translate(batch["a"], to="b")
        return {"real_a": self.middle(batch["a"]), "fake_b": fake_b, "real_b": self.middle(batch["b"])}

    @property
    def _in_pretraining(self) -> bool:
        return self.step < self.recipe.pretraining * self.recipe.total_steps

    def _content(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The squared error in the pre-training, then what the recipe says."""
        recipe = self.recipe
        if self._in_pretraining:
            return {"reconstruction": l2(fake, real)}
        if recipe.content == "pixels":
            return {"reconstruction": recipe.weight_content * l2(fake, real)}
        with torch.no_grad():
            wanted = self.features(real)
        return {"perceptual": recipe.weight_content * feature_distance(self.features(fake), wanted)}


method = SRGAN
