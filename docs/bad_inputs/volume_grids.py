"""Rows 14 to 19: volumes and masks that do not fit together."""

from pathlib import Path
from typing import Any

import numpy as np

from bad_inputs.making import SHAPE, alone, findings, found, nifti, picture, study, task, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.imaging.read import read_image, read_label
from medgan.settings.preparation import Preparation
from medgan.transforms.prepare import prepare


def _volumes(folder: Path, **keys: Any) -> Path:
    """A study of five subjects in T1 and T2, volumes of 1 x 1.5 x 2 mm."""
    rows = [
        {"case_id": f"{domain}{index}", "subject_id": f"P{index}", "domain": domain, "image": f"{domain}{index}.nii"}
        for domain in ("t1", "t2")
        for index in range(5)
    ]
    for index, row in enumerate(rows):
        if not (folder / row["image"]).exists():
            nifti(folder / row["image"], voxels(index))
    preparation = {"preset": "mr"} | keys.pop("preparation", {})
    return study(folder, rows, preparation=preparation, direction={"source": "t1", "target": "t2"}, **keys)


@bad_input(14, gives=HANDLED)
def mixed_spacing(folder: Path) -> str:
    """Volumes of another spacing than the study's."""
    preparation = Preparation(preset="mr", spacing_mm=(2.0, 1.5, 1.0))
    shapes = []
    for index, step in enumerate((2.0, 2.5)):
        image = read_image(nifti(folder / f"{index}.nii", voxels(), affine=np.diag([1.0, 1.5, step, 1.0])))
        prepared = prepare(image, preparation)
        shapes.append(prepared.pixels.shape)
        require(bool([loss for loss in prepared.trace.losses if "resampled" in loss]) == bool(index), "it is recorded")
    require(shapes == [(1, 10, 14, 12), (1, 12, 14, 12)], f"as many slices as 2 mm ask for; got {shapes}")
    return f"brought to the study's 2 mm: 10 slices of 2.5 mm become 12; recorded: {prepared.trace.losses[0]}"


def _one_thick(folder: Path, **keys: Any) -> Path:
    nifti(folder / "t21.nii", voxels(77), affine=np.diag([1.0, 1.5, 6.0, 1.0]))
    return _volumes(folder, **keys)


@bad_input(14, gives="warning G052")
def mixed_as_they_are(folder: Path) -> Seen:
    """One volume of thicker slices among others, in a study that does not resample."""
    return found(_one_thick(folder), "G052")


@bad_input(14, gives="G058")
def beyond_tolerance(folder: Path) -> Seen:
    """The same, in a study with a `spacing_tolerance` of 2."""
    return alone(_one_thick(folder, spacing_tolerance=2.0), "G058")


@bad_input(15, gives="G003")
def mask_of_other_shape(folder: Path) -> None:
    """A mask of another shape."""
    image = read_image(nifti(folder / "scan.nii.gz"))
    read_label(nifti(folder / "mask.nii.gz", np.zeros((12, 14, 9), dtype=np.uint8)), like=image)


@bad_input(16, gives="G004")
def mask_elsewhere(folder: Path) -> Seen:
    """A mask of the same shape, 1 mm aside, and one that is mirrored by its header."""
    image = read_image(nifti(folder / "scan.nii.gz"))
    moved, mirrored = np.diag([1.0, 1.5, 2.0, 1.0]), np.diag([-1.0, 1.5, 2.0, 1.0])
    moved[0, 3] = 1.0
    paths = [
        nifti(folder / f"mask{index}.nii.gz", np.ones(SHAPE, dtype=np.uint8), affine=affine)
        for index, affine in enumerate((moved, mirrored))
    ]
    return refused([lambda path=path: read_label(path, like=image) for path in paths], codes="G004")


def _masked_rows(folder: Path) -> list[dict[str, str]]:
    rows = [
        {"case_id": f"{domain}{index}", "subject_id": f"P{index}", "domain": domain, "image": f"{domain}{index}.png"}
        for domain in ("day", "dusk")
        for index in range(6)
    ]
    for row in rows:
        row["mask"] = f"mask_{row['image']}"
        picture(folder / row["mask"], np.eye(24, dtype=np.uint8) * 255)
    return rows


@bad_input(17, gives="M045")
def no_mask(folder: Path) -> Seen:
    """A row without a mask, in a study that learns from masks."""
    rows = _masked_rows(folder)
    rows[7]["mask"] = ""
    return alone(study(folder, rows, tasks=[task()]), "M045")


@bad_input(17, gives="M040")
def absent_mask(folder: Path) -> Seen:
    """A mask that the row names and that is not there."""
    rows = _masked_rows(folder)
    rows[7]["mask"] = "gone.tif"
    return alone(study(folder, rows, tasks=[task()]), "M040")


@bad_input(17, gives=HANDLED)
def no_mask_wanted(folder: Path) -> str:
    """No masks, in a study that only translates."""
    require(not findings(study(folder)), "no finding")
    return "nothing to complain of"


@bad_input(18, gives=HANDLED)
def empty_mask(folder: Path) -> str:
    """An empty mask."""
    rows = _masked_rows(folder)
    picture(folder / rows[0]["mask"], np.zeros((24, 24), dtype=np.uint8))
    require(not findings(study(folder, rows, tasks=[task()])), "no finding")
    label = read_label(folder / rows[0]["mask"], like=read_image(folder / rows[0]["image"]))
    require(label.shape == (24, 24) and not label.any(), "all zero")
    return "a negative case: all background"


@bad_input(19, gives="M052")
def unknown_label(folder: Path) -> Seen:
    """A mask with the value 7, which the study does not name."""
    rows = _masked_rows(folder)
    picture(folder / rows[7]["mask"], np.full((24, 24), 7, dtype=np.uint8))
    return alone(study(folder, rows, tasks=[task()]), "M052")


@bad_input(19, gives="R013")
def fractional_label(folder: Path) -> None:
    """A mask with fractions, as linear resampling leaves them."""
    image = read_image(nifti(folder / "scan.nii.gz"))
    read_label(nifti(folder / "mask.nii.gz", (voxels() / 1000).astype(np.float32)), like=image)


@bad_input(19, gives="R009")
def nan_label(folder: Path) -> None:
    """A mask with NaN."""
    image = read_image(nifti(folder / "scan.nii.gz"))
    array = np.zeros(SHAPE, dtype=np.float32)
    array[0, 0, 0] = np.nan
    read_label(nifti(folder / "mask.nii.gz", array), like=image)


@bad_input(19, gives="R015")
def jpeg_label(folder: Path) -> None:
    """A mask saved as JPEG."""
    image = read_image(picture(folder / "scan.png"))
    read_label(picture(folder / "mask.jpg", np.eye(24, dtype=np.uint8) * 255), like=image)
