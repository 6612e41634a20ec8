"""CoGAN: two generators from the same codes that share their first layers; an image is translated through its code."""

from collections.abc import Iterator
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import LBFGS

from medgan.losses.adversarial import Adversarial
from medgan.losses.reconstruction import l2
from medgan.networks.blocks import Norm, Upsampling
from medgan.networks.coupled import DOUBLINGS, discriminator_layers, generator_layers
from medgan.networks.initialisation import initialise
from medgan.settings.discriminator import DiscriminatorRecipe
from medgan.training.adversary import Adversary
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class CoGANRecipe(DiscriminatorRecipe):
    """The paper's settings, but for the shape of the codes, the upsampling and the normalisation.

    Published on images of at most 128 px with batches of 128, batch normalisation, and one code of 100 numbers in
    [-1, 1] an image. Here there are 100 numbers for each 16 x 16 pixels, so that an image of any size has a map of
    codes. Batch normalisation would let one patient's image change another's; instance normalisation would take a
    code's own level away, which nothing else carries; layer normalisation does neither.
    ``upsampling="transposed"`` is as published; the default resizes and convolves, since a checkerboard in a medical
    image reads as texture.
    """

    batch_size: int = Field(default=128, ge=1)
    decay_from: float = Field(default=1.0, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    adversarial: Adversarial = "vanilla"
    code_channels: int = Field(default=100, ge=1, description="Numbers in the code of 16 x 16 pixels")
    shared: int = Field(default=4, ge=1, le=4, description="Of five layers, the generators' first ones that are shared")
    shared_last: int = Field(
        default=4, ge=0, le=4, description="Of five layers, the discriminators' last ones that are shared"
    )
    iterations: int = Field(default=100, ge=1, description="Of L-BFGS, to find the code of an image to translate")
    start_seed: int = Field(default=0, ge=0, description="Draws the code from which each search starts")
    generator_width: int = Field(default=128, ge=1, description="Channels in front of the generators' last layer")
    upsampling: Upsampling = "resize"
    discriminator_width: int = Field(default=128, ge=1, description="Channels of the discriminators' first layer")
    norm: Norm = "layer"

    @classmethod
    def tiny(cls) -> Self:
        """Narrow networks for 32 px."""
        narrow = {"generator_width": 4, "discriminator_width": 4, "code_channels": 8, "iterations": 3}
        return cls.model_validate({"total_steps": 2, "crop_px": 32, "batch_size": 2, **narrow})


class CoGAN(Translator):
    """Draws pairs of images of both domains from one code; to translate, looks for the code that draws the image.

    As Zhu 2017 (section 5.1) compares it with CycleGAN. Nothing but the shared layers says that the two images of a
    code belong together, and no loss that an image has a code at all: what the generator of the source cannot draw
    comes out blurred or as something else, as the paper says of images that it does not cover. Use it to compare.

    The search starts from the same code for each image, by itself, and takes the same number of iterations: a
    translation is the same every time, whatever it is batched with. It is slow: each iteration runs a generator both
    ways. Codes are kept in [-1, 1], where they were in training. Where a side is no multiple of 16, the last codes
    stand for more than is there, and the rest is cut off. Images larger than those of training are drawn from a larger
    map; every place then sees what a place inside the training images saw.

    A 2.5D stack goes in and is drawn as a stack; the middle slice is the translation.
    """

    summary = "Unpaired: two generators that share layers draw both domains from one code; here for comparison"
    paper = "Liu and Tuzel 2016, Coupled generative adversarial networks, arXiv:1606.07536"
    recipe_type = CoGANRecipe
    directions = ("a", "b")
    size_multiple = 1
    groups: ClassVar = {"generator": ("g_shared", "g_a", "g_b"), "discriminator": ("d_a", "d_b", "d_shared")}
    ema_networks = groups["generator"]

    def __init__(self, recipe: CoGANRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        self.recipe: CoGANRecipe = recipe
        self.adversary = Adversary(recipe, kind=recipe.adversarial, channels=shape.channels)
        drawing, other = self._generator_layers(), self._generator_layers()
        self.g_shared = initialise(nn.Sequential(*drawing[: recipe.shared]))
        self.g_a = initialise(nn.Sequential(*drawing[recipe.shared :]))
        self.g_b = initialise(nn.Sequential(*other[recipe.shared :]))
        judging, another = self._discriminator_layers(), self._discriminator_layers()
        own = len(judging) - recipe.shared_last
        self.d_a = self.adversary.prepared(nn.Sequential(*judging[:own]))
        self.d_b = self.adversary.prepared(nn.Sequential(*another[:own]))
        self.d_shared = self.adversary.prepared(nn.Sequential(*judging[own:]))

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """The generators' turn, which draw both domains from the same codes, then the discriminators'."""
        real_a, real_b = batch["a"], batch["b"]
        codes = 2 * torch.rand(self._codes_of(real_a), device=real_a.device, dtype=real_a.dtype) - 1
        height, width = real_a.shape[-2:]
        fake_a, fake_b = (self.draw(codes, to=to)[..., :height, :width] for to in self.directions)
        losses = {
            "adversarial_a": self.adversary.generator_loss(self._judge_a, fake_a),
            "adversarial_b": self.adversary.generator_loss(self._judge_b, fake_b),
        }
        yield Turn("generator", losses)

        told, step = self.adversary.discriminator_losses, self.step
        judged = told(self._judge_a, real_a, fake_a, step=step, suffix="_a")
        yield Turn("discriminator", judged | told(self._judge_b, real_b, fake_b, step=step, suffix="_b"))

    def draw(self, codes: Tensor, *, to: Domain) -> Tensor:
        """Images (N, C, 16 h, 16 w) in [-1, 1] of a domain, from codes (N, code_channels, h, w) in [-1, 1]."""
        own = self.g_a if to == "a" else self.g_b
        images: Tensor = own(self.g_shared(codes))
        return images

    @torch.no_grad()
    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """Find each image's code, and draw the other domain from it; see :meth:`Translator.translate`."""
        source: Domain = "a" if to == "b" else "b"
        drawn = [self.draw(self.code_of(one[None], domain=source), to=to) for one in image]
        return self.middle(torch.cat(drawn)[..., : image.shape[-2], : image.shape[-1]])

    def code_of(self, image: Tensor, *, domain: Domain) -> Tensor:
        """The code from which a domain's generator draws what is nearest to an image, as far as the search goes.

        Args:
            image: (1, C, H, W) in [-1, 1].
            domain: The image's.

        Returns:
            (1, code_channels, h, w) in [-1, 1]; h is H / 16, rounded up, and at least 2, and w likewise.

        Source:
            Liu and Tuzel 2016, section on image transformation: the Euclidean distance, and L-BFGS.
        """
        generator = torch.Generator().manual_seed(self.recipe.start_seed)
        height, width = image.shape[-2:]
        # Even within inference mode, whose tensors no gradient passes through.
        with torch.inference_mode(mode=False), torch.enable_grad():
            wanted = image.clone()
            code = (torch.rand(self._codes_of(wanted), generator=generator) - 0.5).to(wanted)  # of half the range
            code.requires_grad_()
            search = LBFGS([code], max_iter=self.recipe.iterations, line_search_fn="strong_wolfe")

            def distance() -> Tensor:
                drawn = self.draw(code.tanh(), to=domain)[..., :height, :width]
                found = l2(drawn, wanted) * wanted.numel()
                # No parameter's gradient is touched.
                (code.grad,) = torch.autograd.grad(found, code)
                return found

            search.step(distance)
            return code.detach().tanh()

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Real images, and pairs drawn from the same codes, (N, channels, H, W); translations would take too long."""
        real_a, real_b = batch["a"], batch["b"]
        codes = 2 * torch.rand(self._codes_of(real_a), device=real_a.device) - 1
        height, width = real_a.shape[-2:]
        drawn = {f"drawn_{to}": self.draw(codes, to=to)[..., :height, :width] for to in self.directions}
        stacks = {"real_a": real_a, "real_b": real_b, **drawn}
        return {name: self.middle(stack) for name, stack in stacks.items()}

    def _codes_of(self, images: Tensor) -> tuple[int, int, int, int]:
        """Shape of the maps of codes for images of this size: two at least each way, for edges are reflected."""
        rows, columns = (max(2, -(-side // 2**DOUBLINGS)) for side in images.shape[-2:])
        return len(images), self.recipe.code_channels, rows, columns

    def _judge_a(self, images: Tensor) -> Tensor:
        logits: Tensor = self.d_shared(self.d_a(images))
        return logits

    def _judge_b(self, images: Tensor) -> Tensor:
        logits: Tensor = self.d_shared(self.d_b(images))
        return logits

    def _generator_layers(self) -> list[nn.Module]:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return generator_layers(
            recipe.code_channels,
            channels,
            width=recipe.generator_width,
            upsampling=recipe.upsampling,
            norm=recipe.norm,
        )

    def _discriminator_layers(self) -> list[nn.Module]:
        recipe, channels = self.recipe, self.shape.channels * self.shape.neighbours
        return discriminator_layers(
            channels, size_px=self.shape.size_px, width=recipe.discriminator_width, norm=recipe.norm
        )


method = CoGAN
