"""The grid of a volume in space, its reorientation and its inverse."""

import itertools
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError

Affine = npt.NDArray[np.float64]

_LARGEST_MM = 1e9  # a thousand kilometres: what is beyond is a damaged number


@dataclass(frozen=True)
class Geometry:
    """Grid of a volume whose array is (D, H, W).

    Args:
        affine: 4 x 4, maps an array index (d, h, w, 1) to RAS+ millimetres.

    Raises:
        GeometryError: If the affine is not finite, is singular or is sheared.

    Example:
        >>> Geometry(np.diag([2.0, 1.0, 1.0, 1.0])).spacing_mm
        (2.0, 1.0, 1.0)
    """

    affine: Affine

    def __post_init__(self) -> None:
        check_affine(self.affine)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        return hash(self.affine.tobytes())

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along (D, H, W), in millimetres."""
        lengths = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return (float(lengths[0]), float(lengths[1]), float(lengths[2]))

    @property
    def axis_codes(self) -> str:
        """Direction in which each array axis grows, such as ``"SPL"``."""
        return "".join(nib.aff2axcodes(self.affine))


def check_affine(affine: Affine) -> None:
    """Refuse a matrix that is no grid.

    Raises:
        GeometryError: G010 not finite or beyond all measure, G011 singular, G012 sheared by more than 0.1 %.
    """
    if affine.shape != (4, 4) or not (np.abs(affine) <= _LARGEST_MM).all():
        raise GeometryError("G010", "affine is not a finite 4 x 4 matrix", got=_one_line(affine))
    columns = affine[:3, :3]
    lengths = np.sqrt((columns**2).sum(axis=0))
    if (lengths <= 1e-6).any() or abs(np.linalg.det(columns / np.maximum(lengths, 1e-12))) < 1e-3:
        raise GeometryError("G011", "affine is singular", got=_one_line(affine))
    cosines = (columns / lengths).T @ (columns / lengths)
    if np.abs(cosines - np.eye(3)).max() > 1e-3:
        raise GeometryError(
            "G012",
            "affine is sheared",
            got=f"cosine {np.abs(cosines - np.eye(3)).max():.4f} between two axes",
            remedy="resample the volume on a rectangular grid",
        )


def reorient(
    array: npt.NDArray[np.generic], geometry: Geometry, *, axis_codes: str
) -> tuple[npt.NDArray[np.generic], Geometry]:
    """Flip and permute a volume so that its axes grow along the given directions; no resampling.

    Args:
        array: Shape (C, D, H, W).
        geometry: Its grid.
        axis_codes: Wanted directions, such as ``"SPL"`` (slices upward, rows to the back, columns to the left:
            an axial slice then shows as radiologists hang it).

    Returns:
        The array and its new grid; :func:`turn_back` undoes it. (The old codes need not: of a grid turned by 45
        degrees two axes are as close to one direction, and rounding decides.)
    """
    moved, turned = reorient_view(array, geometry, axis_codes=axis_codes)
    return np.ascontiguousarray(moved), turned


def reorient_view(
    array: npt.NDArray[np.generic], geometry: Geometry, *, axis_codes: str
) -> tuple[npt.NDArray[np.generic], Geometry]:
    """As :func:`reorient`, but a view of the array, of which no voxel is copied."""
    start = nib.orientations.io_orientation(geometry.affine)
    end = nib.orientations.axcodes2ornt(tuple(axis_codes))
    change = nib.orientations.ornt_transform(start, end)
    moved = np.moveaxis(nib.orientations.apply_orientation(np.moveaxis(array, 0, -1), change), -1, 0)
    affine = geometry.affine @ nib.orientations.inv_ornt_aff(change, array.shape[1:])
    return moved, Geometry(affine)


def turn_back(array: npt.NDArray[np.generic], geometry: Geometry, *, to: Geometry) -> npt.NDArray[np.generic]:
    """Flip and permute a volume on a grid that has the same voxels in another order; no resampling.

    Args:
        array: Shape (C, D, H, W).
        geometry: Its grid.
        to: The grid wanted.

    Returns:
        The array on that grid. Undoes :func:`reorient` exactly, on every grid.

    Raises:
        GeometryError: G022, if the voxels of the two grids are not the same.
    """
    return np.ascontiguousarray(turn_back_view(array, geometry, to=to))


def turn_back_view(array: npt.NDArray[np.generic], geometry: Geometry, *, to: Geometry) -> npt.NDArray[np.generic]:
    """As :func:`turn_back`, but a view of the array, through which it can be filled slice by slice.

    Raises:
        GeometryError: G022, if the voxels of the two grids are not the same.
    """
    seen, grid = _turn_like_view(array, geometry, like=to)
    index = np.linalg.inv(grid.affine) @ to.affine
    if not (np.allclose(index[:3, :3], np.eye(3), atol=1e-3) and np.allclose(index[:3, 3], 0, atol=1e-2)):
        raise GeometryError(
            "G022",
            "the two grids have not the same voxels",
            got=_in_one_line(index[:3]),
            expected="axes in another order or direction",
        )
    return seen


def turn_like(
    array: npt.NDArray[np.generic], geometry: Geometry, *, like: Geometry
) -> tuple[npt.NDArray[np.generic], Geometry]:
    """Flip and permute a volume so that its axes come nearest to those of another grid; no resampling.

    Args:
        array: Shape (C, D, H, W).
        geometry: Its grid.
        like: The grid whose order and directions are wanted. It may be as oblique as it likes: axes are matched with
            one another and not with those of the body, which at 45 degrees could go either way.

    Returns:
        The array and its new grid, which lies where the old one did.
    """
    seen, grid = _turn_like_view(array, geometry, like=like)
    return np.ascontiguousarray(seen), grid


def same_place(first: Geometry, second: Geometry, *, tolerance: float = 0.1) -> bool:
    """Whether two grids of one shape lie in the same place: origin to a tenth of a voxel, axes to a hundredth."""
    smallest = min(first.spacing_mm)
    shift = np.abs(first.affine[:3, 3] - second.affine[:3, 3]).max()
    turn = np.abs(first.affine[:3, :3] - second.affine[:3, :3]).max()
    return bool(shift <= tolerance * smallest and turn <= 0.01 * smallest)


def _turn_like_view(
    array: npt.NDArray[np.generic], geometry: Geometry, *, like: Geometry
) -> tuple[npt.NDArray[np.generic], Geometry]:
    index = np.linalg.inv(geometry.affine) @ like.affine
    cosines = index[:3, :3] / np.linalg.norm(index[:3, :3], axis=0)
    sources = max(itertools.permutations(range(3)), key=lambda order: float(np.abs(cosines[order, range(3)]).sum()))
    signs = np.where(cosines[sources, range(3)] < 0, -1, 1)
    turn = np.eye(4)
    turn[:3, :3] = 0
    for axis, (source, sign) in enumerate(zip(sources, signs, strict=True)):
        turn[source, axis] = sign
        turn[source, 3] = array.shape[1 + source] - 1 if sign < 0 else 0
    moved = array.transpose(0, *(source + 1 for source in sources))
    seen = moved[(slice(None), *(slice(None, None, int(sign)) for sign in signs))]
    return seen, Geometry(geometry.affine @ turn)


def _in_one_line(matrix: Affine) -> str:
    return " ".join(np.array2string(matrix, precision=3).split())


def _one_line(matrix: Affine) -> str:
    return "[" + "; ".join(" ".join(f"{value:.4g}" for value in row) for row in np.atleast_2d(matrix)) + "]"
