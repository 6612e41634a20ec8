"""Read any image of a study, and the label image that belongs to it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, ReadError
from medgan.imaging.container import kind_of
from medgan.imaging.geometry import reorient
from medgan.imaging.image import Image, Pixels

_SAME_GRID_SHARE = 0.05


def read_image(
    path: Path | str, *, max_megapixels: float = 50.0, volume: int | None = None, series: str | None = None
) -> Image:
    """Read a photograph, a NIfTI volume or a DICOM series.

    The format is told by the file's first bytes. What reading did beside decoding stands in ``stored.notes``.

    Args:
        path: PNG, JPEG, TIFF, .nii, .nii.gz, a DICOM file, or a folder, zip or DICOMDIR with DICOM series.
        max_megapixels: Photographs larger than this are refused before they are decoded.
        volume: Which volume of a 4D file, from 0.
        series: Which DICOM series: its UID, a part of its description, or a rule; see
            :func:`medgan.imaging.dicom.read_dicom`.

    Returns:
        A photograph (C, H, W) with ``geometry`` None, or a volume (1, D, H, W) in units.

    Raises:
        ReadError: R000 to R034; every one names the file, what was found and how to mend it.
        GeometryError: G010 to G012, if the grid of a volume is not finite, singular or sheared.
    """
    return _read(Path(path), max_megapixels=max_megapixels, volume=volume, series=series, palette="expand")


def read_label(path: Path, *, like: Image, max_megapixels: float = 50.0) -> npt.NDArray[np.generic]:
    """Read a label image on an image's grid.

    A volume whose axes run in another order or direction, such as a NIfTI mask of a DICOM series, is turned, which
    moves no voxel in space; any other difference between the grids is an error.

    Args:
        path: PNG, TIFF (grey or palette, whose indices are the labels) or NIfTI.
        like: The image that the labels belong to.
        max_megapixels: As for :func:`read_image`.

    Returns:
        Labels as stored, in an integer type, shape (H, W) or (D, H, W): a 0/255 mask stays 0/255. All zero where
        nothing is labelled.

    Raises:
        ReadError: R013 fractional labels, R014 a colour picture or DICOM, R015 a lossy JPEG.
        GeometryError: G003 another shape, G004 another grid.
    """
    image = _read(path, max_megapixels=max_megapixels, volume=None, series=None, palette="index")
    if image.stored.format in ("jpeg", "dicom") or image.channels != 1:
        image = _grey(image)
    image = _turned_like(image, like)
    _check_same_grid(image, like)
    return _whole_numbers(image.pixels[0], path)


def _read(path: Path, *, max_megapixels: float, volume: int | None, series: str | None, palette: str) -> Image:
    kind = kind_of(path)
    if kind == "nifti":
        from medgan.imaging.nifti import read_nifti

        _refuse_series(path, kind, series)
        return read_nifti(path, volume=volume)
    if kind == "dicom":
        from medgan.imaging.dicom import read_dicom

        return read_dicom(path, volume=volume, series=series, max_megapixels=max_megapixels)
    if volume is not None:
        raise ReadError("R008", "volume: is only for 4D files", where=str(path), got=f"{kind}, volume {volume}")
    _refuse_series(path, kind, series)
    from medgan.imaging.photograph import read_photograph

    return read_photograph(path, max_megapixels=max_megapixels, palette=palette)


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
            expected="one channel of whole numbers as PNG, TIFF or NIfTI",
            remedy="save the labels as grey or palette PNG, or as NIfTI",
        )
    return image.with_pixels(image.pixels[:1])


def _turned_like(label: Image, like: Image) -> Image:
    if label.geometry is None or like.geometry is None or label.geometry.axis_codes == like.geometry.axis_codes:
        return label
    pixels, geometry = reorient(label.pixels, label.geometry, axis_codes=like.geometry.axis_codes)
    return replace(label, pixels=pixels, geometry=geometry)


def _check_same_grid(label: Image, like: Image) -> None:
    if label.pixels.shape[1:] != like.pixels.shape[1:]:
        turned = [note for note in like.stored.notes if note.startswith("EXIF")]
        raise GeometryError(
            "G003",
            "label and image differ in shape",
            where=str(label.path),
            got=str(label.pixels.shape[1:]),
            expected=str(like.pixels.shape[1:]),
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
    return whole.astype(np.int32)
