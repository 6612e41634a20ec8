"""DeePSiM: held to the target in pixels, in a frozen network's features, and by a discriminator; needs pairs."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.losses.across_ranks import sum_over_ranks
from medgan.losses.adversarial import Adversarial
from medgan.losses.perceptual import feature_distance
from medgan.losses.reconstruction import l2
from medgan.networks.blocks import Norm, Upsampling, evaluating
from medgan.networks.initialisation import initialise
from medgan.networks.pooled_discriminator import PooledDiscriminator
from medgan.networks.spectral import spectrally_normalised
from medgan.networks.unet_generator import UNetGenerator, default_depth
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithPairedExtraLosses
from medgan.settings.features import FeatureSettings
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.features import LossNetwork
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class DeepSimRecipe(WithPairedExtraLosses, DiscriminatorRecipe):
    """The paper's weights, turned from sums over values in [0, 255] into means over values in [-1, 1].

    The paper has 2e-6 times the squared error summed over 3 x 227 x 227 levels, 0.01 times that of 256 x 6 x 6
    features, and 100 times the adversarial loss. A sum is its mean times the number of values, and one unit here is
    127.5 levels: 2e-6 x 154587 x 127.5 ^ 2 = 5026 and 0.01 x 9216 = 92. Adam does not feel a common factor, so all
    three are divided by 100: 50, 0.92 and 1. The feature weight is AlexNet's; features of another network are of
    another scale, so compare the losses in the log. By default the comparator is random and needs no file.

    The paper pauses the discriminator where its loss is below a tenth of the generator's adversarial loss; it goes on
    above a half. Batches of 64 are the paper's; smaller ones make that ratio waver.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "image": Preset("The image loss alone: blurred", {"weight_feature": 0.0, "weight_adversarial": 0.0}),
        "image-feature": Preset("Without the discriminator", {"weight_adversarial": 0.0}),
        "image-adversarial": Preset("Without the comparator", {"weight_feature": 0.0}),
    }

    weight_image: float = Field(default=50.0, gt=0, description="Of the mean squared difference in pixels")
    weight_feature: float = Field(default=0.92, ge=0, description="Of the mean squared difference in features")
    weight_adversarial: float = Field(default=1.0, ge=0, description="0 trains no discriminator")
    features: FeatureSettings = Field(default=FeatureSettings(), description="The comparator")
    adversarial: Adversarial = "vanilla"
    conditional: bool = Field(default=True, description="Whether the discriminator sees the input too")
    pause_below: float = Field(default=0.1, ge=0, description="Ratio of losses at which the discriminator pauses")
    resume_above: float = Field(default=0.5, ge=0, description="Ratio of losses at which it goes on")
    generator: Literal["encoder-decoder", "unet"] = Field(
        default="encoder-decoder", description="As published without skip connections, or with them"
    )
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator's first layer")
    upsampling: Upsampling = "resize"
    norm: Norm = "instance"
    discriminator_width: int = Field(default=32, ge=1, description="Channels of the discriminator's first layer")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Inside the discriminator")
    batch_size: int = Field(default=64, ge=1)
    betas: tuple[float, float] = (0.9, 0.999)

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(total_steps=2, crop_px=32, batch_size=2, generator_width=8, discriminator_width=4)


class DeepSim(Translator):
    """An encoder-decoder whose output equals the target in pixels and in features, and looks real as a whole.

    The paper inverts features of a network; here the generator's input is an image, and where the paper hands the
    features to the discriminator, it sees the image beside. Whether the discriminator pauses is decided after each
    step from that step's losses over all ranks, and is kept in checkpoints. A 2.5D stack goes in, the middle slice
    comes out.
    """

    summary = "Paired translation: pixels, features and a discriminator of whole images, which pauses where it is ahead"
    paper = (
        "Dosovitskiy and Brox 2016, Generating images with perceptual similarity metrics based on deep networks, "
        "arXiv:1602.02644"
    )
    needs_pairs = True
    recipe_type = DeepSimRecipe
    directions = ("b",)
    size_multiple = 4
    groups: ClassVar = {"generator": ("g_ab",), "discriminator": ("d_b",)}
    ema_networks = ("g_ab",)
    # averages_over_samples stays False: the pause is decided by the batch as a whole.

    def __init__(self, recipe: DeepSimRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: DeepSimRecipe = recipe
        self.paused = False
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.features = LossNetwork(recipe.features, channels=shape.channels)
        stack = shape.channels * shape.neighbours
        generator = UNetGenerator(
            stack,
            shape.channels,
            depth=default_depth(shape.size_px),
            width=recipe.generator_width,
            skips=recipe.generator == "unet",
            dropout=0.0,
            upsampling=recipe.upsampling,
            norm=recipe.norm,
        )
        self.g_ab = initialise(generator)
        judged = shape.channels + (stack if recipe.conditional else 0)
        judge = PooledDiscriminator(judged, width=recipe.discriminator_width, dropout=recipe.dropout)
        self.d_b = spectrally_normalised(judge) if recipe.spectral else judge

    @property
    def turns(self) -> tuple[str, ...]:
        """The generator's turn, then the discriminator's unless it pauses."""
        judged = self.recipe.weight_adversarial and not self.paused
        return ("generator", "discriminator") if judged else ("generator",)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generator's turn, then the discriminator's; behind both, whether it pauses in the next step."""
        recipe, real_a, real_b = self.recipe, batch["a"], self.middle(batch["b"])
        fake_b = self.g_ab(real_a)
        losses = {"reconstruction": recipe.weight_image * l2(fake_b, real_b)}
        if recipe.weight_feature:
            with torch.no_grad():
                wanted = self.features(real_b)
            losses["perceptual"] = recipe.weight_feature * feature_distance(self.features(fake_b), wanted)
        losses |= self.extra(source=self.middle(real_a), made=fake_b, target=real_b)
        if not recipe.weight_adversarial:
            yield Turn("generator", losses)
            return
        fooled = self.adversary.generator_loss(self.d_b, self._beside(real_a, fake_b))
        losses["adversarial"] = recipe.weight_adversarial * fooled
        yield Turn("generator", losses)

        shown = self._beside(real_a, real_b), self._beside(real_a, fake_b.detach())
        if self.paused:
            with torch.no_grad():
                # Of images changed as in its turn, where the recipe says so: a pause must not judge by another measure.
                told = self.adversary.told(self.d_b, *shown)
        else:
            judged = self.adversary.discriminator_losses(self.d_b, *shown, step=self.step)
            yield Turn("discriminator", judged)
            told = judged["adversarial"]
        self._decide(told.detach(), fooled.detach())

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate to b; see :meth:`Translator.translate`.

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

    def extra_tensors(self) -> dict[str, Tensor]:
        """Whether the discriminator pauses."""
        return {"paused": torch.tensor(self.paused)}

    def load_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take it back."""
        self.paused = bool(tensors["paused"])

    def _beside(self, source: Tensor, output: Tensor) -> Tensor:
        return torch.cat([source, output], dim=1) if self.recipe.conditional else output

    def _decide(self, discriminator: Tensor, generator: Tensor) -> None:
        """Pause or go on, by the losses over all ranks: each comes to the same answer."""
        judged, fooled = sum_over_ranks(torch.stack([discriminator, generator])).tolist()
        limit = self.recipe.resume_above if self.paused else self.recipe.pause_below
        self.paused = judged < limit * fooled


method = DeepSim
