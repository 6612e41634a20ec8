"""What is compared between two domains, image by image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import obliquity

from medgan.imaging.image import Image
from medgan.transforms.prepare import Prepared, restore_label
from medgan.transforms.volume import AXIS_CODES

PERCENTILES = (1, 50, 99)
_BODY_HU = -500
_MOST_VALUES = 400_000
_LOSSY = "jpeg"


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """Facts of one image.

    Args:
        case_id: Whose they are.
        format: As stored, such as ``"jpeg"``.
        kind: Such as ``"RGB photograph"``.
        dtype: As stored, such as ``"uint8"``.
        unit: Of its values.
        size: Pixels along (H, W), or voxels along superior, posterior, left.
        spacing_mm: Volumes: along superior, posterior, left.
        axis_codes: Volumes: as stored.
        oblique_deg: Volumes: largest angle between an axis of the grid and of the patient.
        percentiles: 1, 50 and 99 % of the values within the field, mean of the channels.
        field_share: Share of the image that is field of view or patient.
        label_shares: Share of the image that each mask value but 0 covers; None without a mask.
    """

    case_id: str
    format: str
    kind: str
    dtype: str
    unit: str
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    axis_codes: str
    oblique_deg: float
    percentiles: tuple[float, float, float]
    field_share: float
    label_shares: dict[int, float] | None

    @property
    def extent_mm(self) -> tuple[float, ...] | None:
        """Volumes: field of view along superior, posterior, left."""
        if self.spacing_mm is None:
            return None
        return tuple(count * step for count, step in zip(self.size, self.spacing_mm, strict=True))

    @property
    def is_lossy(self) -> bool:
        """Whether it is stored as JPEG."""
        return self.format == _LOSSY


def facts_of(case_id: str, image: Image, prepared: Prepared, label: npt.NDArray[Any] | None) -> CaseFacts:
    """Gather the facts of an image as read, with the field that its preparation found."""
    field = restore_label(prepared.field.astype(np.uint8), prepared.trace) > 0
    if prepared.trace.preset == "ct":
        field = image.pixels[0] > _BODY_HU
    order, codes, angle = _axes(image)
    return CaseFacts(
        case_id=case_id,
        format=image.stored.format,
        kind=kind_of_image(image),
        dtype=image.stored.dtype,
        unit=image.stored.unit,
        size=tuple(image.pixels.shape[1 + axis] for axis in order),
        spacing_mm=spacing_along_patient(image),
        axis_codes=codes,
        oblique_deg=angle,
        percentiles=_percentiles(image, field),
        field_share=float(field.mean()),
        label_shares=None if label is None else _shares(label),
    )


def kind_of_image(image: Image) -> str:
    """What cannot be mixed in one batch, in words.

    Returns:
        Such as ``"grey photograph"``, ``"RGB photograph"`` or ``"grey volume"``.
    """
    colour = {1: "grey", 3: "RGB"}.get(image.channels, f"{image.channels}-channel")
    return f"{colour} {'volume' if image.is_volume else 'photograph'}"


def spacing_along_patient(image: Image) -> tuple[float, float, float] | None:
    """Spacing along superior, posterior, left; None for a photograph."""
    if image.geometry is None:
        return None
    spacing = image.geometry.spacing_mm
    first, second, third = _axes(image)[0]
    return spacing[first], spacing[second], spacing[third]


def _axes(image: Image) -> tuple[tuple[int, ...], str, float]:
    """Which array axis runs along each axis of the prepared grid, the codes, and how far they are turned away."""
    if image.geometry is None:
        return (0, 1), "", 0.0
    codes = image.geometry.axis_codes
    opposite = dict(zip("SIPALR", "ISAPRL", strict=True))
    order = tuple(next(at for at, code in enumerate(codes) if code in {name, opposite[name]}) for name in AXIS_CODES)
    return order, codes, float(np.degrees(np.abs(obliquity(image.geometry.affine))).max())


def _percentiles(image: Image, field: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    values = image.pixels.mean(axis=0)[field] if field.any() else image.pixels.mean(axis=0).ravel()
    thinned = values[:: max(1, values.size // _MOST_VALUES)]
    low, middle, high = (float(value) for value in np.percentile(thinned, PERCENTILES))
    return low, middle, high


def _shares(label: npt.NDArray[Any]) -> dict[int, float]:
    values, counts = np.unique(label, return_counts=True)
    return {int(value): int(count) / label.size for value, count in zip(values, counts, strict=True) if value != 0}
