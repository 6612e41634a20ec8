"""CycleGAN: two generators that undo each other, trained without pairs."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from medgan.losses.adversarial import Adversarial
from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits
from medgan.networks.resnet_generator import Padding, Prediction, ResNetGenerator, default_blocks
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.image_pool import ImagePool
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator

_CHANGE: Mapping[str, Any] = {
    "predicts": "change",
    "norm": "instance-affine",
    "discriminator_norm": "instance",
    "weight_cycle": 5.0,
    "weight_identity": 0.1,
}


class CycleGANRecipe(WithExtraLosses, DiscriminatorRecipe):
    """The paper's settings, but for the upsampling.

    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture. The identity loss, which the paper keeps for paintings, is on: it holds colours and grey
    values in place, and those carry diagnoses.

    The paper's ablations (tables 4 and 5) are presets. They have no identity loss, as published, so what each is held
    against is ``full``, not the default. Domain a is the paper's X: its forward cycle is a to b and back, its backward
    cycle b to a and back. Half a cycle, it found, "often incurs training instability and causes mode collapse", most
    in the direction that was removed.

    ``preset: change`` is for domains that differ little and for few training steps: generators start from their input.
    There the cycle and the identity loss are zero, and an L1 at zero holds what it has: as heavy as published, they
    keep short trainings where they began. So they weigh less, and generators learn the scales that normalisation
    takes away. A change has the input's polarity: where bright becomes dark, as from T1 to T2, take the image itself.

    Three presets suit one defect of a photograph each, where a is the domain with the defect: ``blur``, ``haze`` and
    ``uneven-light``; they begin as ``change`` does. The first two add a loss of a paper, which is named beside them. A
    good photograph may be lit in many ways, so that the bad light cannot be got back from it: for the last only the
    cycle from b counts. ``predicts="light"`` keeps a network from drawing what was not there; it learns slowly.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "cycle": Preset(
            "Both cycles and no discriminator: copies the source, for that undoes itself best",
            {"weight_adversarial": 0.0, "weight_identity": 0.0},
        ),
        "gan": Preset("Discriminators alone: looks real, follows nothing", {"cycles": "none", "weight_identity": 0.0}),
        "forward": Preset(
            "Discriminators and the cycle from a alone: b to a may collapse",
            {"cycles": "forward", "weight_identity": 0.0},
        ),
        "backward": Preset(
            "Discriminators and the cycle from b alone: a to b may collapse",
            {"cycles": "backward", "weight_identity": 0.0},
        ),
        "full": Preset("Discriminators and both cycles: the paper's method without identity", {"weight_identity": 0.0}),
        "change": Preset("Starts from the input: for domains that differ little, and few training steps", _CHANGE),
        "blur": Preset(
            "For photographs out of focus: a critic, features of what comes back, a change of the input. Not taken: "
            "the sharp image of the same eye, five steps of the critic; CycleGAN's pool and identity loss stay",
            {
                **_CHANGE,
                "adversarial": "wasserstein",
                "weight_discriminator": 1.0,
                "weight_gradient_penalty": 10.0,
                "weight_cycle_perceptual": 10.0,
            },
            paper="Kupyn et al. 2018, DeblurGAN: blind motion deblurring, arXiv:1711.07064",
        ),
        "haze": Preset(
            "For veiled photographs: features of what comes back, a change of the input. Not taken: translation of "
            "small images with a pyramid for the large one",
            {**_CHANGE, "weight_cycle_perceptual": 10.0},
            paper="Engin et al. 2018, Cycle-Dehaze: enhanced CycleGAN for single image dehazing, arXiv:1805.05308",
        ),
        "uneven-light": Preset(
            "For photographs bright and dark in places: a change of the input, the cycle from good light alone",
            {**_CHANGE, "cycles": "backward"},
        ),
    }

    weight_adversarial: float = Field(default=1.0, ge=0, description="0 trains no discriminator")
    weight_cycle: float = Field(default=10.0, ge=0)
    cycles: Literal["both", "forward", "backward", "none"] = Field(
        default="both",
        description="Which ways round weight_cycle counts: forward from a, to b and back; backward from b",
    )
    weight_cycle_perceptual: float = Field(
        default=0.0, ge=0, description="Of the distance of features, those of extra, of an image and of what comes back"
    )
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
        "poor and good photographs, and few training steps; light changes brightness and contrast alone, and smoothly",
    )
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminators' first layer")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees")
    norm: Norm = "instance"
    discriminator_norm: Norm | None = Field(
        default=None,
        description="Of the discriminators; null takes `norm`. Brightness is seen by a generator of `norm: none`; a "
        "discriminator without one needs some hundred steps to be heard",
    )

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(total_steps=2, crop_px=32, generator_width=8, blocks=1, discriminator_width=8, patch=16, pool_size=2)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        cycle = (self.weight_cycle or self.weight_cycle_perceptual) and self.cycles != "none"
        identity = self.weight_cycle * self.weight_identity
        if not (self.weight_adversarial or cycle or identity or self.extra.asks):
            raise ValueError("neither an adversarial loss nor a cycle nor identity; nothing would be learned")
        return self


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

    @property
    def turns(self) -> tuple[str, ...]:
        """The generators' turn, then the discriminators' if they have a say."""
        return ("generator", "discriminator") if self.recipe.weight_adversarial else ("generator",)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generators' turn, then the discriminators' if they have a say."""
        recipe, real_a, real_b = self.recipe, batch["a"], batch["b"]
        fake_b, identity_b = self._generate(self.g_ab, real_a, real_b)
        fake_a, identity_a = self._generate(self.g_ba, real_b, real_a)
        losses = {}
        if recipe.weight_adversarial:
            losses["adversarial_a"] = recipe.weight_adversarial * self.adversary.generator_loss(self.d_a, fake_a)
            losses["adversarial_b"] = recipe.weight_adversarial * self.adversary.generator_loss(self.d_b, fake_b)
        if recipe.cycles in ("both", "forward"):
            losses |= self._cycled(self.g_ba, fake_b, real_a, suffix="_a")
        if recipe.cycles in ("both", "backward"):
            losses |= self._cycled(self.g_ab, fake_a, real_b, suffix="_b")
        if identity_a is not None and identity_b is not None:
            weight_identity = recipe.weight_cycle * recipe.weight_identity
            losses["identity_a"] = weight_identity * l1(identity_a, real_a)
            losses["identity_b"] = weight_identity * l1(identity_b, real_b)
        losses |= self.extra(source=real_b, made=fake_a, target=real_a, to="a", suffix="_a")
        losses |= self.extra(source=real_a, made=fake_b, target=real_b, to="b", suffix="_b")
        yield Turn("generator", losses)

        if recipe.weight_adversarial:
            yield Turn("discriminator", self._judged(real_a, real_b, fake_a=fake_a, fake_b=fake_b))

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

    def _cycled(self, back: ResNetGenerator, fake: Tensor, real: Tensor, *, suffix: str) -> dict[str, Tensor]:
        recipe, losses = self.recipe, {}
        if not (recipe.weight_cycle or recipe.weight_cycle_perceptual):
            return {}
        cycled = back(fake)
        if recipe.weight_cycle:
            losses[f"cycle{suffix}"] = recipe.weight_cycle * l1(cycled, real)
        if recipe.weight_cycle_perceptual:
            pictures = [stack.unflatten(1, (-1, self.shape.channels)).flatten(0, 1) for stack in (cycled, real)]
            found, wanted = map(self.extra.features, pictures)
            losses[f"cycle_perceptual{suffix}"] = recipe.weight_cycle_perceptual * feature_distance(found, wanted)
        return losses

    def _judged(self, real_a: Tensor, real_b: Tensor, *, fake_a: Tensor, fake_b: Tensor) -> dict[str, Tensor]:
        shown_a, shown_b = self.pool_a.exchange(fake_a), self.pool_b.exchange(fake_b)
        judged = self._judge(self.d_a, real_a, shown_a, suffix="_a")
        return judged | self._judge(self.d_b, real_b, shown_b, suffix="_b")

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
            PatchDiscriminator(
                channels,
                patch=recipe.patch,
                width=recipe.discriminator_width,
                norm=recipe.discriminator_norm or recipe.norm,
            )
        )


method = CycleGAN
