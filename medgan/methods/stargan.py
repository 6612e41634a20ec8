"""StarGAN: one generator for all domains, told which one is wanted; no pairs."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan.losses.adversarial import Adversarial
from medgan.losses.reconstruction import l1
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.domain_discriminator import DomainDiscriminator
from medgan.networks.domain_generator import DomainGenerator
from medgan.networks.initialisation import initialise, initialise_by_width
from medgan.networks.resnet_generator import Padding, Prediction
from medgan.networks.spectral import spectrally_normalised
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.settings.recipe import Preset
from medgan.training.adversary import Adversary
from medgan.training.learner import Batch, Turn
from medgan.training.translator import LETTERS, Domain, SampleShape, Translator


class StarGANRecipe(DiscriminatorRecipe):
    """The paper's settings, but for the first layer, the edges and the upsampling.

    A step is one of the discriminator; the generator takes one in every ``critic_steps``, so that 200,000 steps are
    40,000 of the generator. ``batch_size`` counts images of each domain: the paper's 16 in all are 8 of each of two
    domains, so take fewer where there are more. The paper mirrors half of its faces; here ``flips`` are off, since
    laterality matters in medical images.

    The published network normalises behind its first layer and so takes away what a label's constant map adds there,
    but for a trace along zero-padded edges, which depends on the size of the image
    (:class:`medgan.networks.domain_generator.DomainGenerator`). Here nothing is normalised there, edges are reflected
    and the label is seen everywhere. The preset ``published`` has the authors' network, transposed convolutions
    included.

    The preset ``change`` starts from the input, which is then real, reconstructed and of the wrong domain alone: the
    published weights hold it there, and what is left of the label behind the first layer moves all domains alike. It
    shows the last layer the label, too, and weighs the domain more and the way back less.

    ``discriminator_augment`` changes what is judged as real or fake; domains are told by images as they are.
    ``ema_decay`` counts steps of the discriminator, as ``total_steps`` does.

    The authors leave weights to their framework; here the discriminator, which has no normalisation, begins with He's
    spread for its widths, and the generator with N(0, 0.02).
    """

    presets: ClassVar[Mapping[str, Preset]] = {
        "published": Preset(
            "The authors' generator: zeros beyond the edges, transposed convolutions, the first layer normalised",
            {"first_norm": "instance-affine", "padding": "zeros", "upsampling": "transposed"},
        ),
        "change": Preset(
            "Starts from the input: for domains that differ little, and few training steps",
            # An image that comes back as it is looks real and is reconstructed: only the domain's loss moves it.
            {"predicts": "change", "label_last": True, "weight_classification": 5.0, "weight_reconstruction": 5.0},
        ),
    }

    total_steps: int = Field(
        default=200_000, ge=0, description="Steps of the discriminator; the generator takes one in critic_steps"
    )
    critic_steps: int = Field(default=5, ge=1, description="Steps of the discriminator for each of the generator")
    batch_size: int = Field(default=8, ge=1, description="Images of each domain")
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_classification: float = Field(
        default=1.0, gt=0, description="Of telling the domain: of real images for the discriminator, of fakes else"
    )
    weight_reconstruction: float = Field(
        default=10.0, ge=0, description="Of the mean absolute difference after the way there and back"
    )
    adversarial: Adversarial = "wasserstein"
    weight_gradient_penalty: float = Field(
        default=10.0, ge=0, description="Of the discriminators' slope between real and fake images that is not 1"
    )
    generator_width: int = Field(default=64, ge=1, description="Channels of the generator's first layer")
    blocks: int = Field(default=6, ge=1, description="Residual blocks")
    upsampling: Upsampling = "resize"
    norm: Norm = "instance-affine"
    first_norm: Norm = Field(
        default="none",
        description="Behind the first layer; the published instance norm takes away what a label adds, but at edges of "
        "zeros",
    )
    padding: Padding = Field(default="reflect", description="Published: zeros")
    predicts: Prediction = Field(
        default="image",
        description="image, as published; change starts from the input and suits domains that differ little",
    )
    label_last: bool = Field(
        default=False,
        description="Shows the last layer which domain is wanted, too, which adds a colour or grey value for each; "
        "published: the first alone",
    )
    discriminator_width: int = Field(default=64, ge=1, description="Channels of the discriminator's first layer")
    discriminator_halvings: int = Field(
        default=6, ge=1, description="Strided layers of the discriminator; 6 take images of 64 px and more"
    )

    @model_validator(mode="after")
    def _sees_the_label(self) -> Self:
        if self.padding == "reflect" and self.first_norm.startswith("instance"):
            raise ValueError(
                f"first_norm {self.first_norm} takes away all that a label adds where padding is reflect: "
                "set first_norm none, or padding zeros as published"
            )
        return self

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px, and a generator that steps every time."""
        return cls(
            total_steps=2,
            crop_px=32,
            batch_size=2,
            critic_steps=1,
            generator_width=8,
            blocks=1,
            discriminator_width=8,
            discriminator_halvings=3,
        )


class StarGAN(Translator):
    """One generator that is told the domain wanted, and one discriminator that also tells the domain of an image.

    In every step each domain's images are sent to domains drawn at random, their own among them, as published. Which
    domain an image is from the generator is never told, so that translation takes images of any domain. The critic is
    the discriminator: it steps ``critic_steps`` times for each step of the generator. A 2.5D stack goes in and comes
    out as a stack; the middle slice is the translation.
    """

    summary = "Unpaired translation among all domains by one generator, held together by the way back"
    paper = (
        "Choi et al. 2018, StarGAN: unified generative adversarial networks for multi-domain image-to-image "
        "translation, arXiv:1711.09020"
    )
    many_domains = True
    recipe_type = StarGANRecipe
    directions: tuple[Domain, ...] = ("a", "b")
    size_multiple = 4
    groups: ClassVar = {"discriminator": ("d",), "generator": ("g",)}
    ema_networks = ("g",)
    averages_over_samples = True

    def __init__(self, recipe: StarGANRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: StarGANRecipe = recipe
        self.directions = LETTERS[: shape.domains]
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        channels = shape.channels * shape.neighbours
        self.g = initialise(
            DomainGenerator(
                channels,
                shape.domains,
                width=recipe.generator_width,
                blocks=recipe.blocks,
                upsampling=recipe.upsampling,
                norm=recipe.norm,
                first_norm=recipe.first_norm,
                padding=recipe.padding,
                predicts=recipe.predicts,
                label_last=recipe.label_last,
            )
        )
        judge = initialise_by_width(
            DomainDiscriminator(
                channels,
                shape.domains,
                size_px=shape.size_px,
                halvings=recipe.discriminator_halvings,
                width=recipe.discriminator_width,
            )
        )
        self.d = spectrally_normalised(judge) if recipe.spectral else judge

    @property
    def turns(self) -> tuple[str, ...]:
        """The discriminator's turn; in every fifth step, or as the recipe has it, the generator's behind it."""
        both = (self.step + 1) % self.recipe.critic_steps == 0
        return ("discriminator", "generator") if both else ("discriminator",)

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The discriminator's turn, then the generator's where it is due; each translates anew."""
        recipe, generates = self.recipe, "generator" in self.turns
        real = torch.cat([batch[letter] for letter in self.directions])
        counts = torch.tensor([len(batch[letter]) for letter in self.directions], device=real.device)
        own = torch.arange(len(counts), device=real.device).repeat_interleave(counts)
        wanted = torch.randint(len(counts), own.shape, device=real.device)
        with torch.no_grad():
            fake = self.g(real, wanted)
        judged = self.adversary.discriminator_losses(self.d, real, fake, step=self.step)
        told = recipe.weight_classification * F.cross_entropy(self.d.classify(real).float(), own)
        yield Turn("discriminator", judged | {"classification": told})
        if not generates:
            return

        fake = self.g(real, wanted)
        losses = {
            "adversarial": self.adversary.generator_loss(self.d, fake),
            "classification": recipe.weight_classification * F.cross_entropy(self.d.classify(fake).float(), wanted),
        }
        if recipe.weight_reconstruction:
            losses["reconstruction"] = recipe.weight_reconstruction * l1(self.g(fake, own), real)
        yield Turn("generator", losses)

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Translate images of any domain; see :meth:`Translator.translate`.

        Raises:
            SettingsError: S211, if it has not learnt that domain.
        """
        self.check_direction(to)
        return self.middle(self._sent(image, to))

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Images of domain a in every domain and back again, real ones of each, and b in a, (N, channels, H, W)."""
        others = self.directions[1:]
        fakes = {f"fake_{letter}": self._sent(batch["a"], letter) for letter in others}
        stacks = {"real_a": batch["a"], **fakes, "cycled_a": self._sent(fakes["fake_b"], "a")}
        stacks |= {f"real_{letter}": batch[letter] for letter in others}
        stacks["fake_a"] = self._sent(batch["b"], "a")
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def _sent(self, image: Tensor, to: Domain) -> Tensor:
        """A stack in the domain wanted."""
        made: Tensor = self.g(image, torch.full((len(image),), LETTERS.index(to), device=image.device))
        return made


method = StarGAN
