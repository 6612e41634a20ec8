"""Read any image of a study, and the label image that belongs to it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, ReadError
from medgan.imaging.container import kind_of
from medgan.imaging.geometry import turn_like
from medgan.imaging.image import Image, Pixels
from medgan.imaging.limits import guarded, refuse_irregular, seconds_for
from medgan.imaging.photograph_mask import own_orientation, turned_with
from medgan.imaging.photograph_orientation import applied_turn

_SAME_GRID_SHARE = 0.05
_T = TypeVar("_T")


def read_image(
    path: Path | str,
    *,
    max_megapixels: float = 50.0,
    volume: int | None = None,
    series: str | None = None,
    guard: bool = False,
    at_least_px: int | None = None,
    fill_not_finite: float | None = None,
) -> Image:
    """Read a photograph, a NIfTI volume or a DICOM series.

    The format is told by the file's first bytes. What reading did beside decoding stands in ``stored.notes``.

    Args:
        path: PNG, JPEG, TIFF, .nii, .nii.gz, a DICOM file, or a folder, zip or DICOMDIR with DICOM series.
        max_megapixels: Photographs larger than this are refused before they are decoded.
        volume: Which volume of a 4D file, from 0.
        series: Which DICOM series: its UID, a part of its description, or a rule; see
            :func:`medgan.imaging.dicom.read_dicom`.
        guard: Read in a child process under limits, so that a file that crashes a decoder or makes it hang is one
            error and not the end of the run; for files that have not been read before. Costs about 1 ms, and 1 ms
            for every MB of pixels.
        at_least_px: For preparing alone: a JPEG may be decoded smaller, see
            :func:`medgan.imaging.photograph.read_photograph`. Text in its pixels may be lost on the way.
        fill_not_finite: Value, in units, of a volume's voxels that are NaN or infinite; counted in
            ``stored.filled``. None refuses them.

    Returns:
        A photograph (C, H, W) with ``geometry`` None, or a volume (1, D, H, W) in units.

    Raises:
        ReadError: R000 to R047; every one names the file, what was found and how to mend it.
        ReadError: R070 to R075 where guarded, see :mod:`medgan.imaging.limits`.
        GeometryError: G010 to G018, if a volume's header gives no grid, or one that is singular or sheared.
    """
    read = partial(
        _read,
        max_megapixels=max_megapixels,
        volume=volume,
        series=series,
        palette="expand",
        at_least_px=at_least_px,
        fill_not_finite=fill_not_finite,
    )
    return _under_limits(read, Path(path)) if guard else read(Path(path))


def read_label(
    path: Path, *, like: Image, max_megapixels: float = 50.0, guard: bool = False
) -> npt.NDArray[np.generic]:
    """Read a label image on an image's grid.

    A volume whose axes run in another order or direction, such as a NIfTI mask of a DICOM series, is turned, which
    moves no voxel in space; any other difference between the grids is an error. A mask that was drawn on a photograph
    as stored is turned upright with it, see :func:`medgan.imaging.photograph_mask.turned_with`.

    Args:
        path: PNG, TIFF (grey or palette, whose indices are the labels), NIfTI or DICOM SEG.
        like: The image that the labels belong to.
        max_megapixels: As for :func:`read_image`.
        guard: As for :func:`read_image`.

    Returns:
        Labels as stored, in an integer type, shape (H, W) or (D, H, W): a 0/255 mask stays 0/255. All zero where
        nothing is labelled.

    Raises:
        ReadError: R013 fractional labels, R014 a colour picture or DICOM that is no SEG, R015 a lossy JPEG, R016 a
            SEG with overlapping or fractional segments, R017 one in another frame of reference.
        GeometryError: G003 another shape, G004 another grid, G074 an orientation that cannot be told.
    """
    refuse_irregular(path)
    if kind_of(path) == "dicom":
        from medgan.imaging.dicom_seg import load_segmentation
        from medgan.imaging.dicom_seg_grid import on_grid_of

        found = _under_limits(load_segmentation, path) if guard else load_segmentation(path)
        if found is not None:
            return on_grid_of(found, like)
    read = partial(_read, max_megapixels=max_megapixels, volume=None, series=None, palette="index")
    image = _under_limits(read, path) if guard else read(path)
    if image.stored.format in ("jpeg", "dicom") or image.channels != 1:
        image = _grey(image)
    image = _turned_like(image, like)
    if image.stored.unit == "level" and applied_turn(like) > 1:
        image = turned_with(image, like, own_turn=own_orientation(path))
    _check_same_grid(image, like)
    return _whole_numbers(image.pixels[0], path)


def _under_limits(read: Callable[[Path], _T], path: Path) -> _T:
    return guarded(read, path, where=str(path), seconds=seconds_for(path))


def _read(
    path: Path,
    *,
    max_megapixels: float,
    volume: int | None,
    series: str | None,
    palette: str,
    at_least_px: int | None = None,
    fill_not_finite: float | None = None,
) -> Image:
    refuse_irregular(path)
    kind = kind_of(path)
    if kind == "nifti":
        from medgan.imaging.nifti import read_nifti

        _refuse_series(path, kind, series)
        return read_nifti(path, volume=volume, fill_not_finite=fill_not_finite)
    if kind == "dicom":
        from medgan.imaging.dicom import read_dicom

        return read_dicom(path, volume=volume, series=series, max_megapixels=max_megapixels)
    if volume is not None:
        raise ReadError("R008", "volume: is only for 4D files", where=str(path), got=f"{kind}, volume {volume}")
    _refuse_series(path, kind, series)
    from medgan.imaging.photograph import read_photograph

    return read_photograph(path, max_megapixels=max_megapixels, palette=palette, at_least_px=at_least_px)


def _refuse_series(path: Path, kind: str, series: str | None) -> None:
    if series is not None:
        raise ReadError("R018", "series: is only for DICOM", where=str(path), got=f"{kind}, series {series!r}")


def _grey(image: Image) -> Image:
    """The one channel of a label image that was saved as RGB with three equal channels."""
    if image.stored.format == "jpeg":
        raise ReadError(
            "R015",
            "a JPEG cannot hold exact labels",
            where=str(image.path),
            got=f"{np.unique(image.pixels).size} distinct values",
            remedy="save the mask as PNG from the program that made it",
        )
    if image.stored.format == "dicom" or not (image.pixels == image.pixels[:1]).all():
        raise ReadError(
            "R014",
            "not a label image",
            where=str(image.path),
            got="DICOM" if image.stored.format == "dicom" else "a colour picture",
            expected="one channel of whole numbers as PNG, TIFF, NIfTI or DICOM SEG",
            remedy="save the labels as grey or palette PNG, or as NIfTI",
        )
    return image.with_pixels(image.pixels[:1])


def _turned_like(label: Image, like: Image) -> Image:
    if label.geometry is None or like.geometry is None:
        return label
    pixels, geometry = turn_like(label.pixels, label.geometry, like=like.geometry)
    return replace(label, pixels=pixels, geometry=geometry)


def _check_same_grid(label: Image, like: Image) -> None:
    if label.pixels.shape[1:] != like.grid_shape:
        turned = [note for note in like.stored.notes if note.startswith("EXIF")]
        raise GeometryError(
            "G003",
            "label and image differ in shape",
            where=str(label.path),
            got=str(label.pixels.shape[1:]),
            expected=str(like.grid_shape),
            remedy="the image was turned: " + turned[0] if turned else "resample the label or correct the row",
        )
    if label.geometry is None or like.geometry is None:
        return
    moved = _corner_shift_mm(label.geometry.affine, like.geometry.affine, like.pixels.shape[1:])
    if moved > _SAME_GRID_SHARE * min(like.geometry.spacing_mm):
        raise GeometryError(
            "G004",
            "label and image lie on different grids",
            where=str(label.path),
            got=f"axes {label.geometry.axis_codes}, a corner is {moved:.3g} mm away",
            expected=f"axes {like.geometry.axis_codes}, within {_SAME_GRID_SHARE:g} of a voxel",
            remedy="resample the label on the image's grid, or mend the header that is wrong",
        )


def _corner_shift_mm(first: Pixels, second: Pixels, shape: tuple[int, ...]) -> float:
    corners = np.array([[d, h, w, 1] for d in (0, shape[0] - 1) for h in (0, shape[1] - 1) for w in (0, shape[2] - 1)])
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def _whole_numbers(values: Pixels, path: Path) -> npt.NDArray[np.generic]:
    if values.dtype.kind in "iu":
        return values
    whole = np.rint(values)
    if not (whole == values).all():
        odd = np.unique(values[whole != values])
        raise ReadError(
            "R013",
            "labels are not whole numbers",
            where=str(path),
            got=", ".join(f"{value:.4g}" for value in odd[:5]) + (f" and {odd.size - 5} more" if odd.size > 5 else ""),
            remedy="resample labels with nearest neighbour, or threshold probabilities on purpose",
        )
    return whole.astype(np.int32 if np.abs(whole).max(initial=0) < 2**31 else np.int64)
