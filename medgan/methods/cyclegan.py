"""CycleGAN: two generators that undo each other, trained without pairs."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits
from medgan.networks.resnet_generator import Padding, Prediction, ResNetGenerator, default_blocks
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.image_pool import ImagePool
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class CycleGANRecipe(WithExtraLosses, DiscriminatorRecipe):
    """The paper's settings, but for the upsampling.

    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture. The identity loss, which the paper keeps for paintings, is on: it holds colours and grey
    values in place, and those carry diagnoses.
    """

    weight_cycle: float = Field(default=10.0, ge=0)
    weight_identity: float = Field(default=0.5, ge=0, description="Times weight_cycle; 0 leaves the identity loss out")
    weight_discriminator: float = Field(default=0.5, gt=0, description="Slows the discriminators down")
    adversarial: Adversarial = "least-squares"
    pool_size: int = Field(default=50, ge=0, description="Earlier fakes kept for each discriminator")
    generator_width: int = Field(default=64, ge=1, description="Channels of the generators' first layer")
    blocks: int | None = Field(default=None, ge=1, description="Residual blocks; none takes 6 up to 128 px, else 9")
    upsampling: Upsampling = "resize"
    down_padding: Padding = Field(
        default="reflect", description="zeros is as in the published code, which the paper does not say"
    )
    predicts: Prediction = Field(
        default="image",
        description="image, as published; change starts from the input and suits domains that differ little, such as "
        "poor and good photographs, and few training steps",
    )
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminators' first layer")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees")
    norm: Norm = "instance"

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(total_steps=2, crop_px=32, generator_width=8, blocks=1, discriminator_width=8, patch=16, pool_size=2)


class CycleGAN(Translator):
    """Generators a to b and back, each judged by a discriminator of its target domain, held to undo each other.

    A 2.5D stack goes in and comes out as a stack; the middle slice is the translation. Fakes are made once a step and
    serve both turns. A generator takes its source and its identity image in one batch, and a discriminator real and
    fake: no layer looks across a batch, so this is the paper's arithmetic in fewer launches.
    """

    summary = "Unpaired translation both ways, held together by cycle consistency"
    paper = (
        "Zhu et al. 2017, Unpaired image-to-image translation using cycle-consistent adversarial networks, "
        "arXiv:1703.10593"
    )
    recipe_type = CycleGANRecipe
    directions = ("a", "b")
    size_multiple = 4
    groups: ClassVar = {"generator": ("g_ab", "g_ba"), "discriminator": ("d_a", "d_b")}
    ema_networks = ("g_ab", "g_ba")
    averages_over_samples = True

    def __init__(self, recipe: CycleGANRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: CycleGANRecipe = recipe
        check_patch_fits(recipe.patch, size_px=shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.g_ab, self.g_ba = self._generator(), self._generator()
        self.d_a, self.d_b = self._discriminator(), self._discriminator()
        self.pool_a, self.pool_b = (
            ImagePool(recipe.pool_size, generator=torch.Generator().manual_seed(int(seed)))
            for seed in torch.randint(2**62, (2,))
        )

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generators' turn, then the discriminators'."""
        recipe, real_a, real_b = self.recipe, batch["a"], batch["b"]
        fake_b, identity_b = self._generate(self.g_ab, real_a, real_b)
        fake_a, identity_a = self._generate(self.g_ba, real_b, real_a)
        losses = {
            "adversarial_a": self.adversary.generator_loss(self.d_a, fake_a),
            "adversarial_b": self.adversary.generator_loss(self.d_b, fake_b),
        }
        if recipe.weight_cycle:
            losses["cycle_a"] = recipe.weight_cycle * l1(self.g_ba(fake_b), real_a)
            losses["cycle_b"] = recipe.weight_cycle * l1(self.g_ab(fake_a), real_b)
        if identity_a is not None and identity_b is not None:
            weight_identity = recipe.weight_cycle * recipe.weight_identity
            losses["identity_a"] = weight_identity * l1(identity_a, real_a)
            losses["identity_b"] = weight_identity * l1(identity_b, real_b)
        losses |= self.extra(source=real_b, made=fake_a, target=real_a, to="a", suffix="_a")
        losses |= self.extra(source=real_a, made=fake_b, target=real_b, to="b", suffix="_b")
        yield Turn("generator", losses)

        shown_a, shown_b = self.pool_a.exchange(fake_a), self.pool_b.exchange(fake_b)
        judged = self._judge(self.d_a, real_a, shown_a, suffix="_a")
        yield Turn("discriminator", judged | self._judge(self.d_b, real_b, shown_b, suffix="_b"))

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate with the generator of that direction; see :meth:`Translator.translate`."""
        return self.middle(self.g_ab(image) if to == "b" else self.g_ba(image))

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Real, fake and cycled images of both domains, (N, channels, H, W)."""
        real_a, real_b = batch["a"], batch["b"]
        fake_b, fake_a = self.g_ab(real_a), self.g_ba(real_b)
        stacks = {"real_a": real_a, "fake_b": fake_b, "cycled_a": self.g_ba(fake_b)}
        stacks |= {"real_b": real_b, "fake_a": fake_a, "cycled_b": self.g_ab(fake_a)}
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def extra_tensors(self) -> dict[str, Tensor]:
        """Both image pools."""
        pools = {"pool_a": self.pool_a, "pool_b": self.pool_b}
        return {f"{name}.{key}": value for name, pool in pools.items() for key, value in pool.tensors().items()}

    def load_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill both image pools again."""
        for name, pool in (("pool_a.", self.pool_a), ("pool_b.", self.pool_b)):
            pool.load_tensors({key.removeprefix(name): value for key, value in tensors.items() if key.startswith(name)})

    def _generate(self, network: ResNetGenerator, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.recipe.weight_cycle * self.recipe.weight_identity:
            return network(source), None
        fake, identity = network(torch.cat([source, target])).split([len(source), len(target)])
        return fake, identity

    def _judge(self, network: PatchDiscriminator, real: Tensor, shown: Tensor, *, suffix: str) -> dict[str, Tensor]:
        weight = self.recipe.weight_discriminator
        return self.adversary.discriminator_losses(network, real, shown, step=self.step, weight=weight, suffix=suffix)

    def _generator(self) -> ResNetGenerator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise(
            ResNetGenerator(
                channels,
                channels,
                width=recipe.generator_width,
                blocks=recipe.blocks or default_blocks(self.shape.size_px),
                upsampling=recipe.upsampling,
                down_padding=recipe.down_padding,
                norm=recipe.norm,
                predicts=recipe.predicts,
            )
        )

    def _discriminator(self) -> PatchDiscriminator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return self.adversary.prepared(
            PatchDiscriminator(channels, patch=recipe.patch, width=recipe.discriminator_width, norm=recipe.norm)
        )


method = CycleGAN
