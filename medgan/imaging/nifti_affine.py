"""Where a NIfTI volume lies: qform, sform and voxel sizes held against one another."""

from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.quaternions import quat2mat

from medgan.errors import GeometryError
from medgan.imaging.geometry import Affine, check_affine

_SAME_AFFINE_MM = 1e-3
_ROUNDING = 1e-3
_UNITS = {0: None, 1: ("metres", 1e3), 2: None, 3: ("micrometres", 1e-3)}


def affine_of(header: Any) -> tuple[Affine, list[str]]:
    """Choose the grid of a header that may hold two, as fMRIPrep does, and refuse where fMRIPrep guesses.

    A qform is *valid* if its code is above 0, its numbers are a rotation, and the voxel sizes are positive. An sform
    is valid if its code is above 0 and its columns are as long as the voxel sizes.

    ======= ======= ========= ====================== =====================================================
    sform   qform   equal     fMRIPrep               here
    ======= ======= ========= ====================== =====================================================
    valid   valid   yes       sform                  sform
    valid   valid   no        sform, noted           sform; noted from 0.001 mm on
    valid   code 0  any       sform                  sform
    valid   invalid any       sform, warned          sform, noted
    invalid valid   any       qform                  qform, noted
    code 0  valid   any       qform                  qform; noted where the sform is a grid and another
    invalid none    any       spacing alone, warned  refused (G017); if off by rounding, sform, noted
    code 0  invalid any       spacing alone, warned  refused (G017)
    code 0  code 0  any       spacing alone, warned  spacing alone, noted: left and right are unknown; with
                                                     voxel sizes that are not positive refused (G018)
    ======= ======= ========= ====================== =====================================================

    An sform with a code that is not finite, singular or sheared is refused (G010 to G012) even beside a valid qform:
    such a header was damaged, or the volume was warped or scanned with a tilted gantry.

    Lengths in metres or micrometres become millimetres, noted.

    Args:
        header: nibabel's header.

    Returns:
        The affine of array index (i, j, k) to RAS+ mm, and notes.

    Raises:
        GeometryError: G010 to G012, G017, G018.

    Source:
        NIfTI-1 standard, methods 1 to 3. Truth table: niworkflows, ``ValidateImage``; Esteban 2019, DOI
        10.1038/s41592-018-0235-4.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of damaged numbers, which are refused
        affine, notes = _chosen(header)
    check_affine(affine)
    unit = int(header["xyzt_units"]) & 7
    if unit not in _UNITS:
        notes.append(f"unit code {unit} is not in the standard; lengths taken as mm")
    elif (known := _UNITS[unit]) is not None:
        affine = np.diag([known[1], known[1], known[1], 1.0]) @ affine
        notes.append(f"lengths in {known[0]}, converted to mm")
        check_affine(affine)
    return affine, notes


def _chosen(header: Any) -> tuple[Affine, list[str]]:
    qform = _qform(header) if int(header["qform_code"]) > 0 else None
    if int(header["sform_code"]) > 0:
        return _by_sform(header, qform)
    if qform is not None:
        return qform, _unused_sform(header, qform)
    if int(header["qform_code"]) > 0:
        raise _unknown(header, "the qform is no rotation with positive voxel sizes, and there is no sform")
    return _base(header), ["no orientation in the header: left and right cannot be told apart"]


def _by_sform(header: Any, qform: Affine | None) -> tuple[Affine, list[str]]:
    sform = np.asarray(header.get_sform(), dtype=np.float64)
    check_affine(sform)
    if qform is not None and np.allclose(qform, sform):
        return sform, []
    used, sizes = _voxel_sizes(header)
    lengths = np.sqrt((sform[:3, :3] ** 2).sum(axis=0))
    if np.allclose(lengths[used], sizes[used]):
        return sform, _disagreement(header, sform, qform)
    said = f"sform has voxels of {_sizes(lengths)}, the header says {_sizes(sizes)}"
    if qform is not None:
        return qform, [f"{said}; qform taken"]
    if np.allclose(lengths[used], sizes[used], rtol=_ROUNDING, atol=0):
        return sform, [f"{said}; sform taken"]
    raise _unknown(header, f"{said}, and no valid qform decides")


def _disagreement(header: Any, sform: Affine, qform: Affine | None) -> list[str]:
    if qform is None:
        return ["the qform is impossible; sform taken"] if int(header["qform_code"]) > 0 else []
    apart = float(np.abs(qform - sform).max())
    if apart <= _SAME_AFFINE_MM:
        return []
    mirrored = np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0
    return [
        f"qform and sform differ by up to {apart:.3g}; sform taken"
        + ("; they are mirror images, so that left is right in one of them" if mirrored else "")
    ]


def _unused_sform(header: Any, qform: Affine) -> list[str]:
    sform = np.asarray(header.get_sform(), dtype=np.float64)
    try:
        check_affine(sform)
    except GeometryError:
        return []
    apart = float(np.abs(qform - sform).max())
    if apart <= _SAME_AFFINE_MM:
        return []
    return [f"the sform has no code and differs from the qform by up to {apart:.3g}; qform taken"]


def _qform(header: Any) -> Affine | None:
    """Method 2 of the standard, or None where its numbers cannot be."""
    _, sizes = _voxel_sizes(header)
    pixdim = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    pixdim[int(header["dim"][0]) :] = sizes[int(header["dim"][0]) :]
    offset = np.array([header[f"qoffset_{axis}"] for axis in "xyz"], dtype=np.float64)
    try:
        turn = quat2mat(header.get_qform_quaternion())
    except ValueError:  # longer than a unit quaternion
        return None
    if not (np.isfinite(turn).all() and np.isfinite(offset).all() and np.isfinite(pixdim).all() and pixdim.min() > 0):
        return None
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(pixdim * (1.0, 1.0, -1.0 if header["pixdim"][0] < 0 else 1.0))
    affine[:3, 3] = offset
    return affine


def _base(header: Any) -> Affine:
    """Method 1, with the centre of the volume at the origin and the x axis to the left, as nibabel and SPM do."""
    _, sizes = _voxel_sizes(header)
    pixdim = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    pixdim[int(header["dim"][0]) :] = sizes[int(header["dim"][0]) :]
    if not (np.isfinite(pixdim).all() and pixdim.min() > 0):
        raise GeometryError(
            "G018",
            "the voxel sizes are not positive, and there is no qform or sform",
            got=f"pixdim {_sizes(pixdim)}",
            remedy="the header is damaged; convert the volume again",
        )
    shape = np.array([*(int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1]), 1, 1, 1][:3])
    affine = np.diag([-pixdim[0], pixdim[1], pixdim[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2)
    return affine


def _voxel_sizes(header: Any) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which of the first three axes the volume has, and their voxel sizes without sign; 1 for those it has not."""
    used = np.arange(3) < int(header["dim"][0])
    return used, np.where(used, np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64)), 1.0)


def _sizes(values: npt.NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)


def _unknown(header: Any, what: str) -> GeometryError:
    return GeometryError(
        "G017",
        "the volume's place in space cannot be told",
        got=what,
        expected="an sform whose columns are as long as the voxel sizes, or a valid qform",
        remedy="convert the volume again from the scanner's files, or mend the header with a program that shows it",
    )
