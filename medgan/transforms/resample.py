"""Resample a volume on another grid."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medgan.imaging.geometry import Geometry
from medgan.imaging.image import Pixels

Shape = tuple[int, int, int]

_EXACT_IN_FLOAT32 = 2**24


def grid_of_spacing(
    geometry: Geometry, shape: Shape, *, spacing_mm: tuple[float, float, float]
) -> tuple[Geometry, Shape]:
    """The grid with another spacing that covers the same space, its centre unmoved.

    Args:
        geometry: Grid of a volume.
        shape: Its (D, H, W).
        spacing_mm: Wanted spacing along (D, H, W).

    Example:
        >>> grid_of_spacing(Geometry(np.eye(4)), (4, 4, 4), spacing_mm=(2, 1, 1))[1]
        (2, 4, 4)
    """
    old = np.array(geometry.spacing_mm)
    new_shape = tuple(max(1, round(n * a / b)) for n, a, b in zip(shape, old, spacing_mm, strict=True))
    affine = geometry.affine.copy()
    affine[:3, :3] *= np.array(spacing_mm) / old
    centre = geometry.affine[:3, :3] @ ((np.array(shape) - 1) / 2) + geometry.affine[:3, 3]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(new_shape) - 1) / 2)
    return Geometry(affine), (new_shape[0], new_shape[1], new_shape[2])


def resample(values: Pixels, geometry: Geometry, *, to: Geometry, shape: Shape) -> npt.NDArray[np.float32]:
    """Interpolate linearly; a coarser grid is smoothed for first, so that fine detail does not alias.

    Args:
        values: (C, D, H, W).
        geometry: Its grid.
        to: Wanted grid.
        shape: Wanted (D, H, W).

    Returns:
        float32 (C, D, H, W); beyond the source's edge the nearest value goes on.

    Source:
        Gaussian whose width at half height equals what the coarser voxel adds: Cardoso 2015, DOI
        10.1007/978-3-319-24571-3_81.
    """
    factor = np.array(to.spacing_mm) / np.array(_spacing_along(geometry, to))
    sigma = np.sqrt(np.maximum(factor**2 - 1.0, 0.0)) / 2.355
    smooth = values.astype(np.float32)
    if (sigma > 0.05).any():
        smooth = ndimage.gaussian_filter(smooth, sigma=(0.0, *_on_source_axes(sigma, geometry, to)), mode="nearest")
    return _interpolate(smooth, geometry, to=to, shape=shape, mode="bilinear")


def resample_labels(label: Pixels, geometry: Geometry, *, to: Geometry, shape: Shape) -> Pixels:
    """Labels (D, H, W) on another grid, to the nearest; whatever their values, none is made up."""
    if label.size and max(abs(int(label.min())), abs(int(label.max()))) >= _EXACT_IN_FLOAT32:
        values, places = np.unique(label, return_inverse=True)
        small = places.reshape(label.shape).astype(np.int32)
        return np.asarray(values[resample_labels(small, geometry, to=to, shape=shape)])
    nearest = _interpolate(label[None].astype(np.float32), geometry, to=to, shape=shape, mode="nearest")
    return np.rint(nearest[0]).astype(label.dtype)


def _interpolate(
    values: Pixels, geometry: Geometry, *, to: Geometry, shape: Shape, mode: str
) -> npt.NDArray[np.float32]:
    import torch
    from monai.data import MetaTensor
    from monai.transforms import SpatialResample

    tensor = MetaTensor(torch.from_numpy(np.ascontiguousarray(values)), affine=torch.from_numpy(geometry.affine))
    change = SpatialResample(mode=mode, padding_mode="border", align_corners=True, dtype=torch.float64)
    result = change(tensor, dst_affine=torch.from_numpy(to.affine), spatial_size=shape)
    return np.asarray(result.numpy(), dtype=np.float32)


def _axes(geometry: Geometry, to: Geometry) -> list[int]:
    """For each axis of the new grid, the axis of the old one that it runs along."""
    cosines = np.abs(np.linalg.inv(to.affine[:3, :3]) @ geometry.affine[:3, :3] * np.array(to.spacing_mm)[:, None])
    return [int(axis) for axis in (cosines / np.array(geometry.spacing_mm)).argmax(axis=1)]


def _spacing_along(geometry: Geometry, to: Geometry) -> list[float]:
    return [geometry.spacing_mm[axis] for axis in _axes(geometry, to)]


def _on_source_axes(sigma: npt.NDArray[np.float64], geometry: Geometry, to: Geometry) -> tuple[float, ...]:
    placed = np.zeros(3)
    for value, axis in zip(sigma, _axes(geometry, to), strict=True):
        placed[axis] = value
    return tuple(float(value) for value in placed)
