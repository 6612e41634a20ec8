"""How the images of a study are prepared, by modality."""

from typing import Literal

from pydantic import Field

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
    max_megapixels: float = Field(default=50.0, gt=0, description="Photographs larger than this are refused")
