"""An image: pixels, geometry, intensity scale and where it came from."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from medgan.errors import GeometryError
from medgan.imaging.geometry import Geometry

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class StoredAs:
    """How a file holds its pixels, so that a result can be written the same way.

    Args:
        format: ``"png"``, ``"jpeg"``, ``"tiff"``, ``"nifti"`` or ``"dicom"``.
        dtype: NumPy name of the type on disk, such as ``"int16"``.
        slope: Value in units = slope * stored + intercept.
        intercept: See ``slope``.
        unit: ``"HU"``, ``"a.u."`` (MR) or ``"level"`` (photographs).
        modality: DICOM modality such as ``"CT"``; empty where the format does not say.
        series: SeriesInstanceUID, by which a derived series finds its source again; empty for other formats.
        burned_in: Why the pixels may hold text, such as ``"BurnedInAnnotation YES"``; empty where nothing says so.
        filled: How many voxels were not finite and were given a value, as the study asks for.
        notes: What reading did that a reader would want to know, such as ``"EXIF orientation 6 applied"``.
    """

    format: str
    dtype: str
    unit: str
    slope: float = 1.0
    intercept: float = 0.0
    modality: str = ""
    series: str = field(default="", compare=False)
    burned_in: str = ""
    filled: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image in memory.

    Args:
        pixels: Values in units (rescale applied), shape (C, H, W) for a photograph or (C, D, H, W) for a volume.
            Photographs and masks keep their stored integer type; a volume is integer where its rescale is the
            identity, else float32.
        geometry: Grid in space; None for a photograph, which has no spacing.
        stored: How the file holds it.
        path: File or folder it was read from.
        full_shape: (H, W) of a photograph of which ``pixels`` are a smaller version, decoded so for speed; None where
            the pixels are the picture's own. Such an image can be prepared, but nothing can be restored on it.

    Raises:
        GeometryError: If the number of axes does not fit the geometry.
    """

    pixels: Pixels
    stored: StoredAs
    geometry: Geometry | None = None
    path: Path | None = field(default=None, compare=False)
    full_shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        axes = 3 if self.geometry is None else 4
        if self.pixels.ndim != axes:
            raise GeometryError(
                "G001",
                "wrong number of axes",
                where=str(self.path or "image"),
                got=str(self.pixels.shape),
                expected="(C, H, W)" if axes == 3 else "(C, D, H, W)",
            )

    @property
    def is_volume(self) -> bool:
        """Whether the image has a grid in space."""
        return self.geometry is not None

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """(H, W) of the picture or (D, H, W) of the volume: the grid on which its labels lie."""
        return self.full_shape or self.pixels.shape[1:]

    @property
    def channels(self) -> int:
        """Number of channels: 1 for grey, 3 for RGB."""
        return int(self.pixels.shape[0])

    def with_pixels(self, pixels: Pixels) -> "Image":
        """The same image with other pixels on the same grid."""
        return replace(self, pixels=pixels)
