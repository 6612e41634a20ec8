"""BiGAN/ALI between images: one discriminator tells a source with its translation from a target with its inverse."""

from collections.abc import Iterator
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits
from medgan.networks.resnet_generator import ResNetGenerator, default_blocks
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class BiGANRecipe(WithExtraLosses, DiscriminatorRecipe):
    """BiGAN's objective with the networks and the schedule that its comparison with CycleGAN gave it.

    Zhu 2017 (arXiv:1703.10593, section 5.1) puts images in the place of latent vectors and takes CycleGAN's own
    architecture and details for all that it is compared with. The objective is the cross-entropy of Donahue and
    Dumoulin, with the labels inverted for the generators (Donahue 2017, section 3.4). There is no pool of earlier
    fakes, which neither paper has.

    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture.
    """

    weight_discriminator: float = Field(default=0.5, gt=0, description="Slows the discriminator down")
    adversarial: Adversarial = "vanilla"
    generator_width: int = Field(default=64, ge=1, description="Channels of the generators' first layer")
    blocks: int | None = Field(default=None, ge=1, description="Residual blocks; none takes 6 up to 128 px, else 9")
    upsampling: Upsampling = "resize"
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminator's first layer")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees")
    norm: Norm = "instance"

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px, and a discriminator that moves within two steps."""
        narrow = {"generator_width": 8, "blocks": 1, "discriminator_width": 8, "patch": 16}
        return cls.model_validate({"total_steps": 2, "crop_px": 32, "weight_discriminator": 10.0, **narrow})


class BiGAN(Translator):
    """A generator a to b and its inverse, which only a discriminator of pairs holds together.

    It is shown (a, G(a)) and (F(b), b) side by side, and must say which is which. Where it cannot, G and F are each
    other's inverse (Donahue 2017, theorem 2): in theory no cycle loss is needed. But any pair of inverses whose images
    are distributed rightly is as good to it, one that exchanges bright and dark or rearranges what is seen among them.
    In practice translations follow their
    source loosely or not at all; the method is here to be compared with. A 2.5D stack goes in and comes out as a
    stack; the middle slice is the translation.
    """

    summary = "Unpaired translation both ways, held together by one discriminator of pairs; here for comparison"
    paper = (
        "Donahue et al. 2017, Adversarial feature learning, arXiv:1605.09782; Dumoulin et al. 2017, Adversarially "
        "learned inference, arXiv:1606.00704; between images as in Zhu et al. 2017, arXiv:1703.10593, section 5.1"
    )
    recipe_type = BiGANRecipe
    directions = ("a", "b")
    size_multiple = 4
    groups: ClassVar = {"generator": ("g_ab", "g_ba"), "discriminator": ("d_ab",)}
    ema_networks = ("g_ab", "g_ba")
    averages_over_samples = True

    def __init__(self, recipe: BiGANRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: BiGANRecipe = recipe
        check_patch_fits(recipe.patch, size_px=shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.g_ab, self.g_ba = self._generator(), self._generator()
        stack = shape.channels * shape.neighbours
        self.d_ab = self.adversary.prepared(
            PatchDiscriminator(2 * stack, patch=recipe.patch, width=recipe.discriminator_width, norm=recipe.norm)
        )

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The turn of both generators, then the discriminator's; the target's side counts as real."""
        real_a, real_b = batch["a"], batch["b"]
        fake_b, fake_a = self.g_ab(real_a), self.g_ba(real_b)
        real, fake = torch.cat([fake_a, real_b], dim=1), torch.cat([real_a, fake_b], dim=1)
        losses = {"adversarial": self.adversary.exchange_loss(self.d_ab, real, fake)}
        losses |= self.extra(source=real_b, made=fake_a, target=real_a, to="a", suffix="_a")
        losses |= self.extra(source=real_a, made=fake_b, target=real_b, to="b", suffix="_b")
        yield Turn("generator", losses)

        weight = self.recipe.weight_discriminator
        judged = self.adversary.discriminator_losses(self.d_ab, real.detach(), fake, step=self.step, weight=weight)
        yield Turn("discriminator", judged)

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate with the generator of that direction; see :meth:`Translator.translate`."""
        return self.middle(self.g_ab(image) if to == "b" else self.g_ba(image))

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Real, fake and cycled images of both domains, (N, channels, H, W); no loss asks for the cycled ones."""
        real_a, real_b = batch["a"], batch["b"]
        fake_b, fake_a = self.g_ab(real_a), self.g_ba(real_b)
        stacks = {"real_a": real_a, "fake_b": fake_b, "cycled_a": self.g_ba(fake_b)}
        stacks |= {"real_b": real_b, "fake_a": fake_a, "cycled_b": self.g_ab(fake_a)}
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def _generator(self) -> ResNetGenerator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise(
            ResNetGenerator(
                channels,
                channels,
                width=recipe.generator_width,
                blocks=recipe.blocks or default_blocks(self.shape.size_px),
                upsampling=recipe.upsampling,
                norm=recipe.norm,
            )
        )


method = BiGAN
