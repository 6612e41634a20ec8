"""Frames of a DICOM series in order, and the grid that they make."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, ReadError
from medgan.imaging.dicom_files import Frame
from medgan.imaging.geometry import Geometry
from medgan.imaging.image import Pixels

_SAME_DIRECTION = 1e-3
_SAME_PLACE_MM = 1e-3
_EVEN_SHARE = 0.02
_EVEN_MM = 0.02
_UPRIGHT = 1e-3
_MOST_LISTED = 5

Decode = Callable[[Frame], Pixels]


def in_order(frames: Sequence[Frame], decode: Decode, where: Path) -> tuple[list[int], int]:
    """Sort frames along their normal and drop exact duplicates.

    Args:
        frames: In any order.
        decode: Gives a frame's stored numbers, (H, W); asked only where two frames lie in one place.
        where: For messages.

    Returns:
        Indices of the frames kept, and how many duplicates were dropped.

    Raises:
        ReadError: R026 frames of different planes or sizes, R027 different images in one place.
    """
    _refuse_mixed(frames, where)
    heights = _heights(frames).tolist()
    kept: list[int] = []
    dropped = 0
    for index in np.argsort(heights, kind="stable").tolist():
        if not kept or heights[index] - heights[kept[-1]] > _SAME_PLACE_MM:
            kept.append(index)
            continue
        if not are_equal(frames[index], frames[kept[-1]], decode):
            raise different_in_one_place(frames[kept[-1]], frames[index], where)
        dropped += 1
    return kept, dropped


def are_equal(one: Frame, other: Frame, decode: Decode) -> bool:
    """Whether two frames lie in one place and hold the same values."""
    same_scale = (one.slope, one.intercept) == (other.slope, other.intercept)
    same_place = one.size_px == other.size_px and np.allclose(one.position, other.position, atol=_SAME_PLACE_MM)
    return same_scale and same_place and np.array_equal(decode(one), decode(other))


def different_in_one_place(one: Frame, other: Frame, where: Path) -> ReadError:
    """What to say where nothing tells two images of one place apart."""
    return ReadError(
        "R027",
        "different images in the same place",
        where=str(where),
        got=f"{one.path.name} and {other.path.name} at {_height(other, one):.2f} mm",
        expected="one image a place",
        remedy="their headers do not tell them apart: keep one time point, echo or reconstruction in the folder",
    )


def grid_of(frames: Sequence[Frame], where: Path) -> Geometry:
    """The grid of ordered frames, for an array (D, H, W).

    Raises:
        ReadError: R024 thickness unknown, R028 a slice is missing, R029 uneven spacing.
        GeometryError: G013 a tilted gantry, G014 slices beside one line, G010 or G011.
    """
    first, last = frames[0], frames[-1]
    if len(frames) > 1:
        _refuse_gaps(frames, where)
        _refuse_crooked(frames, where)
        _refuse_tilt(frames, where)
        step = (last.position - first.position) / (len(frames) - 1)
    elif first.thickness_mm is not None:
        step = _normal(first) * first.thickness_mm
    else:
        raise ReadError("R024", "a single slice without SliceThickness", where=str(where))
    affine = np.eye(4)
    affine[:3, 0] = step
    down, right = (direction / np.linalg.norm(direction) for direction in (first.orientation[1], first.orientation[0]))
    affine[:3, 1] = down * first.spacing_mm[0]
    affine[:3, 2] = right * first.spacing_mm[1]
    affine[:3, 3] = first.position
    affine[:2] *= -1  # DICOM's LPS to RAS
    try:
        return Geometry(affine)
    except GeometryError as error:
        raise GeometryError(error.code, error.what, where=str(where), got=error.got, remedy=error.remedy) from error


def _normal(frame: Frame) -> Pixels:
    normal = np.cross(frame.orientation[0], frame.orientation[1])
    return np.asarray(normal / np.linalg.norm(normal))


def _heights(frames: Sequence[Frame]) -> npt.NDArray[np.float64]:
    """Places along the first frame's normal, in millimetres."""
    return np.array([frame.position for frame in frames]) @ _normal(frames[0])


def _height(frame: Frame, first: Frame) -> float:
    return float(frame.position @ _normal(first))


def _refuse_mixed(frames: Sequence[Frame], where: Path) -> None:
    first = frames[0]
    directions = np.array([frame.orientation for frame in frames])
    spacings = np.array([frame.spacing_mm for frame in frames])
    same = (np.abs(directions - first.orientation) <= _SAME_DIRECTION).all(axis=(1, 2))
    same &= (np.abs(spacings - first.spacing_mm) <= 1e-3 * spacings[0]).all(axis=1)
    same &= [frame.size_px == first.size_px for frame in frames]
    if same.all():
        return
    odd = frames[int(np.argmin(same))]
    raise ReadError(
        "R026",
        "slices of different planes or sizes in one series",
        where=str(where),
        got=f"{odd.path.name}: {_plane(odd)}",
        expected=f"{_plane(first)} as in {first.path.name}",
        remedy="take localizers and other stacks out of the folder",
    )


def _plane(frame: Frame) -> str:
    rows, columns = frame.size_px
    direction = np.round(frame.orientation, 3).ravel().tolist()
    return f"{rows} x {columns}, spacing {frame.spacing_mm[0]:g} x {frame.spacing_mm[1]:g} mm, direction {direction}"


def _refuse_gaps(frames: Sequence[Frame], where: Path) -> None:
    heights = _heights(frames)
    gaps = np.diff(heights)
    least = float(gaps.min())
    if (np.abs(gaps - least) <= _tolerance(least)).all():
        return
    counts = np.rint(gaps / least)
    if (np.abs(gaps - counts * least) <= _tolerance(least) * counts).all():
        raise _missing(heights, counts, least, where)
    raise ReadError(
        "R029",
        "slices are not evenly spaced, or missing",
        where=str(where),
        got=f"gaps from {least:.3g} to {gaps.max():.3g} mm",
        expected="one gap",
        remedy="export the series again, or resample it on an even grid",
    )


def _tolerance(step: float) -> float:
    return max(_EVEN_MM, _EVEN_SHARE * step)


def _missing(heights: Pixels, counts: Pixels, step: float, where: Path) -> ReadError:
    missing = [
        float(low + step * (k + 1))
        for low, count in zip(heights[:-1], counts, strict=True)
        for k in range(int(min(count, _MOST_LISTED + 1)) - 1)
    ]
    total = int(counts.sum()) - len(counts)
    shown = ", ".join(f"{height:.2f}" for height in missing[:_MOST_LISTED]) + (" ..." if total > _MOST_LISTED else "")
    return ReadError(
        "R028",
        "slices are missing",
        where=str(where),
        got=f"{total} missing at {shown} mm along the normal, of a spacing of {step:.3g} mm",
        remedy="export the series again",
    )


def _refuse_crooked(frames: Sequence[Frame], where: Path) -> None:
    """Slices must lie on one line, or the grid's first axis is none."""
    positions = np.array([frame.position for frame in frames])
    line = positions[0] + np.linspace(0, 1, len(frames))[:, None] * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > max(_EVEN_MM, 0.05 * min(frames[0].spacing_mm)):
        raise GeometryError(
            "G014",
            "slices do not lie on one line",
            where=str(where),
            got=f"{off:.3g} mm beside it",
            expected="one line",
            remedy="resample the series on a rectangular grid",
        )


def _refuse_tilt(frames: Sequence[Frame], where: Path) -> None:
    """Slices stacked askew, as a CT with a tilted gantry stacks them, make a sheared grid."""
    step = frames[-1].position - frames[0].position
    normal = _normal(frames[0])
    aside = float(np.linalg.norm(step - (step @ normal) * normal)) / float(np.linalg.norm(step))
    if aside > _UPRIGHT:
        raise GeometryError(
            "G013",
            "the slices are stacked askew, as with a tilted gantry",
            where=str(where),
            got=f"{math.degrees(math.asin(min(aside, 1.0))):.2f} degrees between their normal and their line",
            expected="0 degrees",
            remedy="resample the series on a rectangular grid (a converter's tilt correction does it)",
        )
