"""Read a NIfTI volume: values in units, the grid its header means, nothing guessed in silence."""

from pathlib import Path
from typing import Any

import numpy as np

from medgan.errors import GeometryError, ReadError
from medgan.imaging.geometry import Geometry
from medgan.imaging.image import Image, Pixels, StoredAs
from medgan.imaging.nifti_affine import affine_of
from medgan.imaging.nifti_bytes import NiftiFile, read_nifti_bytes

_EXACT_IN_FLOAT32 = 2.0**24
_EXACT_IN_FLOAT64 = 2**53


def read_nifti(path: Path, *, volume: int | None = None, fill_not_finite: float | None = None) -> Image:
    """Read one volume of a .nii or .nii.gz file, or of a .hdr/.img pair of NIfTI.

    Args:
        path: File, of a pair the .hdr; compressed or not is told by its bytes, and noted where the name says otherwise.
        volume: Which volume of a 4D file, from 0.
        fill_not_finite: Value, in units, of voxels that are NaN or infinite; None refuses them.

    Returns:
        Pixels (1, D, H, W) where D, H, W are the file's k, j, i; (3, D, H, W) for RGB. Integer where the rescale is
        the identity, else float32, or float64 where float32 would lose a stored step or a whole number. The unit is
        ``"a.u."``, since a NIfTI header does not name one.

    Raises:
        ReadError: R004 to R010 and R041 to R046, see :mod:`medgan.imaging.nifti_bytes`; R009 NaN or infinite voxels,
            R042 a rescale that is not finite, R047 RGBA that is see-through.
        GeometryError: G010 to G012, if the grid is not finite, singular or sheared; G017 and G018, if it cannot be
            told, see :func:`medgan.imaging.nifti_affine.affine_of`.
    """
    file = read_nifti_bytes(path, volume=volume)
    notes: list[str] = []
    if file.volumes > 1:
        notes.append(f"volume {volume} of {file.volumes}")
    geometry = _geometry(file, path, notes)
    colour = file.stored.shape[0] > 1
    slope, intercept = (1.0, 0.0) if colour else rescale_of(file.header, where=str(path))
    pixels = (
        _colour(file.stored, path, notes)
        if colour
        else _in_units(file.stored, slope, intercept, notes=notes, path=path)
    )
    pixels, filled = _finite(pixels, fill_not_finite, path)
    if filled:
        notes.append(f"{filled} voxels that were not finite filled with {fill_not_finite:g}")
    stored = StoredAs(
        format="nifti",
        dtype=file.stored.dtype.name,
        unit="a.u.",
        slope=slope,
        intercept=intercept,
        filled=filled,
        notes=(*notes, *file.notes),
    )
    return Image(pixels=pixels, stored=stored, geometry=geometry, path=path)


def rescale_of(header: Any, *, where: str) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 means none by the NIfTI-1 standard, and so does NaN, as nibabel writes it.

    Raises:
        ReadError: R042, if the slope is infinite, or the intercept of a valid slope is not finite.
    """
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return 1.0, 0.0
    if not np.isfinite([slope, intercept]).all():
        raise ReadError(
            "R042",
            "the rescale is not finite",
            where=where,
            got=f"slope {slope:g}, intercept {intercept:g}",
            expected="finite numbers, or a slope of 0 for none",
            remedy="the header is damaged; convert the volume again",
        )
    return slope, intercept


def _geometry(file: NiftiFile, path: Path, notes: list[str]) -> Geometry:
    try:
        affine, said = affine_of(file.header)
    except GeometryError as error:
        raise GeometryError(
            error.code, error.what, where=str(path), got=error.got, expected=error.expected, remedy=error.remedy
        ) from error
    notes += said
    return Geometry(affine[:, [2, 1, 0, 3]])


def _colour(stored: Pixels, path: Path, notes: list[str]) -> Pixels:
    if stored.shape[0] == 4:
        if stored[3].min() != stored[3].max():
            raise ReadError(
                "R047",
                "a colour volume that is see-through in places",
                where=str(path),
                got=f"alpha from {stored[3].min()} to {stored[3].max()}",
                remedy="lay it on a background of your choice and save it as RGB24",
            )
        notes.append(f"alpha, {int(stored[3].flat[0])} throughout, left out")
    return stored[:3]


def _in_units(stored: Pixels, slope: float, intercept: float, *, notes: list[str], path: Path) -> Pixels:
    plain = (slope, intercept) == (1.0, 0.0)
    if plain and (stored.dtype.kind in "iu" or stored.dtype == np.float32):
        return stored
    if stored.dtype.kind in "iu" and stored.dtype.itemsize == 8:
        _refuse_beyond_float64(stored, path)
    with np.errstate(over="ignore", invalid="ignore"):
        values = stored if plain else stored.astype(np.float64) * slope + intercept
        single = values.astype(np.float32)
    if _float32_loses(stored, values, single, slope):
        notes.append("kept in float64: float32 would lose stored steps")
        return values
    if stored.dtype == np.float64:
        notes.append("float64 read as float32")
    return single


def _float32_loses(stored: Pixels, values: Pixels, single: Pixels, slope: float) -> bool:
    """Whether float32 would merge stored steps, change a whole number or overflow."""
    finite = values if np.isfinite(values).all() else values[np.isfinite(values)]
    largest = float(np.abs([finite.min(), finite.max()]).max()) if finite.size else 0.0
    if largest > float(np.finfo(np.float32).max):
        return True
    if stored.dtype.kind in "iu":
        return largest / _EXACT_IN_FLOAT32 > abs(slope) / 4  # float32 is off by half a step in 2**24
    if stored.dtype == np.float32 or largest <= _EXACT_IN_FLOAT32:
        return False
    whole = np.rint(values) == values
    return bool((whole & (values != single)).any())


def _refuse_beyond_float64(stored: Pixels, path: Path) -> None:
    largest = max(abs(int(stored.min())), abs(int(stored.max())))
    if largest > _EXACT_IN_FLOAT64:
        raise ReadError(
            "R010",
            "64-bit integers with a rescale that no float holds exactly",
            where=str(path),
            got=f"up to {largest}",
            expected=f"up to {_EXACT_IN_FLOAT64}",
            remedy="save the volume without a rescale, or in a smaller type",
        )


def _finite(values: Pixels, fill: float | None, path: Path) -> tuple[Pixels, int]:
    """The values, and how many were filled."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return values, 0
    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    if fill is not None:
        return np.where(np.isfinite(values), values, values.dtype.type(fill)), nan + infinite
    raise ReadError(
        "R009",
        "the volume holds values that are not finite",
        where=str(path),
        got=f"{nan} NaN and {infinite} infinite of {values.size} voxels",
        remedy="where they mean no more than background, say with which value they are filled: "
        "preparation.fill_not_finite in the study file; in a mask, correct them",
    )
