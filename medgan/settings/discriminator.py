"""What keeps discriminators regular, for any method that has some: all off by default, as most papers have it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medgan.settings.recipe import Recipe

Shown = Literal["colour", "translation", "cutout"]


class DiscriminatorRecipe(Recipe):
    """A recipe of a method with discriminators.

    On a small cohort a discriminator soon knows every real image by heart. ``discriminator_augment`` shows it changed
    images, real ones and fakes alike, with gradients through the change (Zhao 2020, arXiv:2006.10738, where a tenth of
    the data suffices with all three). In medical images leave ``colour`` out unless brightness means nothing: it
    shifts by up to a quarter of the range, and the discriminator then no longer holds grey values in place.

    Penalties on the slope: ``weight_r1`` (Mescheder 2018, arXiv:1801.04406) at real images, 10 in the paper for
    photographs of 256 px; ``weight_gradient_penalty`` (Gulrajani 2017, arXiv:1704.00028) between real and fake ones, 10
    in the paper, of the sum of a critic's logits as in StarGAN's code. Of a map of n logits R1 is that of their sum,
    divided by n: the mean of each patch's own where patches do not overlap. ``r1_every`` computes R1 at every so many
    steps with so many times the weight (Karras 2020, arXiv:1912.04958, takes 16). A conditional discriminator's slope
    is that in input and output together.
    """

    spectral: bool = Field(
        default=False,
        description="Divide the discriminators' weights by their largest singular values (Miyato 2018)",
    )
    weight_r1: float = Field(default=0.0, ge=0, description="Of half the discriminators' squared slope at real images")
    r1_every: int = Field(default=1, ge=1, description="Steps between two uses of weight_r1, which counts so often")
    weight_gradient_penalty: float = Field(
        default=0.0, ge=0, description="Of the discriminators' slope between real and fake images that is not 1"
    )
    discriminator_augment: tuple[Shown, ...] = Field(
        default=(), description="How real images and fakes are changed before they are judged; for small cohorts"
    )

    @property
    def bounds_slope(self) -> bool:
        """Whether something bounds the discriminators' slope; methods with other means than these say so too."""
        return bool(self.spectral or self.weight_gradient_penalty)

    @model_validator(mode="after")
    def _critic_is_bounded(self) -> Self:
        if getattr(self, "adversarial", None) == "wasserstein" and not self.bounds_slope:
            raise ValueError(
                "adversarial wasserstein needs a critic of bounded slope: "
                "set weight_gradient_penalty (published: 10), spectral or, where the method has it, weight_clip"
            )
        return self
