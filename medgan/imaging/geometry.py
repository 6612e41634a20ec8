"""The grid of a volume in space, its reorientation and its inverse."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError

Affine = npt.NDArray[np.float64]


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
        GeometryError: G010 not finite, G011 singular, G012 sheared by more than 0.1 %.
    """
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError("G010", "affine is not a finite 4 x 4 matrix", got=np.array2string(affine, precision=3))
    columns = affine[:3, :3]
    lengths = np.sqrt((columns**2).sum(axis=0))
    if (lengths <= 1e-6).any() or abs(np.linalg.det(columns / np.maximum(lengths, 1e-12))) < 1e-3:
        raise GeometryError("G011", "affine is singular", got=np.array2string(affine, precision=3))
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
        The array and its new grid. Calling again with the old codes gives back the input exactly.
    """
    start = nib.orientations.io_orientation(geometry.affine)
    end = nib.orientations.axcodes2ornt(tuple(axis_codes))
    change = nib.orientations.ornt_transform(start, end)
    moved = np.moveaxis(nib.orientations.apply_orientation(np.moveaxis(array, 0, -1), change), -1, 0)
    affine = geometry.affine @ nib.orientations.inv_ornt_aff(change, array.shape[1:])
    return np.ascontiguousarray(moved), Geometry(affine)


def same_place(first: Geometry, second: Geometry, *, tolerance: float = 0.1) -> bool:
    """Whether two grids of one shape lie in the same place: origin to a tenth of a voxel, axes to a hundredth."""
    smallest = min(first.spacing_mm)
    shift = np.abs(first.affine[:3, 3] - second.affine[:3, 3]).max()
    turn = np.abs(first.affine[:3, :3] - second.affine[:3, :3]).max()
    return bool(shift <= tolerance * smallest and turn <= 0.01 * smallest)
