"""How the images of a study are prepared, by modality."""

from typing import Literal, Self

from pydantic import Field, model_validator

from medgan.settings.base import Settings


class Preparation(Settings):
    """One modality's deterministic preparation.

    ``fundus`` finds the field of view, crops to it and keeps the aspect ratio. ``photograph`` (dermoscopy and clinical
    photographs) keeps the whole picture. ``mr`` scales each volume by its own percentiles inside the foreground.
    ``ct`` uses one window in HU for all.
    """

    preset: Literal["fundus", "photograph", "mr", "ct"]
    size_px: int | None = Field(
        default=None, ge=16, le=4096, description="Photographs: the longer side after resizing; none keeps the size"
    )
    spacing_mm: tuple[float, float, float] | None = Field(
        default=None, description="Volumes: resample to this spacing along (D, H, W); none keeps the grid"
    )
    window_hu: tuple[float, float] = Field(default=(-1024.0, 3071.0), description="CT: what maps to [-1, 1]")
    percentiles: tuple[float, float] = Field(
        default=(0.0, 99.5),
        description="MR: percentiles of the foreground that map to -1 and 1; what lies above is clipped and counted",
    )
    fill_not_finite: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Volumes: value in units that NaN and infinite voxels are given; none refuses such volumes",
    )
    max_megapixels: float = Field(default=50.0, gt=0, description="Photographs larger than this are refused")

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles: {self.percentiles} are not two rising numbers from 0 to 100")
        if not self.window_hu[0] < self.window_hu[1]:
            raise ValueError(f"window_hu: {self.window_hu} does not rise")
        if self.spacing_mm is not None and min(self.spacing_mm) <= 0:
            raise ValueError(f"spacing_mm: {self.spacing_mm} is not positive")
        return self

    @property
    def is_volume(self) -> bool:
        """Whether images are volumes in space."""
        return self.preset in {"mr", "ct"}
