"""What every translation method's recipe has; a method adds its own settings to it."""

from typing import Literal, Self

from pydantic import Field

from medgan.settings.base import Odd, Settings


class Recipe(Settings):
    """Settings of one method's training, with the values its paper gives as defaults."""

    total_steps: int = Field(default=100_000, ge=0, description="Optimizer steps of each group")
    batch_size: int = Field(default=1, ge=1)
    crop_px: int | None = Field(
        default=None,
        ge=16,
        description="Random square crop; none takes the whole padded image. Where shapes differ between the domains, "
        "choose one that fits into all: padding would tell a discriminator the domain",
    )
    flips: tuple[Literal["horizontal", "vertical"], ...] = Field(
        default=(), description="Random flips; off where laterality matters"
    )
    learning_rate: float = Field(default=2e-4, gt=0)
    optimizer: Literal["adam", "sgd"] = Field(
        default="adam", description="sgd is plain gradient descent, with the first of betas as momentum"
    )
    betas: tuple[float, float] = (0.5, 0.999)
    decay_from: float = Field(default=0.5, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="Average the generators' weights; translation then uses the average"
    )
    neighbours: Odd = Field(default=1, ge=1, description="2.5D: slices in the channels, odd; 1 is plain 2D")

    @classmethod
    def tiny(cls) -> Self:
        """Settings small enough to try the method's code on images of 32 px in a second.

        A method with networks overrides this with narrow ones; its quality is of no matter.
        """
        return cls(total_steps=2, crop_px=32)
