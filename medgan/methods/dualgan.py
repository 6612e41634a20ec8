"""DualGAN: two U-Nets that undo each other, each against a Wasserstein critic of clipped weights; needs no pairs."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Drawn, Norm, Upsampling, evaluating
from medgan.networks.clipping import clip_weights
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits
from medgan.networks.unet_generator import UNetGenerator, default_depth
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class DualGANRecipe(WithExtraLosses, DiscriminatorRecipe):
    """The paper's settings, but for the upsampling and the normalisation.

    A step is one of the critics; the generators take theirs in every ``critic_steps``-th, the paper's 2 to 4. So
    ``total_steps`` counts the critics' steps. The paper's weights of the reconstruction are 100 to 1000, smaller for
    a domain of photographs that is translated into maps or labels; its critics' weights are clipped at 0.01 to 0.1.
    It names RMSProp, whose rate is that of Wasserstein GANs (5e-5) and whose decay is that of the authors' code (0.9,
    the second of ``betas``).

    Two inversions undo each other, so that the reconstruction is as content with an inverted contrast: the first
    weights decide which way round it comes, and the critics have to turn it. Clipped to 0.01, narrow critics are too
    weak for that beside a weight of 100; a clipped critic's values grow with its width, a reconstruction's do not. In
    short trainings of width 16, one seed, contrast came out inverted, T1 to FLAIR, and only without the reconstruction
    it did not. Larger weights of the critics beside a smaller one of the cycle (0.1, 20) gave a brain the right way
    round from one seed and an inverted half from another; ``preset: change`` starts with the input's polarity, which is
    right from T1 to FLAIR and wrong from T1 to T2. Look at the previews, and heed the alarm of inversion.

    ``ema_decay`` counts steps of the critics, as ``total_steps`` does.

    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture. Instance normalisation is the paper's batch normalisation at batch size 1.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "change": Preset(
            "Starts from the input, bright where it is bright; the critics' bound is the paper's largest, the "
            "cycle weighs a tenth of its least",
            {"predicts": "change", "weight_clip": 0.1, "weight_cycle_a": 10.0, "weight_cycle_b": 10.0},
        ),
        "gan": Preset("The critics alone: looks real, follows nothing", {"weight_cycle_a": 0.0, "weight_cycle_b": 0.0}),
    }

    learning_rate: float = Field(default=5e-5, gt=0)
    optimizer: Literal["adam", "sgd", "rmsprop"] = Field(
        default="rmsprop", description="rmsprop averages squares by the second of betas; momentum harms such critics"
    )
    betas: tuple[float, float] = (0.0, 0.9)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    weight_cycle_a: float = Field(default=100.0, ge=0, description="Of an image of a translated there and back")
    weight_cycle_b: float = Field(default=100.0, ge=0, description="Of an image of b translated there and back")
    adversarial: Adversarial = "wasserstein"
    critic_steps: int = Field(default=3, ge=1, description="The generators step in every so manieth step")
    weight_clip: float | None = Field(
        default=0.01, gt=0, description="Largest weight of the critics; none leaves them as they are"
    )
    generator_width: int = Field(default=64, ge=1, description="Channels of the generators' first layer")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Inside the generators, in training only")
    upsampling: Upsampling = "resize"
    predicts: Drawn = Field(
        default="image", description="image, as published; change starts from the input, bright where it is bright"
    )
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the critics' first layer")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees")
    norm: Norm = Field(default="instance", description="Of the generators")
    critic_norm: Literal["instance", "none"] = Field(
        default="instance", description="Of the critics; learnt scales would be clipped, too, and silence them"
    )

    @property
    def bounds_slope(self) -> bool:
        """Clipped weights do, too."""
        return self.weight_clip is not None or super().bounds_slope

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        narrow = {"generator_width": 8, "discriminator_width": 8, "patch": 16, "dropout": 0.1}
        return cls.model_validate({"total_steps": 2, "crop_px": 32, "critic_steps": 2, **narrow})


class DualGAN(Translator):
    """Generators a to b and back, held to undo each other, each against a critic of its target domain.

    The paper's noise is dropout in the generators, which it leaves on when it translates, so that a patient's image
    would change from call to call. Here dropout is noise in training alone, and translation is deterministic whatever
    mode the network is in. A 2.5D stack goes in and comes out as a stack; the middle slice is the translation.
    """

    summary = "Unpaired translation both ways by U-Nets that undo each other, with Wasserstein critics"
    paper = "Yi et al. 2017, DualGAN: unsupervised dual learning for image-to-image translation, arXiv:1704.02510"
    recipe_type = DualGANRecipe
    directions = ("a", "b")
    size_multiple = 4
    groups: ClassVar = {"discriminator": ("d_a", "d_b"), "generator": ("g_ab", "g_ba")}
    ema_networks = ("g_ab", "g_ba")
    averages_over_samples = True

    def __init__(self, recipe: DualGANRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: DualGANRecipe = recipe
        check_patch_fits(recipe.patch, size_px=shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.g_ab, self.g_ba = self._generator(), self._generator()
        self.d_a, self.d_b = self._critic(), self._critic()

    @property
    def turns(self) -> tuple[str, ...]:
        """The critics' turn, and in every so manieth step the generators' behind it."""
        due = (self.step + 1) % self.recipe.critic_steps == 0
        return ("discriminator", "generator") if due else ("discriminator",)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The critics' turn, after which their weights are clipped, and the generators' where it is due."""
        real_a, real_b = batch["a"], batch["b"]
        judged = self._judge(self.d_a, real_a, self.g_ba(real_b), suffix="_a")
        yield Turn("discriminator", judged | self._judge(self.d_b, real_b, self.g_ab(real_a), suffix="_b"))
        if self.recipe.weight_clip is not None:
            for critic in (self.d_a, self.d_b):
                clip_weights(critic, bound=self.recipe.weight_clip)
        if "generator" in self.turns:
            # Made anew, by fresh noise and with gradients.
            yield Turn("generator", self._generators_losses(real_a, real_b))

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate with the generator of that direction, dropout off; see :meth:`Translator.translate`."""
        generator = self.g_ab if to == "b" else self.g_ba
        with evaluating(generator):
            return self.middle(generator(image))

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Real, fake and cycled images of both domains, (N, channels, H, W)."""
        real_a, real_b = batch["a"], batch["b"]
        with evaluating(self.g_ab), evaluating(self.g_ba):
            fake_b, fake_a = self.g_ab(real_a), self.g_ba(real_b)
            stacks = {"real_a": real_a, "fake_b": fake_b, "cycled_a": self.g_ba(fake_b)}
            stacks |= {"real_b": real_b, "fake_a": fake_a, "cycled_b": self.g_ab(fake_a)}
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def _generators_losses(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        recipe, fake_b, fake_a = self.recipe, self.g_ab(real_a), self.g_ba(real_b)
        losses = {
            "adversarial_a": self.adversary.generator_loss(self.d_a, fake_a),
            "adversarial_b": self.adversary.generator_loss(self.d_b, fake_b),
        }
        if recipe.weight_cycle_a:
            losses["cycle_a"] = recipe.weight_cycle_a * l1(self.g_ba(fake_b), real_a)
        if recipe.weight_cycle_b:
            losses["cycle_b"] = recipe.weight_cycle_b * l1(self.g_ab(fake_a), real_b)
        losses |= self.extra(source=real_b, made=fake_a, target=real_a, to="a", suffix="_a")
        return losses | self.extra(source=real_a, made=fake_b, target=real_b, to="b", suffix="_b")

    def _judge(self, critic: PatchDiscriminator, real: Tensor, fake: Tensor, *, suffix: str) -> dict[str, Tensor]:
        return self.adversary.discriminator_losses(critic, real, fake, step=self.step, suffix=suffix)

    def _generator(self) -> UNetGenerator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return initialise(
            UNetGenerator(
                channels,
                channels,
                depth=default_depth(self.shape.size_px),
                width=recipe.generator_width,
                dropout=recipe.dropout,
                upsampling=recipe.upsampling,
                norm=recipe.norm,
                predicts=recipe.predicts,
            )
        )

    def _critic(self) -> PatchDiscriminator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return self.adversary.prepared(
            PatchDiscriminator(channels, patch=recipe.patch, width=recipe.discriminator_width, norm=recipe.critic_norm)
        )


method = DualGAN
