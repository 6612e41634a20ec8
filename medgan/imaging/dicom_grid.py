"""Frames of a DICOM series in order, and the grid that they make."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medgan.errors import GeometryError, ReadError
from medgan.imaging.dicom_files import Frame
from medgan.imaging.geometry import Geometry
from medgan.imaging.image import Pixels

_SAME_DIRECTION = 1e-3
_SAME_PLACE_MM = 1e-3
_EVEN_SHARE = 0.02
_EVEN_MM = 0.02


def in_order(frames: Sequence[Frame], pixels: Sequence[Pixels], where: Path) -> tuple[list[int], list[str]]:
    """Sort frames along their normal and drop exact duplicates.

    Args:
        frames: In any order.
        pixels: Stored numbers of each, (H, W).
        where: For messages.

    Returns:
        Indices of the frames kept, and notes.

    Raises:
        ReadError: R026 frames of different planes or sizes, R027 different images in one place.
    """
    _refuse_mixed(frames, where)
    heights = [_height(frame, frames[0]) for frame in frames]
    kept: list[int] = []
    dropped = 0
    for index in np.argsort(heights, kind="stable").tolist():
        if not kept or heights[index] - heights[kept[-1]] > _SAME_PLACE_MM:
            kept.append(index)
            continue
        if not _are_equal(frames, pixels, index, kept[-1]):
            raise ReadError(
                "R027",
                "different images in the same place",
                where=str(where),
                got=f"{frames[kept[-1]].path.name} and {frames[index].path.name} at {heights[index]:.2f} mm",
                expected="one image a place",
                remedy="keep one time point, echo or reconstruction in the folder",
            )
        dropped += 1
    return kept, [f"{dropped} duplicate slices dropped"] if dropped else []


def grid_of(frames: Sequence[Frame], where: Path) -> Geometry:
    """The grid of ordered frames, for an array (D, H, W).

    Raises:
        ReadError: R024 thickness unknown, R028 a slice is missing, R029 uneven spacing.
        GeometryError: G012, if the slices are stacked askew, as with a tilted gantry.
    """
    first, last = frames[0], frames[-1]
    if len(frames) > 1:
        _refuse_gaps(frames, where)
        step = (last.position - first.position) / (len(frames) - 1)
    elif first.thickness_mm is not None:
        step = _normal(first) * first.thickness_mm
    else:
        raise ReadError("R024", "a single slice without SliceThickness", where=str(where))
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = first.orientation[1] * first.spacing_mm[0]
    affine[:3, 2] = first.orientation[0] * first.spacing_mm[1]
    affine[:3, 3] = first.position
    affine[:2] *= -1  # DICOM's LPS to RAS
    try:
        return Geometry(affine)
    except GeometryError as error:
        raise GeometryError(error.code, error.what, where=str(where), got=error.got, remedy=error.remedy) from error


def _normal(frame: Frame) -> Pixels:
    return np.cross(frame.orientation[0], frame.orientation[1])


def _height(frame: Frame, first: Frame) -> float:
    return float(frame.position @ _normal(first))


def _are_equal(frames: Sequence[Frame], pixels: Sequence[Pixels], one: int, other: int) -> bool:
    same_scale = (frames[one].slope, frames[one].intercept) == (frames[other].slope, frames[other].intercept)
    same_place = np.allclose(frames[one].position, frames[other].position, atol=_SAME_PLACE_MM)
    return same_scale and same_place and np.array_equal(pixels[one], pixels[other])


def _refuse_mixed(frames: Sequence[Frame], where: Path) -> None:
    first = frames[0]
    size = (first.dataset.Rows, first.dataset.Columns)
    for frame in frames[1:]:
        same = (
            (frame.dataset.Rows, frame.dataset.Columns) == size
            and np.allclose(frame.orientation, first.orientation, rtol=0, atol=_SAME_DIRECTION)
            and np.allclose(frame.spacing_mm, first.spacing_mm, rtol=1e-3)
        )
        if not same:
            raise ReadError(
                "R026",
                "slices of different planes or sizes in one series",
                where=str(where),
                got=f"{frame.path.name}: {frame.dataset.Rows} x {frame.dataset.Columns}, "
                f"direction {np.round(frame.orientation, 3).ravel().tolist()}",
                expected=f"{size[0]} x {size[1]}, {np.round(first.orientation, 3).ravel().tolist()} "
                f"as in {first.path.name}",
                remedy="take localizers and other stacks out of the folder",
            )


def _refuse_gaps(frames: Sequence[Frame], where: Path) -> None:
    heights = np.array([_height(frame, frames[0]) for frame in frames])
    gaps = np.diff(heights)
    step = float(gaps.min())
    tolerance = max(_EVEN_MM, _EVEN_SHARE * step)
    if (np.abs(gaps - step) <= tolerance).all():
        _refuse_crooked(frames, where)
        return
    counts = np.rint(gaps / step)
    if (np.abs(gaps - counts * step) <= tolerance * counts).all():
        missing = [
            float(low + step * (k + 1))
            for low, count in zip(heights[:-1], counts, strict=True)
            for k in range(int(count) - 1)
        ]
        shown = ", ".join(f"{height:.2f}" for height in missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise ReadError(
            "R028",
            "slices are missing",
            where=str(where),
            got=f"{len(missing)} missing at {shown} mm along the normal, of a spacing of {step:.3g} mm",
            remedy="export the series again",
        )
    raise ReadError(
        "R029",
        "slices are missing or not evenly spaced",
        where=str(where),
        got=f"gaps from {step:.3g} to {gaps.max():.3g} mm",
        expected="one gap",
        remedy="export the series again, or resample it on an even grid",
    )


def _refuse_crooked(frames: Sequence[Frame], where: Path) -> None:
    """Slices must lie on one line, or the grid's first axis is none."""
    positions = np.array([frame.position for frame in frames])
    line = positions[0] + np.linspace(0, 1, len(frames))[:, None] * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > max(_EVEN_MM, 0.05 * min(frames[0].spacing_mm)):
        raise ReadError(
            "R029", "slices do not lie on one line", where=str(where), got=f"{off:.3g} mm aside", expected="one line"
        )
