"""MUNIT: an image is a content, which both domains have, and a style of its domain; several translations of one."""

from collections.abc import Iterator
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Norm
from medgan.networks.content_encoder import ContentEncoder
from medgan.networks.initialisation import initialise_by_width
from medgan.networks.multiscale_discriminator import MultiScaleDiscriminator
from medgan.networks.patch_discriminator import Patch, check_patch_fits
from medgan.networks.style_decoder import StyleDecoder
from medgan.networks.style_encoder import StyleEncoder
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.learner import Batch, OptimizerSettings, Turn
from medgan.training.styles import StyledTranslator
from medgan.training.translator import Domain, SampleShape


class MUNITRecipe(WithExtraLosses, DiscriminatorRecipe):
    """The paper's settings.

    Its domain-invariant perceptual loss, for large images, is not here; ``extra.weight_content`` with ``vgg19`` comes
    near. Discriminators are this package's patch discriminators at three sizes of the image, where the published ones
    halve it four times, then weigh each pixel's channels: patches of 46 px. They have no normalisation, as published;
    an instance norm would hide from them how bright an image is. The smallest size must still hold a patch: 16 px fit
    from 24 px on, and 70 px from 96.

    Nothing but the content code holds a translation to its source, and a style may move whatever varies within a
    domain. The preset ``cycle`` adds the paper's style-augmented cycle consistency, which steadies training where
    domains are small.
    """

    presets: ClassVar = {
        "cycle": Preset("with style-augmented cycle consistency (the paper's section 5.1)", {"weight_cycle": 10.0})
    }

    learning_rate: float = Field(default=1e-4, gt=0)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    halve_every: int | None = Field(default=100_000, ge=1, description="Steps after which the rate is halved")
    weight_decay: float = Field(default=1e-4, ge=0, description="Added to the gradient, as in Adam (not AdamW)")
    weight_image: float = Field(default=10.0, ge=0, description="Of an image encoded and decoded")
    weight_style: float = Field(default=1.0, ge=0, description="Of a style drawn, decoded and encoded again")
    weight_content: float = Field(default=1.0, ge=0, description="Of a content decoded in the other domain and encoded")
    weight_cycle: float = Field(
        default=0.0, ge=0, description="Of an image translated there, and back in its own style"
    )
    weight_discriminator: float = Field(default=1.0, gt=0, description="Below 1 slows the discriminators down")
    adversarial: Adversarial = "least-squares"
    style_size: int = Field(default=8, ge=1, description="Numbers of a style")
    generator_width: int = Field(default=64, ge=1, description="Channels of the encoders' first layer")
    blocks: int = Field(default=4, ge=1, description="Residual blocks of each content encoder and each decoder")
    hidden: int = Field(default=256, ge=1, description="Width of the perceptron from styles to scales and shifts")
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminators' first layer")
    scales: int = Field(default=3, ge=1, description="Sizes of the image that are judged, each half of the one before")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees, at each size")
    discriminator_norm: Norm = Field(default="none", description="Normalisation of the discriminators")

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(total_steps=2, crop_px=32, generator_width=8, blocks=1, hidden=16, discriminator_width=8, patch=16)


class MUNIT(StyledTranslator):
    """Autoencoders of both domains, whose contents are exchanged and whose styles are drawn.

    Each image is its content and its style. A translation decodes the content in the other domain with a style drawn
    from N(0, 1); encoded again it must give both back, and a discriminator must take it for real.

    :meth:`translate` takes the style of zeros, the middle of all that were drawn in training: there discriminators
    have judged translations, which they have not at the mean of the styles that real images are encoded to; nothing
    must be kept beside the weights, and every rank has it. After short training it is a pale compromise: on skin at
    64 px, 1,300 steps, the style of a real target image gave truer colours. A 2.5D stack goes in and comes out as a
    stack; the middle slice is the translation.
    """

    summary = "Unpaired translation both ways with a style to choose: several translations of one image"
    paper = "Huang et al. 2018, Multimodal unsupervised image-to-image translation, arXiv:1804.04732"
    recipe_type = MUNITRecipe
    directions = ("a", "b")
    size_multiple = 4
    groups: ClassVar = {
        "generator": ("content_a", "content_b", "style_a", "style_b", "decoder_a", "decoder_b"),
        "discriminator": ("d_a", "d_b"),
    }
    ema_networks = groups["generator"]

    def __init__(self, recipe: MUNITRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: MUNITRecipe = recipe
        check_patch_fits(recipe.patch, size_px=shape.size_px >> (recipe.scales - 1))
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.content_a, self.content_b = self._content_encoder(), self._content_encoder()
        self.style_a, self.style_b = self._style_encoder(), self._style_encoder()
        self.decoder_a, self.decoder_b = self._decoder(), self._decoder()
        self.d_a, self.d_b = self._discriminator(), self._discriminator()

    def optimizer(self, group: str) -> OptimizerSettings:
        """The recipe's optimizer, with its weight decay and its halvings."""
        recipe = self.recipe
        settings = super().optimizer(group)
        return settings._replace(weight_decay=recipe.weight_decay, halve_every=recipe.halve_every)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The autoencoders' turn, then the discriminators'."""
        recipe, real_a, real_b = self.recipe, batch["a"], batch["b"]
        content_a, content_b = self.content_a(real_a), self.content_b(real_b)
        style_a, style_b = self.style_a(real_a), self.style_b(real_b)
        drawn_a, drawn_b = self._drawn(real_b), self._drawn(real_a)
        rebuilt_a, fake_a = _decoded(self.decoder_a, (content_a, style_a), (content_b, drawn_a))
        rebuilt_b, fake_b = _decoded(self.decoder_b, (content_b, style_b), (content_a, drawn_b))
        again_a, again_b = self.content_b(fake_b), self.content_a(fake_a)
        losses = {
            "adversarial_a": self.adversary.generator_loss(self.d_a, fake_a),
            "adversarial_b": self.adversary.generator_loss(self.d_b, fake_b),
            "reconstruction_a": recipe.weight_image * l1(rebuilt_a, real_a),
            "reconstruction_b": recipe.weight_image * l1(rebuilt_b, real_b),
            "content_code_a": recipe.weight_content * l1(again_a, content_a),
            "content_code_b": recipe.weight_content * l1(again_b, content_b),
            "style_code_a": recipe.weight_style * l1(self.style_a(fake_a), drawn_a),
            "style_code_b": recipe.weight_style * l1(self.style_b(fake_b), drawn_b),
        }
        if recipe.weight_cycle:
            losses["cycle_a"] = recipe.weight_cycle * l1(self.decoder_a(again_a, style_a), real_a)
            losses["cycle_b"] = recipe.weight_cycle * l1(self.decoder_b(again_b, style_b), real_b)
        losses |= self.extra(source=real_b, made=fake_a, target=real_a, to="a", suffix="_a")
        losses |= self.extra(source=real_a, made=fake_b, target=real_b, to="b", suffix="_b")
        yield Turn("generator", losses)

        judged = self._judge(self.d_a, real_a, fake_a, suffix="_a")
        yield Turn("discriminator", judged | self._judge(self.d_b, real_b, fake_b, suffix="_b"))

    @property
    def style_size(self) -> int:
        """Numbers of a style."""
        return self.recipe.style_size

    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate in the style of zeros, the prior's mean; see :meth:`Translator.translate`."""
        return self.translate_styled(image, to=to, style=image.new_zeros(1, self.style_size))

    @torch.no_grad()
    def translate_styled(self, image: Tensor, *, to: Domain, style: Tensor) -> Tensor:
        """Translate in given styles; see :meth:`StyledTranslator.translate_styled`."""
        encoder, decoder = (self.content_a, self.decoder_b) if to == "b" else (self.content_b, self.decoder_a)
        return self.middle(decoder(encoder(image), style.expand(len(image), -1)))

    @torch.no_grad()
    def style_of(self, image: Tensor, *, domain: Domain) -> Tensor:
        """Styles that images are encoded to; see :meth:`StyledTranslator.style_of`."""
        style: Tensor = self.style_a(image) if domain == "a" else self.style_b(image)
        return style

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Real images of both domains, and translations in the style of zeros and in two others."""
        real_a, real_b = batch["a"], batch["b"]
        pictures = {"real_a": self.middle(real_a), "fake_b": self.translate(real_a, to="b")}
        pictures |= {"real_b": self.middle(real_b), "fake_a": self.translate(real_b, to="a")}
        for number, style in enumerate(self.random_styles(2, seed=0).to(real_a)):
            pictures[f"style_{number}_b"] = self.translate_styled(real_a, to="b", style=style[None])
            pictures[f"style_{number}_a"] = self.translate_styled(real_b, to="a", style=style[None])
        return pictures

    def _drawn(self, content_of: Tensor) -> Tensor:
        """Styles from the prior, (N, style_size), for as many images."""
        return torch.randn(len(content_of), self.style_size, dtype=content_of.dtype, device=content_of.device)

    def _judge(self, network: MultiScaleDiscriminator, real: Tensor, fake: Tensor, *, suffix: str) -> dict[str, Tensor]:
        weight = self.recipe.weight_discriminator
        return self.adversary.discriminator_losses(network, real, fake, step=self.step, weight=weight, suffix=suffix)

    def _content_encoder(self) -> ContentEncoder:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise_by_width(ContentEncoder(channels, width=recipe.generator_width, blocks=recipe.blocks))

    def _style_encoder(self) -> StyleEncoder:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise_by_width(StyleEncoder(channels, width=recipe.generator_width, style_size=recipe.style_size))

    def _decoder(self) -> StyleDecoder:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise_by_width(
            StyleDecoder(
                channels,
                width=recipe.generator_width,
                blocks=recipe.blocks,
                style_size=recipe.style_size,
                hidden=recipe.hidden,
            )
        )

    def _discriminator(self) -> MultiScaleDiscriminator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return self.adversary.prepared(
            MultiScaleDiscriminator(
                channels,
                scales=recipe.scales,
                patch=recipe.patch,
                width=recipe.discriminator_width,
                norm=recipe.discriminator_norm,
            )
        )


def _decoded(decoder: StyleDecoder, own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two batches of contents and styles, decoded in one: the samples' own images, and translations."""
    contents, styles = zip(own, other, strict=True)
    rebuilt, fake = decoder(torch.cat(contents), torch.cat(styles)).split([len(own[0]), len(other[0])])
    return rebuilt, fake


method = MUNIT
