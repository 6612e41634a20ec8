"""Rows 9 to 13: volumes whose header or values cannot be meant."""

from pathlib import Path

import numpy as np

from bad_inputs.making import SHAPE, found, nifti, same, study, turned, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.imaging.read import read_image


def _affine(folder: Path, affine: np.ndarray) -> None:
    rows = {f"srow_{axis}": affine[index] for index, axis in enumerate("xyz")}
    read_image(nifti(folder / "scan.nii.gz", qform_code=0, **rows))


@bad_input(9, gives="G011")
def zero_affine(folder: Path) -> Seen:
    """An affine of zeros, or with a column of zeros."""
    tries = [np.zeros((4, 4)), np.diag([1.0, 0.0, 1.0, 1.0])]
    return refused([lambda affine=affine: _affine(folder, affine) for affine in tries], codes="G011")


@bad_input(9, gives="G010")
def nan_affine(folder: Path) -> Seen:
    """An affine with NaN or infinity."""
    tries = [np.diag([1.0, value, 1.0, 1.0]) for value in (np.nan, np.inf)]
    return refused([lambda affine=affine: _affine(folder, affine) for affine in tries], codes="G010")


@bad_input(9, gives="G012")
def sheared_affine(folder: Path) -> None:
    """A sheared affine."""
    affine = np.eye(4)
    affine[0, 1] = 0.3
    _affine(folder, affine)


@bad_input(10, gives=HANDLED)
def two_forms(folder: Path) -> str:
    """A qform and an sform that differ."""
    affine = np.diag([-1.0, -1.5, 2.0, 1.0])
    rows = {f"srow_{axis}": affine[index] for index, axis in enumerate("xyz")}
    image = read_image(nifti(folder / "scan.nii.gz", **rows))
    require(image.geometry is not None and image.geometry.spacing_mm == (2.0, 1.5, 1.0), "the sform's grid")
    require(image.geometry is not None and image.geometry.axis_codes == "SPL", "the sform's directions")
    return same(image, turned(voxels()), note="sform taken")


@bad_input(10, gives=HANDLED)
def no_form(folder: Path) -> str:
    """Neither qform nor sform."""
    return same(
        read_image(nifti(folder / "scan.nii.gz", qform_code=0, sform_code=0)), turned(voxels()), note="no orientation"
    )


@bad_input(11, gives="R009")
def not_finite(folder: Path) -> None:
    """3 NaN and 2 infinite voxels."""
    array = voxels(dtype="float32")
    array[2:5, 3, 4], array[6:8, 3, 4] = np.nan, np.inf
    read_image(nifti(folder / "scan.nii.gz", array))


@bad_input(11, gives=HANDLED)
def filled(folder: Path) -> str:
    """The same, in a study whose `fill_not_finite` says 0."""
    array = voxels(dtype="float32")
    array[2:5, 3, 4], array[6:8, 3, 4] = np.nan, np.inf
    image = read_image(nifti(folder / "scan.nii.gz", array), fill_not_finite=0.0)
    return same(image, turned(np.where(np.isfinite(array), array, 0).astype("float32")), note="5 voxels")


@bad_input(12, gives="R008")
def four_dimensions(folder: Path) -> None:
    """A 4D file where one volume is expected."""
    read_image(nifti(folder / "scan.nii.gz", voxels(shape=(*SHAPE, 3))))


@bad_input(12, gives=HANDLED)
def chosen_volume(folder: Path) -> str:
    """A 4D file and `volume: 2`, the last of three."""
    array = voxels(shape=(*SHAPE, 3))
    return same(read_image(nifti(folder / "scan.nii.gz", array), volume=2), turned(array[..., 2]), note="volume 2 of 3")


@bad_input(12, gives="R008")
def absent_volume(folder: Path) -> None:
    """A 4D file and `volume: 3` of three, counted from 0."""
    read_image(nifti(folder / "scan.nii.gz", voxels(shape=(*SHAPE, 3))), volume=3)


@bad_input(13, gives="I001")
def constant_volume(folder: Path) -> Seen:
    """A volume of one value, in a study of MR."""
    rows = [
        {"case_id": f"{domain}{index}", "subject_id": f"P{index}", "domain": domain, "image": f"{domain}{index}.nii.gz"}
        for domain in ("t1", "t2")
        for index in range(5)
    ]
    for index, row in enumerate(rows):
        nifti(folder / row["image"], voxels(index))
    nifti(folder / "t23.nii.gz", np.full(SHAPE, 7, dtype=np.int16))
    path = study(folder, rows, preparation={"preset": "mr"}, direction={"source": "t1", "target": "t2"})
    return found(path, "I001")
