"""UNIT: two variational autoencoders with one latent space; what one encodes the other decodes."""

from collections.abc import Iterator
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.losses.latent import kl_to_standard_normal
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.initialisation import initialise
from medgan.networks.latent_autoencoder import LatentDecoder, LatentEncoder, shared_blocks
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class UNITRecipe(WithExtraLosses, DiscriminatorRecipe):
    """The paper's weights, divided by that of its adversarial loss: 10, 0.1 and 100 become 1, 0.01 and 10.

    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture. Discriminators are this package's patch discriminators, where the paper halves the image
    once or twice more: a smaller patch has less to learn by heart from a small cohort.
    """

    learning_rate: float = Field(default=1e-4, gt=0)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    weight_reconstruction: float = Field(default=10.0, ge=0, description="Of an image encoded and decoded")
    weight_kl: float = Field(default=0.01, ge=0, description="Of the latent code's divergence from N(0, 1)")
    weight_cycle: float = Field(default=10.0, ge=0, description="Of an image translated there and back")
    weight_cycle_kl: float = Field(default=0.01, ge=0, description="Of a translation's code's divergence from N(0, 1)")
    weight_discriminator: float = Field(default=1.0, gt=0, description="Below 1 slows the discriminators down")
    adversarial: Adversarial = "vanilla"
    generator_width: int = Field(default=64, ge=1, description="Channels of the encoders' first layer")
    blocks: int = Field(default=3, ge=0, description="Residual blocks of each encoder and decoder alone")
    shared: int = Field(default=1, ge=1, description="Residual blocks that both encoders, and both decoders, share")
    upsampling: Upsampling = "resize"
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminators' first layer")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees")
    norm: Norm = "instance"

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(total_steps=2, crop_px=32, generator_width=8, blocks=1, discriminator_width=8, patch=16)


class UNIT(Translator):
    """Encoders and decoders of both domains around one latent space, each translation judged by a discriminator.

    The last block of the encoders and the first of the decoders are the same for both domains, so that a code means
    the same in both. In training a code is the encoders' mean plus noise of unit variance; a translation decodes the
    mean itself, and is the same every time. A 2.5D stack goes in and comes out as a stack; the middle slice is the
    translation.
    """

    summary = "Unpaired translation both ways through one latent space, by variational autoencoders"
    paper = "Liu et al. 2017, Unsupervised image-to-image translation networks, arXiv:1703.00848"
    recipe_type = UNITRecipe
    directions = ("a", "b")
    size_multiple = 4
    groups: ClassVar = {
        "generator": ("encoder_a", "encoder_b", "encoder_shared", "decoder_shared", "decoder_a", "decoder_b"),
        "discriminator": ("d_a", "d_b"),
    }
    ema_networks = groups["generator"]

    def __init__(self, recipe: UNITRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: UNITRecipe = recipe
        check_patch_fits(recipe.patch, size_px=shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        width, norm = recipe.generator_width, recipe.norm
        self.encoder_a, self.encoder_b = self._encoder(), self._encoder()
        self.encoder_shared = initialise(shared_blocks(recipe.shared, width=width, norm=norm))
        self.decoder_shared = initialise(shared_blocks(recipe.shared, width=width, norm=norm))
        self.decoder_a, self.decoder_b = self._decoder(), self._decoder()
        self.d_a, self.d_b = self._discriminator(), self._discriminator()

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The autoencoders' turn, then the discriminators'."""
        recipe, real_a, real_b = self.recipe, batch["a"], batch["b"]
        mean_a, mean_b = self.encode(real_a, domain="a"), self.encode(real_b, domain="b")
        codes = torch.cat([_sampled(mean_a), _sampled(mean_b)])
        rebuilt_a, fake_a = self.decode(codes, to="a").chunk(2)
        fake_b, rebuilt_b = self.decode(codes, to="b").chunk(2)
        losses = {
            "adversarial_a": self.adversary.generator_loss(self.d_a, fake_a),
            "adversarial_b": self.adversary.generator_loss(self.d_b, fake_b),
            "reconstruction_a": recipe.weight_reconstruction * l1(rebuilt_a, real_a),
            "reconstruction_b": recipe.weight_reconstruction * l1(rebuilt_b, real_b),
            "kl_a": recipe.weight_kl * kl_to_standard_normal(mean_a),
            "kl_b": recipe.weight_kl * kl_to_standard_normal(mean_b),
        }
        if recipe.weight_cycle or recipe.weight_cycle_kl:
            again_a, again_b = self.encode(fake_b, domain="b"), self.encode(fake_a, domain="a")
            cycled_a, cycled_b = self.decode(_sampled(again_a), to="a"), self.decode(_sampled(again_b), to="b")
            losses["cycle_a"] = recipe.weight_cycle * l1(cycled_a, real_a)
            losses["cycle_b"] = recipe.weight_cycle * l1(cycled_b, real_b)
            losses["kl_cycle_a"] = recipe.weight_cycle_kl * kl_to_standard_normal(again_a)
            losses["kl_cycle_b"] = recipe.weight_cycle_kl * kl_to_standard_normal(again_b)
        losses |= self.extra(source=real_b, made=fake_a, target=real_a, to="a", suffix="_a")
        losses |= self.extra(source=real_a, made=fake_b, target=real_b, to="b", suffix="_b")
        yield Turn("generator", losses)

        judged = self._judge(self.d_a, real_a, fake_a, suffix="_a")
        yield Turn("discriminator", judged | self._judge(self.d_b, real_b, fake_b, suffix="_b"))

    def encode(self, image: Tensor, *, domain: Domain) -> Tensor:
        """Mean of the latent code, (N, 4 * width, H / 4, W / 4), of images (N, C, H, W) of a domain."""
        encoder = self.encoder_a if domain == "a" else self.encoder_b
        mean: Tensor = self.encoder_shared(encoder(image))
        return mean

    def decode(self, code: Tensor, *, to: Domain) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of a domain, out of latent codes."""
        decoder = self.decoder_a if to == "a" else self.decoder_b
        image: Tensor = decoder(self.decoder_shared(code))
        return image

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Decode the mean of the latent code in the other domain; see :meth:`Translator.translate`."""
        return self.middle(self.decode(self.encode(image, domain="a" if to == "b" else "b"), to=to))

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Real, rebuilt and fake images of both domains, (N, channels, H, W)."""
        real_a, real_b = batch["a"], batch["b"]
        mean_a, mean_b = self.encode(real_a, domain="a"), self.encode(real_b, domain="b")
        stacks = {"real_a": real_a, "rebuilt_a": self.decode(mean_a, to="a"), "fake_b": self.decode(mean_a, to="b")}
        stacks |= {"real_b": real_b, "rebuilt_b": self.decode(mean_b, to="b"), "fake_a": self.decode(mean_b, to="a")}
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def _judge(self, network: PatchDiscriminator, real: Tensor, fake: Tensor, *, suffix: str) -> dict[str, Tensor]:
        weight = self.recipe.weight_discriminator
        return self.adversary.discriminator_losses(network, real, fake, step=self.step, weight=weight, suffix=suffix)

    def _encoder(self) -> LatentEncoder:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise(LatentEncoder(channels, width=recipe.generator_width, blocks=recipe.blocks, norm=recipe.norm))

    def _decoder(self) -> LatentDecoder:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise(
            LatentDecoder(
                channels,
                width=recipe.generator_width,
                blocks=recipe.blocks,
                upsampling=recipe.upsampling,
                norm=recipe.norm,
            )
        )

    def _discriminator(self) -> PatchDiscriminator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return self.adversary.prepared(
            PatchDiscriminator(channels, patch=recipe.patch, width=recipe.discriminator_width, norm=recipe.norm)
        )


def _sampled(mean: Tensor) -> Tensor:
    """A code from N(mean, 1)."""
    return mean + torch.randn_like(mean)


method = UNIT
