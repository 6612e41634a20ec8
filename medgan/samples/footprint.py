"""How much disk a prepared case will take, told from its file's header alone."""

import math
from pathlib import Path

from medgan.imaging.container import kind_of
from medgan.settings.preparation import Preparation

_PER_CASE = 16_384
"""Bytes of headers, sidecar and folder."""


def predicted_bytes(image: Path, preparation: Preparation, *, has_label: bool) -> int:
    """Predict the disk that a prepared case takes at most, or 0 where the header cannot be read.

    Args:
        image: The file or DICOM folder.
        preparation: How it will be prepared.
        has_label: Whether a label image is stored with it; up to 4 bytes a pixel.
    """
    try:
        values, pixels = _grid(image, preparation)
    except Exception:  # noqa: BLE001 - whatever is wrong with the file, the reader will say it better
        return 0
    return 4 * values + pixels * (5 if has_label else 1) + _PER_CASE


def translated_bytes(image: Path, mask: Path | None) -> int:
    """Predict the disk that a translated image and the copy of its mask take at most; without what cannot be told.

    Args:
        image: The source, whose format and grid the translated image has.
        mask: Its mask, if it has one.
    """
    copied = sum(part.stat().st_size for part in _files(mask)) if mask is not None else 0
    try:
        values, _ = _grid(image, Preparation(preset="photograph"))
        return values * _bytes_of_value(image) + copied + _PER_CASE * len(_files(image))
    except Exception:  # noqa: BLE001 - whatever is wrong with the file, the reader will say it better
        return copied


def _bytes_of_value(image: Path) -> int:
    """Bytes of a value as stored; a whole pixel may be less, as in a palette, and is then told too large."""
    kind = kind_of(image)
    if kind == "nifti":
        from medgan.imaging.nifti_bytes import read_nifti_head

        header, _ = read_nifti_head(image)
        return int(header["bitpix"]) // 8
    if kind == "dicom":
        return 2
    from PIL import Image as Picture

    with Picture.open(image) as picture:
        return 2 if picture.mode.startswith("I") else 1


def _files(path: Path) -> list[Path]:
    return [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path] * path.is_file()


def _grid(image: Path, preparation: Preparation) -> tuple[int, int]:
    """Number of values (with channels) and of pixels after preparation."""
    kind = kind_of(image)
    if kind == "nifti":
        from medgan.imaging.nifti_bytes import read_nifti_head

        header, _ = read_nifti_head(image)
        voxels = _resampled(header.get_data_shape()[:3], header.get_zooms()[:3], preparation.spacing_mm)
        return voxels, voxels
    if kind == "dicom":
        voxels = _dicom_voxels(image, preparation.spacing_mm)
        return voxels, voxels
    from PIL import Image as Picture

    with Picture.open(image) as picture:
        width, height = picture.size
        channels = 1 if picture.mode in ("1", "L", "I", "F", "I;16", "I;16B") else 3
    pixels = _picture_pixels(width, height, preparation)
    return pixels * channels, pixels


def _picture_pixels(width: int, height: int, preparation: Preparation) -> int:
    size, longer = preparation.size_px, max(width, height)
    if preparation.preset == "fundus":
        # the crop to the field of view is a square, padded where it reaches beyond the picture
        return (size or longer) ** 2
    return width * height if size is None else size * math.ceil(size * min(width, height) / longer)


def _dicom_voxels(image: Path, wanted_mm: tuple[float, float, float] | None) -> int:
    import pydicom

    files = sorted(path for path in image.rglob("*") if path.is_file()) if image.is_dir() else [image]
    for path in files:
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_TAGS])
        except pydicom.errors.InvalidDicomError:
            continue
        frames = int(header.get("NumberOfFrames", 1)) * len(files)
        in_plane = [float(value) for value in header.get("PixelSpacing", [1.0, 1.0])]
        between = float(header.get("SpacingBetweenSlices", header.get("SliceThickness", None) or 1.0))
        return _resampled((frames, int(header.Rows), int(header.Columns)), (between, *in_plane), wanted_mm)
    raise ValueError("no DICOM file")


_TAGS = ("NumberOfFrames", "PixelSpacing", "SpacingBetweenSlices", "SliceThickness", "Rows", "Columns")


def _resampled(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], wanted_mm: tuple[float, float, float] | None
) -> int:
    voxels = math.prod(int(size) for size in shape)
    if wanted_mm is None:
        return voxels
    grown = voxels * math.prod(float(value) for value in spacing_mm) / math.prod(wanted_mm)
    # each side is rounded up, by a slice at most
    return math.ceil(grown * 1.1)
