"""CUT: one generator, whose patches must be told from others by their own place in the source; no pairs, no cycle."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from medgan.errors import SettingsError
from medgan.losses.adversarial import Adversarial
from medgan.losses.patch_nce import Negatives, patch_nce
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.initialisation import initialise
from medgan.networks.patch_discriminator import Patch, PatchDiscriminator, check_patch_fits
from medgan.networks.projection_heads import ProjectionHeads, draw_places
from medgan.networks.resnet_generator import Padding, Prediction, ResNetGenerator, default_blocks
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.extra_losses import WithExtraLosses
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.extra_losses import ExtraTerms
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class CUTRecipe(WithExtraLosses, DiscriminatorRecipe):
    """The paper's settings, but for the upsampling and the first weights.

    The layers are the published 0, 4, 8, 12 and 16: the image, the two convolutions that halve it, and residual blocks
    1 and 5. The published network blurs before it halves, so that its layers see 1, 9, 15, 35 and 99 pixels; here they
    see 1, 9, 13, 29 and 93. The paper trains CUT for 400 passes through its data and FastCUT for 200.

    ``upsampling="transposed"`` is nearer to what was published; the default resizes and convolves, since a checkerboard
    in a medical image reads as texture. The paper adds PatchNCE of real target images to that of source images, with
    the same weight; its public code halves both. First weights are CycleGAN's N(0, 0.02); the public code has Glorot's
    times 0.02, of which the normalisations leave no trace but in the outermost layers.

    ``preset: fastcut`` turns images round to learn that it makes no difference. The discriminator is shown the
    translation turned back, for a mirrored patient must not pass for a real one.

    ``preset: sincut`` is for one image of each domain: take one case each and ``crop_px`` well below its sides, and a
    step sees ``batch_size`` crops. Published with StyleGAN2's networks (one halving, six blocks, no normalisation),
    crops of 128 px from the image scaled at random to 384 to 1024 px, and 64 px tiles for the discriminator. Here they
    are this package's: crops at one scale, and a discriminator that sees patches anyway. The published rate of 0.002
    is for StyleGAN2's scaled weights; it stays 0.0002. Group normalisation in place of instance normalisation, whose
    statistics of a crop are not those of the whole image that is translated. 32 places of each crop are compared where
    the public code draws one: the features are there anyway, and the loss wavers less.
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "fastcut": Preset(
            "A stronger contrast in place of the identity loss, half as much to compute, turned images",
            {"weight_nce": 10.0, "weight_identity": 0.0, "flip_equivariance": True},
        ),
        "change": Preset(
            "Starts from the input: for domains that differ little, and few training steps", {"predicts": "change"}
        ),
        "sincut": Preset(
            "One image of each domain, seen in many crops; set crop_px",
            {
                "batch_size": 16,
                "weight_nce": 4.0,
                "weight_identity": 4.0,
                "weight_identity_pixels": 1.0,
                "nce_layers": ("pixels", "down-1", "block-1"),
                "negatives": "batch",
                "patches": 32,
                "adversarial": "vanilla",
                "weight_r1": 1.0,
                "betas": (0.0, 0.99),
                "norm": "group",
            },
        ),
    }

    weight_nce: float = Field(default=1.0, ge=0, description="Of PatchNCE between source and translation")
    weight_identity: float = Field(
        default=1.0, ge=0, description="Of PatchNCE between a target image and what comes of it; 0 leaves it out"
    )
    weight_identity_pixels: float = Field(
        default=0.0, ge=0, description="Of the mean absolute difference between a target image and what comes of it"
    )
    temperature: float = Field(default=0.07, gt=0, description="Divides the cosines of PatchNCE")
    patches: int = Field(default=256, ge=2, description="Places drawn in each layer, the same in all images of a step")
    nce_layers: tuple[str, ...] = Field(
        default=("pixels", "down-1", "down-2", "block-1", "block-5"),
        min_length=1,
        description="Layers of the generator that are compared: pixels, down-1, down-2, block-1 to the last block",
    )
    nce_units: int = Field(default=256, ge=1, description="Units of the projection heads")
    negatives: Negatives = Field(
        default="image",
        description="Other places of the same image, or of all images in the batch, which suits crops of one image",
    )
    flip_equivariance: bool = Field(
        default=False,
        description="Half of the steps translate mirrored images, and compare mirrored features with those as they are",
    )
    weight_discriminator: float = Field(default=0.5, gt=0, description="Slows the discriminator down")
    adversarial: Adversarial = "least-squares"
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator's first layer")
    blocks: int | None = Field(default=None, ge=1, description="Residual blocks; none takes 6 up to 128 px, else 9")
    upsampling: Upsampling = "resize"
    down_padding: Padding = Field(
        default="reflect", description="zeros is as in the published code of CycleGAN, whose generator this is"
    )
    predicts: Prediction = Field(
        default="image", description="image, as published; change starts from the input and suits few training steps"
    )
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminator's first layer")
    patch: Patch = Field(default=70, description="Side in pixels of what one logit sees")
    norm: Norm = "instance"
    discriminator_norm: Norm | None = Field(
        default=None,
        description="Of the discriminator; null takes `norm`. Brightness is seen by a generator of `norm: none`; a "
        "discriminator without one needs some hundred steps to be heard",
    )

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        return cls(
            total_steps=2,
            crop_px=32,
            generator_width=8,
            blocks=1,
            discriminator_width=8,
            patch=16,
            nce_layers=("pixels", "down-2", "block-1"),
            nce_units=16,
            patches=32,
        )


class CUT(Translator):
    """A generator from a to b, a discriminator of b, and heads that compare the generator's own features.

    The features of the source come from the pass that translates it; those of the translation from a second pass
    through the encoding half. A 2.5D stack goes in and comes out as a stack; the middle slice is the translation. With
    ``negatives="batch"`` the loss looks across the batch, on each of several processes across its own part of it.
    """

    summary = "Unpaired translation one way, held to the source patch by patch (CUT, FastCUT, SinCUT)"
    paper = "Park et al. 2020, Contrastive learning for unpaired image-to-image translation, arXiv:2007.15651"
    recipe_type = CUTRecipe
    directions = ("b",)
    size_multiple = 4
    groups: ClassVar = {"generator": ("g_ab", "heads"), "discriminator": ("d_b",)}
    ema_networks = ("g_ab",)

    def __init__(self, recipe: CUTRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: CUTRecipe = recipe
        self.averages_over_samples = recipe.negatives == "image"
        check_patch_fits(recipe.patch, size_px=shape.size_px)
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        self.extra = ExtraTerms(recipe.extra, channels=shape.channels)
        self.g_ab = self._generator()
        self.heads = initialise(
            ProjectionHeads(
                {layer: self.g_ab.feature_channels[layer] for layer in recipe.nce_layers}, units=recipe.nce_units
            )
        )
        self.d_b = self.adversary.prepared(
            PatchDiscriminator(
                shape.channels * shape.neighbours,
                patch=recipe.patch,
                width=recipe.discriminator_width,
                norm=recipe.discriminator_norm or recipe.norm,
            )
        )

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generator's and the heads' turn, then the discriminator's."""
        recipe, real_a, real_b = self.recipe, batch["a"], batch["b"]
        identity = recipe.weight_identity or recipe.weight_identity_pixels
        # No layer looks across a batch: both domains go through in one pass.
        real = torch.cat([real_a, real_b]) if identity else real_a
        turned = recipe.flip_equivariance and bool(torch.rand(()) < 0.5)
        made, keys = self.g_ab.forward_with_features(real.flip(-1) if turned else real, recipe.nce_layers)
        queries = self.g_ab.features(made, recipe.nce_layers)
        if turned:
            queries, made = {layer: one.flip(-1) for layer, one in queries.items()}, made.flip(-1)
            # Last, for autocast would keep weights cast without gradient for the passes after it.
            with torch.no_grad():
                keys = self.g_ab.features(real, recipe.nce_layers)
        fake_b = made[: len(real_a)]
        losses = {"adversarial": self.adversary.generator_loss(self.d_b, fake_b)}
        losses |= self._contrasts(queries, keys, len(real_a))
        if recipe.weight_identity_pixels:
            losses["identity_pixels"] = recipe.weight_identity_pixels * l1(made[len(real_a) :], real_b)
        losses |= self.extra(source=real_a, made=fake_b, target=real_b)
        yield Turn("generator", losses)

        weight = recipe.weight_discriminator
        yield Turn(
            "discriminator",
            self.adversary.discriminator_losses(self.d_b, real_b, fake_b, step=self.step, weight=weight),
        )

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate to b; see :meth:`Translator.translate`.

        Raises:
            SettingsError: S211, if asked for domain a.
        """
        self.check_direction(to)
        return self.middle(self.g_ab(image))

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Source, translation, a target image and what comes of it, (N, channels, H, W)."""
        stacks = {"real_a": batch["a"], "fake_b": self.g_ab(batch["a"])}
        stacks |= {"real_b": batch["b"], "identity_b": self.g_ab(batch["b"])}
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def _contrasts(self, queries: Mapping[str, Tensor], keys: Mapping[str, Tensor], of_a: int) -> dict[str, Tensor]:
        """PatchNCE of the first images, which are the translation's, and of those after them: the identity's."""
        recipe, places = self.recipe, draw_places(queries, patches=self.recipe.patches)
        found = self.heads(queries, places)
        with torch.no_grad():
            wanted = self.heads(keys, places)
        losses = {}
        for name, weight, images in (
            ("contrastive", recipe.weight_nce, slice(of_a)),
            ("contrastive_identity", recipe.weight_identity, slice(of_a, None)),
        ):
            if weight:
                each = [
                    patch_nce(
                        found[layer][images],
                        wanted[layer][images],
                        temperature=recipe.temperature,
                        negatives=recipe.negatives,
                    )
                    for layer in found
                ]
                losses[name] = weight * torch.stack(each).mean()
        return losses

    def _generator(self) -> ResNetGenerator:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        network = ResNetGenerator(
            channels,
            channels,
            width=recipe.generator_width,
            blocks=recipe.blocks or default_blocks(self.shape.size_px),
            upsampling=recipe.upsampling,
            down_padding=recipe.down_padding,
            norm=recipe.norm,
            predicts=recipe.predicts,
        )
        unknown = [layer for layer in recipe.nce_layers if layer not in network.feature_channels]
        if unknown:
            raise SettingsError(
                "S041",
                "the generator has no such layer",
                where="nce_layers",
                got=", ".join(unknown),
                expected="some of " + ", ".join(network.feature_channels),
            )
        return initialise(network)


method = CUT
