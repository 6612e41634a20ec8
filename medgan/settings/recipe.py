"""What every translation method's recipe has; a method adds its own settings to it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from medgan.settings.base import Odd, Settings


class Preset(NamedTuple):
    """Named settings of a method: a variant that has a name of its own in the field.

    Args:
        summary: What it is, in one line.
        settings: Those that differ from the recipe's defaults; none that only make networks larger or smaller.
        paper: Where it comes from, if not from the method's paper.
    """

    summary: str
    settings: Mapping[str, Any]
    paper: str = ""


class Recipe(Settings):
    """Settings of one method's training, with the values its paper gives as defaults."""

    presets: ClassVar[Mapping[str, Preset]] = {}

    preset: str | None = Field(
        default=None,
        description="named settings to start from, listed by `medgan methods`; whatever stands beside it goes first",
    )
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
    optimizer: Literal["adam", "sgd", "rmsprop"] = Field(
        default="adam", description="sgd is plain gradient descent, with the first of betas as momentum"
    )
    betas: tuple[float, float] = (0.5, 0.999)
    decay_from: float = Field(default=0.5, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="Average the generators' weights; translation then uses the average"
    )
    neighbours: Odd = Field(default=1, ge=1, description="2.5D: slices in the channels, odd; 1 is plain 2D")

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("preset") is None:
            return given
        if given["preset"] not in cls.presets:
            raise ValueError(f"no preset {given['preset']!r}; there are {', '.join(sorted(cls.presets)) or 'none'}")
        return {**cls.presets[given["preset"]].settings, **given}

    @property
    def makes_pairs(self) -> bool:
        """Whether a method that needs pairs makes them itself, out of domain b, under these settings."""
        return False

    @classmethod
    def tiny(cls) -> Self:
        """Settings small enough to try the method's code on images of 32 px in a second.

        A method with networks overrides this with narrow ones; its quality is of no matter.
        """
        return cls(total_steps=2, crop_px=32)
