"""Read a NIfTI volume: values in units, the grid its header means, nothing guessed in silence."""

from pathlib import Path
from typing import Any

import numpy as np
from nibabel.spatialimages import HeaderDataError

from medgan.errors import GeometryError, ReadError
from medgan.imaging.geometry import Affine, Geometry
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.nifti_bytes import read_nifti_bytes

_SAME_AFFINE_MM = 1e-3


def read_nifti(path: Path, *, volume: int | None = None) -> Image:
    """Read one volume of a .nii or .nii.gz file.

    Args:
        path: File; compressed or not is told by its bytes, and noted where the name says otherwise.
        volume: Which volume of a 4D file, from 0.

    Returns:
        Pixels (1, D, H, W) where D, H, W are the file's k, j, i; integer where the rescale is the identity, else
        float32. The unit is ``"a.u."``, since a NIfTI header does not name one.

    Raises:
        ReadError: R004 to R010, see :mod:`medgan.imaging.nifti_bytes`; R009 NaN or infinite voxels.
        GeometryError: G010 to G012, if the grid is not finite, singular or sheared.
    """
    file = read_nifti_bytes(path, volume=volume)
    notes: list[str] = []
    if file.compressed != (path.suffix == ".gz"):
        notes.append("named .gz but not compressed" if path.suffix == ".gz" else "compressed but not named .gz")
    if file.volumes > 1:
        notes.append(f"volume {volume} of {file.volumes}")
    affine, said = affine_of(file.header)
    notes += said
    slope, intercept = rescale_of(file.header)
    values = _in_units(file.stored, slope, intercept, notes)
    _refuse_not_finite(values, path)
    stored = StoredAs(
        format="nifti",
        dtype=file.stored.dtype.name,
        unit="a.u.",
        slope=slope,
        intercept=intercept,
        notes=tuple(notes),
    )
    try:
        geometry = Geometry(affine[:, [2, 1, 0, 3]])
    except GeometryError as error:
        raise GeometryError(
            error.code, error.what, where=str(path), got=error.got, expected=error.expected, remedy=error.remedy
        ) from error
    pixels = np.ascontiguousarray(values.transpose(2, 1, 0))[None]
    return Image(pixels=pixels, stored=stored, geometry=geometry, path=path)


def affine_of(header: Any) -> tuple[Affine, list[str]]:
    """Choose between qform and sform.

    ====== ====== ========= =================================================
    sform  qform  equal     taken
    ====== ====== ========= =================================================
    > 0    > 0    yes       sform
    > 0    > 0    no        sform, noted
    > 0    0                sform
    0      > 0              qform
    0      0                spacing alone, noted: left and right are unknown
    ====== ====== ========= =================================================

    Equal means within 0.001 mm in every element.

    Args:
        header: nibabel's header.

    Returns:
        The affine of array index (i, j, k) to RAS+ mm, not yet checked, and notes.

    Source:
        NIfTI-1 standard, methods 1 to 3; the order of fMRIPrep's ValidateImage (Esteban 2019).
    """
    sform_code, qform_code = int(header["sform_code"]), int(header["qform_code"])
    qform = _qform(header) if qform_code > 0 else None
    if sform_code > 0:
        sform = np.asarray(header.get_sform(), dtype=np.float64)
        if qform is not None and not np.allclose(qform, sform, rtol=0, atol=_SAME_AFFINE_MM):
            return sform, [f"qform and sform differ by up to {np.abs(qform - sform).max():.3g}; sform taken"]
        return sform, []
    if qform is not None:
        return qform, []
    return np.asarray(header.get_base_affine(), dtype=np.float64), [
        "no orientation in the header: left and right cannot be told apart"
    ]


def _qform(header: Any) -> Affine:
    try:
        return np.asarray(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):  # nibabel refuses an impossible quaternion
        return np.full((4, 4), np.nan)


def rescale_of(header: Any) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or NaN means none, by the NIfTI-1 standard."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    return slope, intercept if np.isfinite(intercept) else 0.0


def _in_units(stored: np.ndarray, slope: float, intercept: float, notes: list[str]) -> np.ndarray:
    if (slope, intercept) == (1.0, 0.0) and stored.dtype.kind in "iu":
        return stored
    if stored.dtype == np.float64:
        notes.append("float64 read as float32")
    with np.errstate(over="ignore", invalid="ignore"):
        if (slope, intercept) == (1.0, 0.0):
            return stored.astype(np.float32)
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def _refuse_not_finite(values: np.ndarray, path: Path) -> None:
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    raise ReadError(
        "R009",
        "the volume holds values that are not finite",
        where=str(path),
        got=f"{nan} NaN and {infinite} infinite of {values.size} voxels",
        remedy="fill them on purpose before use; what they mean is not for a reader to guess",
    )
