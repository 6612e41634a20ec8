"""Read a DICOM series: one volume in units, in the order and on the grid that its headers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, frames_of, load_files
from medgan.imaging.dicom_grid import grid_of, in_order
from medgan.imaging.dicom_pixels import stored_frames, stored_limits
from medgan.imaging.image import Image, Pixels, StoredAs


@dataclass(frozen=True)
class Series:
    """The frames of a series in order, with their stored numbers.

    Args:
        frames: Along the normal; duplicates dropped.
        stored: (D, H, W), as stored, before the rescale.
        notes: What was left out.
    """

    frames: tuple[Frame, ...]
    stored: Pixels
    notes: tuple[str, ...]


def read_dicom(
    path: Path, *, series: str | None = None, volume: int | None = None, max_megapixels: float = 50.0
) -> Image:
    """Read one series, classic or enhanced, compressed or not.

    Slices are ordered along their normal, never by name or number. Rescale is applied: whole slopes and intercepts
    keep integers. MONOCHROME1 says how values are shown, not what they mean: they stay as they are, noted.

    Args:
        path: A folder with one series, or one file.
        series: Which series.
        volume: Which volume of several in one series.
        max_megapixels: As for photographs.

    Returns:
        Pixels (1, D, H, W) in HU for CT, else ``"a.u."`` or what the header names.

    Raises:
        ReadError: R004 truncated, R010 kind of image, R020 to R030; see the modules that read files, pixels and grid.
        GeometryError: G010 to G012.
    """
    found = read_series(path)
    geometry = grid_of(found.frames, path)
    first = found.frames[0].dataset
    notes = [*found.notes]
    if str(first.get("PhotometricInterpretation")) == "MONOCHROME1":
        notes.append("MONOCHROME1: shown inverted; values are as stored")
    scales = {(frame.slope, frame.intercept) for frame in found.frames}
    slope, intercept = next(iter(scales)) if len(scales) == 1 else (1.0, 0.0)
    if len(scales) > 1:
        notes.append(f"{len(scales)} different rescales; each slice by its own")
    stored = StoredAs(
        format="dicom",
        dtype=found.stored.dtype.name,
        unit=_unit(found.frames[0]),
        slope=slope,
        intercept=intercept,
        modality=str(first.get("Modality") or ""),
        series=str(first.get("SeriesInstanceUID") or ""),
        notes=tuple(notes),
    )
    return Image(pixels=_in_units(found)[None], stored=stored, geometry=geometry, path=path)


def read_series(path: Path, *, whole: bool = False) -> Series:
    """Read the frames of a series in order.

    Args:
        path: A folder with one series, or one file.
        whole: Keep all elements of the datasets, for writing a derived series.
    """
    files, notes = load_files(path, whole=whole)
    try:
        frames = [frame for file, dataset in files for frame in frames_of(dataset, file)]
        decoded = [stored_frames(dataset, file) for file, dataset in files]
    except RecursionError as error:
        raise ReadError("R022", "sequences are nested too deep", where=str(path)) from error
    pixels = [frame for file in decoded for frame in file]
    if len({array.dtype for array in pixels}) > 1:
        raise ReadError("R026", "slices of different types in one series", where=str(path))
    kept, said = in_order(frames, pixels, path)
    said += _count_notes(files[0][1].get("NumberOfSeriesRelatedInstances"), len(files), path)
    said += _acquisition_notes(files[0][1].get("ImagesInAcquisition"), len(files))
    stored = np.stack([pixels[index] for index in kept])
    return Series(tuple(frames[index] for index in kept), stored, (*notes, *said))


def _count_notes(announced: object, found: int, path: Path) -> list[str]:
    if announced is not None and str(announced).isdigit() and int(str(announced)) > found:
        raise ReadError(
            "R028",
            "slices are missing",
            where=str(path),
            got=f"{found} files",
            expected=f"{announced} by NumberOfSeriesRelatedInstances",
            remedy="export the series again",
        )
    return []


def _acquisition_notes(announced: object, found: int) -> list[str]:
    if announced is not None and str(announced).isdigit() and int(str(announced)) > found:
        return [f"{found} files, while the header speaks of {announced} images in the acquisition"]
    return []


def _unit(frame: Frame) -> str:
    kind = str(frame.dataset.get("RescaleType") or "")
    if str(frame.dataset.get("Modality")) == "CT" and kind in ("", "HU", "US"):
        return "HU"
    return kind if kind not in ("", "US") else str(frame.dataset.get("Units") or "a.u.")


def _in_units(series: Series) -> Pixels:
    frames: Sequence[Frame] = series.frames
    scales = {(frame.slope, frame.intercept) for frame in frames}
    if len(scales) == 1:
        slope, intercept = next(iter(scales))
        if (slope, intercept) == (1.0, 0.0):
            return series.stored
        if slope.is_integer() and intercept.is_integer():
            return _whole(series, int(slope), int(intercept))
    slopes = np.array([frame.slope for frame in frames])[:, None, None]
    intercepts = np.array([frame.intercept for frame in frames])[:, None, None]
    return np.asarray(series.stored * slopes + intercepts, dtype=np.float32)


def _whole(series: Series, slope: int, intercept: int) -> Pixels:
    """Rescale in integers, in 16 bits where BitsStored says that they suffice."""
    ends = [slope * end + intercept for end in stored_limits(series.frames[0].dataset)]
    small = min(ends) >= -(2**15) and max(ends) < 2**15
    wide = series.stored.astype(np.int64) * slope + intercept
    return wide.astype(np.int16 if small else np.int32 if max(map(abs, ends)) < 2**31 else np.int64)
