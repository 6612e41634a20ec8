"""What every phantom study does with its files: check the request, save photographs and labels, write the manifest."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from medgan.errors import SettingsError
from medgan.manifests.manifest import Case, Manifest, write_manifest

_SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
_SMALLEST_PX = 16


def check_request(*, subjects: int, size_px: int, image_format: str = "png") -> None:
    """Refuse a study that cannot be made.

    Raises:
        SettingsError: S060 for too few subjects, too few pixels or an unknown file format.
    """
    if subjects < 1:
        raise SettingsError("S060", "a phantom study has no subject", got=str(subjects), expected="subjects >= 1")
    if size_px < _SMALLEST_PX:
        raise SettingsError(
            "S060",
            "phantom images are too small to show anything",
            got=f"{size_px} px",
            expected=f">= {_SMALLEST_PX} px",
        )
    if image_format not in _SUFFIXES:
        raise SettingsError(
            "S060",
            "unknown file format for phantom photographs",
            got=repr(image_format),
            expected="one of " + ", ".join(_SUFFIXES),
        )


def save_photograph(root: Path, stem: str, *, pixels: npt.NDArray[np.uint8], image_format: str) -> str:
    """Save an RGB photograph (3, H, W) as PNG or as JPEG of quality 95; returns its path below ``root``."""
    path = root / (stem + _SUFFIXES[image_format])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    if image_format == "jpeg":
        picture.save(path, quality=95)
    else:
        picture.save(path, compress_level=4)
    return path.relative_to(root).as_posix()


def save_labels(root: Path, stem: str, *, labels: npt.NDArray[np.generic]) -> str:
    """Save integer labels (H, W) as a grey PNG that holds the label values; returns its path below ``root``."""
    path = root / (stem + ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.ascontiguousarray(labels.astype(np.uint8))).save(path)
    return path.relative_to(root).as_posix()


def finish(root: Path, cases: Iterable[Case]) -> Path:
    """Write ``manifest.csv`` below ``root`` and return its path."""
    path = root / "manifest.csv"
    write_manifest(Manifest(cases=tuple(cases), root=root), path)
    return path


def to_levels(colour: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Round colours in [0, 1] to levels 0-255; what lies outside is clipped, as a camera does."""
    return np.asarray(np.clip(np.rint(colour * 255.0), 0, 255), dtype=np.uint8)
