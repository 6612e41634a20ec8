"""What the recipes of all downstream tasks have in common."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from medgan.discover import names
from medgan.settings.base import Odd, Settings
from medgan.transforms.augment import build


def _by_name(value: object) -> object:
    """Let a plain list of names stand for augmentations with their default settings."""
    return {name: {} for name in value} if isinstance(value, list | tuple) else value


def _known(value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    choices = names("medgan.transforms.augment")
    unknown = [name for name in value if name not in choices]
    if unknown:
        raise ValueError(f"no augmentation named {unknown[0]!r}; there are {', '.join(choices)}")
    build(value)  # refuses settings that an augmentation does not know
    return value


Augmentations = Annotated[dict[str, dict[str, Any]], BeforeValidator(_by_name), AfterValidator(_known)]


class TaskRecipe(Settings):
    """Settings that every downstream task has; learning rate and steps suit a few hundred cases."""

    total_steps: int = Field(default=2_000, ge=0, description="Optimizer steps; every arm takes the same number")
    batch_size: int = Field(default=8, ge=1)
    crop_px: int | None = Field(default=None, ge=16, description="Random square crop; none takes the whole image")
    neighbours: Odd = Field(default=1, ge=1, description="2.5D: slices in the channels, odd; 1 is plain 2D")
    learning_rate: float = Field(default=1e-3, gt=0)
    optimizer: Literal["adam", "sgd"] = Field(
        default="adam", description="sgd is plain gradient descent, with the first of betas as momentum"
    )
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    decay_from: float = Field(default=0.5, ge=0, le=1, description="Share of the steps after which the rate falls to 0")
    ema_decay: float | None = Field(default=None, gt=0, lt=1, description="Average the weights over the steps")
    augment: Augmentations = Field(
        default={"affine": {}},
        description="Names of augmentations, or names with their settings; flips only where sides do not matter",
    )
