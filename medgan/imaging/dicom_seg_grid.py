"""Frames of a DICOM segmentation -> labels on the grid of an image."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, ReadError
from medgan.imaging.dicom_parse import text
from medgan.imaging.dicom_seg import Segmentation
from medgan.imaging.image import Image

_SAME_GRID_SHARE = 0.05


def on_grid_of(found: Segmentation, like: Image) -> npt.NDArray[Any]:
    """Put a segmentation's frames where they lie on an image.

    Raises:
        ReadError: R016 overlapping segments or frames without a place, R017 another frame of reference.
        GeometryError: G003 another shape, G004 another grid.
    """
    _check_frame_of_reference(found, like)
    shape = like.pixels.shape[1:] if like.is_volume else (1, *like.pixels.shape[1:])
    out = np.zeros(int(np.prod(shape)), dtype=np.uint16)
    numbers = [number for number in found.segments if number is not None]
    table = np.arange(max([*found.labels, *numbers, int(found.frames.max(initial=0))]) + 1).astype(np.uint16)
    table[list(found.labels)] = list(found.labels.values())
    for frame, segment, plane in zip(found.frames, found.segments, found.planes, strict=True):
        marked = frame > 0
        if not marked.any():
            continue
        voxels = _voxels(marked, plane, shape, like, found.path)
        if out[voxels].any():
            raise ReadError(
                "R016",
                "segments overlap, and a voxel can have one label",
                where=str(found.path),
                remedy="save the segments one by one, or decide which goes before the other",
            )
        out[voxels] = table[frame[marked]] if segment is None else table[segment]
    result = out.reshape(like.pixels.shape[1:])
    return result if result.max(initial=0) > np.iinfo(np.uint8).max else result.astype(np.uint8)


def _check_frame_of_reference(found: Segmentation, like: Image) -> None:
    own, wanted = found.frame_of_reference, _frame_of_reference(like)
    if wanted and own and own != wanted:
        raise ReadError(
            "R017",
            "the segmentation lies in another frame of reference than the image",
            where=str(found.path),
            got=own,
            expected=wanted,
            remedy="name the segmentation that was drawn on this series, or register and resample it",
        )


def _frame_of_reference(like: Image) -> str:
    """FrameOfReferenceUID of an image's files; empty where they do not say, or the image is not DICOM."""
    if like.stored.format != "dicom" or like.path is None or not like.path.exists():
        return ""
    from medgan.imaging.dicom import read_series, volume_of

    series = read_series(like.path, whole=True, series=like.stored.series or None, volume=volume_of(like.stored))
    return text(series.frames[0].dataset, "FrameOfReferenceUID")


def _voxels(
    marked: npt.NDArray[np.bool_], plane: npt.NDArray[np.float64], shape: tuple[int, ...], like: Image, file: Path
) -> npt.NDArray[np.int64]:
    """Flat indices, on the image's grid, of the marked pixels of one frame."""
    rows, columns = np.nonzero(marked)
    if like.geometry is None:
        if marked.shape != shape[1:]:
            raise _other_shape(marked.shape, shape[1:], file)
        return np.ravel_multi_index((np.zeros_like(rows), rows, columns), shape)
    if not np.isfinite(plane).all():
        raise ReadError(
            "R016",
            "the segmentation does not place its frames in the patient",
            where=str(file),
            expected="position, orientation and spacing of every frame",
            remedy="export it again from the program that made it",
        )
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ plane
    to_voxel = np.linalg.inv(like.geometry.affine) @ ras
    whole = np.rint(to_voxel)
    index = (whole[:3] @ np.stack([rows, columns, np.ones_like(rows)])).astype(np.int64)
    _refuse_other_grid(to_voxel[:3], marked.shape, file)
    if not ((index >= 0) & (index < np.array(shape)[:, None])).all():
        raise _other_grid("labelled pixels beyond the image", file)
    return np.ravel_multi_index(tuple(index), shape)


def _refuse_other_grid(to_voxel: npt.NDArray[np.float64], shape: tuple[int, ...], file: Path) -> None:
    """Each step along a frame must be one voxel along one axis of the image, and no corner may lie beside a voxel."""
    whole = np.rint(to_voxel)
    off = float((np.abs(to_voxel - whole) @ np.array([shape[0] - 1, shape[1] - 1, 1])).max())
    steps = np.abs(whole[:, :2])
    if off > _SAME_GRID_SHARE or (steps.sum(axis=0) != 1).any() or steps.sum(axis=1).max() > 1:
        raise _other_grid(f"a corner {off:.3g} voxels beside one, or another spacing or direction", file)


def _other_grid(got: str, file: Path) -> GeometryError:
    return GeometryError(
        "G004",
        "segmentation and image lie on different grids",
        where=str(file),
        got=got,
        expected=f"on the image's voxels, within {_SAME_GRID_SHARE:g} of one",
        remedy="name the segmentation that was drawn on this series, or resample it on the image's grid",
    )


def _other_shape(got: tuple[int, ...], expected: tuple[int, ...], file: Path) -> GeometryError:
    return GeometryError(
        "G003",
        "segmentation and picture differ in shape",
        where=str(file),
        got=str(got),
        expected=str(expected),
        remedy="name the segmentation that was drawn on this picture",
    )
