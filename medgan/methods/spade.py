"""SPADE: an image drawn from a map of labels, in the style of a reference image if there is one; needs pairs."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from medgan.losses.adversarial import discriminator_loss, generator_loss
from medgan.losses.latent import kl_of_diagonal_normal
from medgan.losses.perceptual import feature_distance
from medgan.networks.blocks import evaluating
from medgan.networks.initialisation import initialise
from medgan.networks.multiscale_discriminator import MultiScaleDiscriminator
from medgan.networks.patch_discriminator import Patch, check_patch_fits
from medgan.networks.spade import ReferenceEncoder, SpadeGenerator
from medgan.networks.spectral import spectrally_normalised
from medgan.settings.features import FeatureSettings
from medgan.settings.recipe import Preset, Recipe
from medgan.training.features import LossNetwork
from medgan.training.learner import Batch, OptimizerSettings, Turn
from medgan.training.styles import StyledTranslator
from medgan.training.translator import Domain, SampleShape

VGG_WEIGHTS: Mapping[str, float] = {
    "relu1_1": 1 / 32,
    "relu2_1": 1 / 16,
    "relu3_1": 1 / 8,
    "relu4_1": 1 / 4,
    "relu5_1": 1.0,
}
"""Of VGG-19's layers, as in pix2pixHD (Wang 2018, arXiv:1711.11585), whose perceptual loss the paper takes."""


class SpadeRecipe(Recipe):
    """The paper's settings, but for the normalisation and the network of the perceptual loss.

    Instance normalisation takes the place of batch normalisation over all devices: no layer here looks across a batch.
    First weights are N(0, 0.02), the published Glorot's: spectral normalisation takes their scale away. Adversarial and
    matching losses are means over the discriminators, as in the public code, whose weights these are.

    The paper's perceptual loss looks through VGG-19, whose weights are a file that the user must have; name it under
    ``features``. The first layer of each of its five stages then counts, half as much as that of the stage behind it
    (the last but one a quarter), unless ``layers`` names others. Without a file, ``features`` is the random network: it
    keeps what the loss is there for, to hold fakes to their targets at several scales; ``weight_perceptual: 0`` leaves
    it out. The weight is VGG's.

    The condition arrives as an image in [-1, 1], in one channel or in equal ones. ``labels`` classes lie evenly between
    -1 and 1, and each pixel takes the nearest: for two, black is background and white is lesion. ``labels: null`` takes
    the image itself as the map, such as a T1 slice.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "no-style": Preset("Without the encoder: one image for each map", {"style": False}),
        "image-map": Preset("Any image as the map, not labels: from MR contrast to MR contrast", {"labels": None}),
    }

    labels: int | None = Field(default=2, ge=2, le=256, description="Classes of the map; none takes it as it is")
    style: bool = Field(default=True, description="Whether an encoder reads a reference image's style")
    style_size: int = Field(default=256, ge=1, description="Length of the style vector")
    weight_kl: float = Field(default=0.05, ge=0, description="Of the styles' distance from a standard normal one")
    weight_matching: float = Field(default=10.0, ge=0, description="Of the distance in the discriminator's features")
    weight_perceptual: float = Field(default=10.0, ge=0, description="Of the distance in a frozen network's features")
    features: FeatureSettings = Field(default=FeatureSettings(), description="Network of the perceptual loss")
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator's last block")
    map_width: int = Field(default=128, ge=1, description="Channels of the layers that read the map")
    encoder_width: int = Field(default=64, ge=1, description="Channels of the encoder's first layer")
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminators' first layer")
    discriminator_rate: float = Field(default=4e-4, gt=0, description="Learning rate of the discriminators")
    scales: int = Field(default=2, ge=1, le=4, description="Sizes at which images are judged, each half the one before")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees at its own scale")
    learning_rate: float = Field(default=1e-4, gt=0, description="Of the generator and the encoder")
    betas: tuple[float, float] = (0.0, 0.999)

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        widths = {"generator_width": 4, "map_width": 8, "encoder_width": 4, "discriminator_width": 8}
        return cls(total_steps=2, crop_px=32, style_size=8, patch=16, **widths)


class Spade(StyledTranslator):
    """A generator that is told at every size what stands where, and a style that says how it looks.

    In training the style is drawn from what the encoder reads in the target itself. A translation has no target: it
    takes the mean of all styles, the same each time, unless it is given one: drawn, or read in a reference image. A
    2.5D stack of maps goes in, the middle slice comes out.
    """

    summary = "Paired: from a map of labels to an image, with an optional reference for its style"
    paper = "Park et al. 2019, Semantic image synthesis with spatially-adaptive normalization, arXiv:1903.07291"
    needs_pairs = True
    recipe_type = SpadeRecipe
    directions = ("b",)
    size_multiple = 4
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "generator": ("g_ab", "encoder"),
        "discriminator": ("d_b",),
    }
    ema_networks = ("g_ab",)

    def __init__(self, recipe: SpadeRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: SpadeRecipe = recipe
        check_patch_fits(recipe.patch, size_px=shape.size_px // 2 ** (recipe.scales - 1))
        of_slice = shape.channels if recipe.labels is None else recipe.labels
        labels = of_slice * shape.neighbours
        generator = SpadeGenerator(
            labels,
            shape.channels,
            size_px=shape.size_px,
            width=recipe.generator_width,
            style_size=recipe.style_size,
            hidden=recipe.map_width,
        )
        self.g_ab = spectrally_normalised(initialise(generator))
        encoder = ReferenceEncoder(
            shape.channels, size_px=shape.size_px, width=recipe.encoder_width, style_size=recipe.style_size
        )
        self.encoder: nn.Module = initialise(encoder) if recipe.style else nn.Identity()
        judges = MultiScaleDiscriminator(
            labels + shape.channels, scales=recipe.scales, patch=recipe.patch, width=recipe.discriminator_width
        )
        self.d_b = spectrally_normalised(initialise(judges))
        self.layer_weights = VGG_WEIGHTS if _takes_published_layers(recipe.features) else None
        settings = recipe.features.model_copy(update={"layers": tuple(VGG_WEIGHTS)} if self.layer_weights else {})
        self.features = LossNetwork(settings, channels=shape.channels)

    def optimizer(self, group: str) -> OptimizerSettings:
        """Two rates: discriminators learn four times as fast (Heusel 2017, arXiv:1706.08500)."""
        settings = super().optimizer(group)
        return settings._replace(learning_rate=self.recipe.discriminator_rate) if group == "discriminator" else settings

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generator's turn, with the encoder's; then the discriminators'."""
        recipe, labels, real_b = self.recipe, self.labels_of(batch["a"]), self.middle(batch["b"])
        losses: dict[str, Tensor] = {}
        style = self._mean_style(len(real_b), like=real_b)
        if recipe.style:
            mean, log_variance = self.encoder(real_b)
            style = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            losses["kl"] = recipe.weight_kl * kl_of_diagonal_normal(mean, log_variance)
        fake_b = self.g_ab(labels, style)
        of_real, of_fake = self._judged(labels, real_b, fake_b)
        fooled = [generator_loss(layers[-1], kind="hinge") for layers in of_fake]
        losses["adversarial"] = torch.stack(fooled).mean()
        if recipe.weight_matching:
            losses["matching"] = recipe.weight_matching * _matching(of_fake, of_real)
        if recipe.weight_perceptual:
            with torch.no_grad():
                wanted = self.features(real_b)
            distance = feature_distance(self.features(fake_b), wanted, kind="l1", weights=self.layer_weights)
            losses["perceptual"] = recipe.weight_perceptual * distance
        yield Turn("generator", losses)

        of_real, of_fake = self._judged(labels, real_b, fake_b.detach())
        told = [
            discriminator_loss(real[-1], fake[-1], kind="hinge") for real, fake in zip(of_real, of_fake, strict=True)
        ]
        yield Turn("discriminator", {"adversarial": torch.stack(told).mean()})

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Draw the image of a map in the mean style; see :meth:`Translator.translate`.

        Raises:
            SettingsError: S211, if asked for domain a.
        """
        return self.translate_styled(image, to=to, style=self._mean_style(1, like=image))

    @property
    def style_size(self) -> int:
        """Numbers of a style."""
        return self.recipe.style_size

    @torch.no_grad()
    def style_of(self, image: Tensor, *, domain: Domain) -> Tensor:
        """Styles of images of domain b; zeros where there is no encoder. See :meth:`StyledTranslator.style_of`.

        Raises:
            SettingsError: S211, if asked for domain a: maps have no style.
        """
        self.check_direction(domain)
        if not self.recipe.style:
            return self._mean_style(len(image), like=image)
        with evaluating(self.encoder):
            mean: Tensor = self.encoder(self.middle(image))[0]
        return mean

    @torch.no_grad()
    def translate_styled(self, image: Tensor, *, to: Domain, style: Tensor) -> Tensor:
        """Draw the images of maps in given styles; see :meth:`StyledTranslator.translate_styled`."""
        self.check_direction(to)
        with evaluating(self.g_ab):
            made: Tensor = self.g_ab(self.labels_of(image), style.expand(len(image), -1))
        return made

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Map, image in the mean style, image in the target's style, and target, (N, channels, H, W)."""
        real_a, real_b = batch["a"], self.middle(batch["b"])
        pictures = {"real_a": self.middle(real_a), "fake_b": self.translate(real_a, to="b"), "real_b": real_b}
        styles = self.style_of(batch["b"], domain="b")
        return pictures | {"styled_b": self.translate_styled(real_a, to="b", style=styles)}

    def labels_of(self, image: Tensor) -> Tensor:
        """A condition in [-1, 1] as a map: one channel for each class of each slice, or the image itself."""
        count = self.recipe.labels
        if count is None:
            return image
        slices = image.unflatten(1, (-1, self.shape.channels)).mean(dim=2)
        classes = ((slices + 1) / 2 * (count - 1)).round().long().clamp(0, count - 1)
        return F.one_hot(classes, count).movedim(-1, 2).flatten(1, 2).to(image.dtype)

    def _mean_style(self, count: int, *, like: Tensor) -> Tensor:
        return torch.zeros(count, self.recipe.style_size, dtype=like.dtype, device=like.device)

    def _judged(self, labels: Tensor, real: Tensor, fake: Tensor) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """What the discriminators' layers give for real images and for fakes, by scale."""
        both = torch.cat([torch.cat([labels, real], dim=1), torch.cat([labels, fake], dim=1)])
        found = self.d_b.features(both)
        return tuple([[layer.chunk(2)[side] for layer in scale] for scale in found] for side in (0, 1))  # type: ignore[return-value]


def _matching(of_fake: list[list[Tensor]], of_real: list[list[Tensor]]) -> Tensor:
    """Mean absolute difference of each layer before the logits (Wang 2018, eq. 4): sum of layers, mean of scales."""
    parts = [
        (fake.float() - real.detach().float()).abs().mean()
        for fakes, reals in zip(of_fake, of_real, strict=True)
        for fake, real in zip(fakes[:-1], reals[:-1], strict=True)
    ]
    return torch.stack(parts).sum() / len(of_fake)


def _takes_published_layers(features: FeatureSettings) -> bool:
    return features.network == "vgg19" and not features.layers


method = Spade
