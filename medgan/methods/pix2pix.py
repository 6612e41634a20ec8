"""pix2pix: a U-Net held to its target pixel by pixel and by a discriminator that sees both; needs pairs."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from medgan.losses.adversarial import Adversarial
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Drawn, Norm, Upsampling, evaluating
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits, covering_patch
from medgan.networks.resnet_generator import ResNetGenerator, default_blocks
from medgan.networks.unet_generator import UNetGenerator, default_depth
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithPairedExtraLosses
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class Pix2PixRecipe(WithPairedExtraLosses, DiscriminatorRecipe):
    """The paper's settings, but for the upsampling and the normalisation.

    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture. Instance normalisation is the paper's batch normalisation at batch size 1. The paper's
    ablations are presets: its losses (table 1), its encoder-decoder (figure 5), its patches (table 3).

    ``patch="image"`` is the paper's ImageGAN, whose logits see the whole training image: 286 px for the paper's 256.
    On smaller images so deep a discriminator has nothing left to convolve, and most of what it saw would be padding;
    there it is the shallowest of the same family (16, 34, 70, 142, 286) that covers the training image. What is larger
    than 286 px is judged by 286, and is then not seen whole.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "l1": Preset("No discriminator: what L1 alone gives, which is blurred", {"weight_adversarial": 0.0}),
        "gan": Preset(
            "An unconditional discriminator alone: looks real, follows nothing",
            {"weight_l1": 0.0, "conditional": False},
        ),
        "cgan": Preset("A conditional discriminator alone", {"weight_l1": 0.0}),
        "l1-gan": Preset("L1 and a discriminator that does not see the input", {"conditional": False}),
        "l1-cgan": Preset("The whole method, as by default", {"weight_l1": 100.0, "conditional": True}),
        "encoder-decoder": Preset("The U-Net without its skip connections", {"generator": "encoder-decoder"}),
        "pixel": Preset("PixelGAN: every pixel is judged alone, which is its colour", {"patch": 1}),
        "patch-16": Preset("PatchGAN of 16 px: sharp, with tiles", {"patch": 16}),
        "image": Preset("ImageGAN: each logit sees the whole image", {"patch": "image"}),
    }

    weight_l1: float = Field(default=100.0, ge=0, description="0 leaves the difference to the target out")
    weight_adversarial: float = Field(default=1.0, ge=0, description="0 trains no discriminator")
    weight_discriminator: float = Field(default=0.5, gt=0, description="Slows the discriminator down")
    adversarial: Adversarial = "vanilla"
    conditional: bool = Field(default=True, description="Whether the discriminator sees the input too")
    generator: Literal["unet", "encoder-decoder", "resnet"] = "unet"
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator's first layer")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Inside the generator, in training only")
    upsampling: Upsampling = "resize"
    predicts: Drawn = Field(
        default="image",
        description="image, as published; change starts from the middle slice of the input (`resnet`: `neighbours: 1`)",
    )
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminator's first layer")
    patch: Patch | Literal["image"] = Field(
        default=70, description="Side in pixels of what one logit sees; image: of a training image, at most 286"
    )
    norm: Norm = "instance"

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(total_steps=2, crop_px=32, generator_width=8, discriminator_width=8, patch=16, dropout=0.1)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not (self.weight_l1 or self.weight_adversarial or self.extra.asks):
            raise ValueError("weight_l1 and weight_adversarial are both 0; nothing would be learned")
        if self.generator == "resnet" and self.predicts == "change" and self.neighbours > 1:
            raise ValueError("generator resnet changes one slice: set neighbours 1, generator unet or predicts image")
        return self


class Pix2Pix(Translator):
    """A generator from a to b whose output must equal the target and, beside its input, look real.

    A 2.5D stack goes in, the middle slice comes out. The paper leaves dropout on when it translates, and normalises
    with the test batch, so that a patient's image would change from call to call. Here translation is deterministic
    whatever mode the network is in: dropout off, and a normalisation that sees one image at a time.
    """

    summary = "Paired translation: U-Net, L1 and a conditional patch discriminator"
    paper = "Isola et al. 2017, Image-to-image translation with conditional adversarial networks, arXiv:1611.07004"
    needs_pairs = True
    recipe_type = Pix2PixRecipe
    directions = ("b",)
    size_multiple = 4
    groups: ClassVar = {"generator": ("g_ab",), "discriminator": ("d_b",)}
    ema_networks = ("g_ab",)
    averages_over_samples = True

    def __init__(self, recipe: Pix2PixRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: Pix2PixRecipe = recipe
        patch = covering_patch(shape.size_px) if recipe.patch == "image" else recipe.patch
        check_patch_fits(patch, size_px=shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        stack = shape.channels * shape.neighbours
        judged = shape.channels + (stack if recipe.conditional else 0)
        self.g_ab = initialise(self._generator(stack, shape.channels))
        self.d_b = self.adversary.prepared(
            PatchDiscriminator(judged, patch=patch, width=recipe.discriminator_width, norm=recipe.norm)
        )

    @property
    def turns(self) -> tuple[str, ...]:
        """The generator's turn, then the discriminator's if it has a say."""
        return ("generator", "discriminator") if self.recipe.weight_adversarial else ("generator",)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generator's turn, then the discriminator's."""
        recipe, real_a, real_b = self.recipe, batch["a"], self.middle(batch["b"])
        fake_b = self.g_ab(real_a)
        losses = {}
        if recipe.weight_adversarial:
            fooled = self.adversary.generator_loss(self.d_b, self._beside(real_a, fake_b))
            losses["adversarial"] = recipe.weight_adversarial * fooled
        if recipe.weight_l1:
            losses["reconstruction"] = recipe.weight_l1 * l1(fake_b, real_b)
        losses |= self.extra(source=self.middle(real_a), made=fake_b, target=real_b)
        yield Turn("generator", losses)

        if recipe.weight_adversarial:
            shown = self._beside(real_a, real_b), self._beside(real_a, fake_b)
            weight = recipe.weight_discriminator
            yield Turn(
                "discriminator",
                self.adversary.discriminator_losses(self.d_b, *shown, step=self.step, weight=weight),
            )

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate to b, with dropout off; see :meth:`Translator.translate`.

        Raises:
            SettingsError: S211, if asked for domain a.
        """
        self.check_direction(to)
        with evaluating(self.g_ab):
            return self.g_ab(image)

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Input, translation and target, (N, channels, H, W)."""
        fake_b = self.translate(batch["a"], to="b")
        return {"real_a": self.middle(batch["a"]), "fake_b": fake_b, "real_b": self.middle(batch["b"])}

    def _beside(self, source: Tensor, output: Tensor) -> Tensor:
        return torch.cat([source, output], dim=1) if self.recipe.conditional else output

    def _generator(self, in_channels: int, out_channels: int) -> nn.Module:
        recipe, size_px = self.recipe, self.shape.size_px
        if recipe.generator == "resnet":
            return ResNetGenerator(
                in_channels,
                out_channels,
                width=recipe.generator_width,
                blocks=default_blocks(size_px),
                upsampling=recipe.upsampling,
                norm=recipe.norm,
                dropout=recipe.dropout,
                predicts=recipe.predicts,
            )
        return UNetGenerator(
            in_channels,
            out_channels,
            depth=default_depth(size_px),
            width=recipe.generator_width,
            skips=recipe.generator == "unet",
            dropout=recipe.dropout,
            upsampling=recipe.upsampling,
            norm=recipe.norm,
            predicts=recipe.predicts,
        )


method = Pix2Pix
