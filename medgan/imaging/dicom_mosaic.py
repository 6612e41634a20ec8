"""A Siemens mosaic: the slices of a volume laid out as tiles of one picture."""

import math
from dataclasses import replace

import numpy as np
from pydicom.dataset import FileDataset

from medgan.errors import ReadError
from medgan.imaging.dicom_csa import csa_numbers
from medgan.imaging.dicom_files import Frame, Tile
from medgan.imaging.dicom_parse import DicomFile, parse_whole, parsing
from medgan.imaging.dicom_values import number, words
from medgan.imaging.image import Pixels

_UNIT_LENGTH = 1e-3


def is_mosaic(dataset: FileDataset) -> bool:
    """Whether one picture holds a whole volume."""
    return "MOSAIC" in words(dataset, "ImageType")


def tiles_of(file: DicomFile, frame: Frame) -> list[Frame]:
    """The slices of a mosaic, each with its place.

    Args:
        file: The mosaic.
        frame: It as one slice, as its public header describes it.

    Returns:
        One frame a tile, in the order of the tiles. ImagePositionPatient is that of a slice as large as the mosaic
        about the same centre: each tile's corner lies half the difference inside it. Slices follow each other along
        the private header's SliceNormalVector, by SpacingBetweenSlices.

    Raises:
        ReadError: R023, if the private header does not say how many slices there are and where they lie.
    """
    with parsing(file.path):
        whole = parse_whole(file).dataset
        header = _private(whole, 0x0029, "SIEMENS CSA HEADER", 0x10)
        count, normal = _count(file, whole, header), _normal(file, header)
        step = number(file.dataset.get("SpacingBetweenSlices"), math.nan)
        rows, columns = file.layout.rows, file.layout.columns
    across = math.ceil(math.sqrt(count))
    if rows % across or columns % across or count > rows * columns:
        raise _unknown(file, f"{count} slices in {rows} x {columns} pixels")
    if not step > 0:
        raise _unknown(file, "no SpacingBetweenSlices")
    plane = np.cross(frame.orientation[0], frame.orientation[1])
    if abs(abs(float(plane @ normal)) - 1) > _UNIT_LENGTH:
        raise _unknown(file, "a SliceNormalVector that is not the normal of ImageOrientationPatient")
    height, width = rows // across, columns // across
    corner = (
        frame.position
        + frame.orientation[0] * frame.spacing_mm[1] * (columns - width) / 2
        + frame.orientation[1] * frame.spacing_mm[0] * (rows - height) / 2
    )
    return [
        replace(
            frame,
            index=place,
            position=corner + normal * step * place,
            thickness_mm=step,
            tile=Tile(place // across * height, place % across * width, height, width),
        )
        for place in range(count)
    ]


def _count(file: DicomFile, whole: FileDataset, header: object) -> int:
    value = _private(whole, 0x0019, "SIEMENS MR HEADER", 0x0A)
    if value is None:
        found = _from_header(file, header, "NumberOfImagesInMosaic")
        count = int(found[0]) if len(found) == 1 else 0
    else:
        count = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(str(value or 0))
    if count < 1:
        raise _unknown(file, "no NumberOfImagesInMosaic, neither (0019,100A) nor in the CSA header")
    return count


def _normal(file: DicomFile, header: object) -> Pixels:
    found = np.array(_from_header(file, header, "SliceNormalVector"))
    if found.shape != (3,) or not abs(np.linalg.norm(found) - 1) <= _UNIT_LENGTH:
        raise _unknown(file, "a CSA header without SliceNormalVector")
    return found


def _from_header(file: DicomFile, header: object, name: str) -> list[float]:
    if not isinstance(header, bytes):
        raise _unknown(file, "no CSA header (0029,1010)")
    try:
        return csa_numbers(header, name)
    except ValueError as error:
        raise _unknown(file, str(error)) from error


def _private(dataset: FileDataset, group: int, creator: str, element: int) -> object:
    try:
        return dataset.private_block(group, creator)[element].value
    except KeyError:
        return None


def _unknown(file: DicomFile, got: str) -> ReadError:
    return ReadError(
        "R023",
        "a mosaic whose slices cannot be told apart",
        where=str(file.path),
        got=got,
        expected="the private elements of a Siemens scanner",
        remedy="export it with its private elements, or as single slices",
    )
