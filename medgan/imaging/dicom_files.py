"""DICOM files -> single frames with their place in the patient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset

from medgan.errors import GeometryError, ReadError
from medgan.imaging.dicom_kinds import NUCLEAR
from medgan.imaging.dicom_parse import DicomFile
from medgan.imaging.dicom_values import element_value, number, text, whole_number

_UNIT_LENGTH = 5e-3


@dataclass(frozen=True)
class Tile:
    """Part of a picture that is one slice.

    Args:
        top: First row.
        left: First column.
        height: In pixels.
        width: In pixels.
    """

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice of a series, or one picture.

    Args:
        file: What it stands in.
        index: Which frame of the file, from 0; of a mosaic, which tile.
        position: ImagePositionPatient, in LPS millimetres; NaN for a picture.
        orientation: ImageOrientationPatient: direction of rows, then of columns, shape (2, 3); NaN for a picture.
        spacing_mm: Between rows, between columns; NaN for a picture.
        thickness_mm: SpacingBetweenSlices, else SliceThickness, else None.
        slope: RescaleSlope.
        intercept: RescaleIntercept.
        tile: Where it stands in a mosaic.
        groups: Its own functional groups, then shared ones, then the file's elements.
    """

    file: DicomFile
    index: int
    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    slope: float
    intercept: float
    tile: Tile | None = None
    groups: tuple[Dataset, ...] = field(default=(), repr=False)

    @property
    def dataset(self) -> FileDataset:
        """The header of its file."""
        return self.file.dataset

    @property
    def path(self) -> Path:
        """Its file; for messages, since a zip's member is not on disk."""
        return self.file.path

    @property
    def size_px(self) -> tuple[int, int]:
        """Rows and columns."""
        if self.tile is not None:
            return self.tile.height, self.tile.width
        return self.file.layout.rows, self.file.layout.columns


def frames_of(file: DicomFile) -> list[Frame]:
    """The frames of one file of a volume, classic, enhanced or mosaic.

    Raises:
        ReadError: R010 colour, floats or no pixels; R023 a mosaic, R024 no place in the patient.
        GeometryError: G015 directions that are no plane.
    """
    from medgan.imaging.dicom_mosaic import is_mosaic, tiles_of

    dataset = file.dataset
    refuse_pixel_kinds(file)
    if is_mosaic(dataset):
        return tiles_of(file, _frame(file, 0, (dataset,)))
    count = frame_count(file)
    if text(dataset, "SOPClassUID") == NUCLEAR:
        return _nuclear(file, count)
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    if len(per_frame) != count and (count > 1 or per_frame):
        raise _unplaced(file, f"{len(per_frame)} of {count} frames placed", f"{count} frames placed")
    return [_frame(file, index, (*per_frame[index : index + 1], *shared, dataset)) for index in range(count)]


def picture_frames(file: DicomFile) -> list[Frame]:
    """The frames of a file whose images have no place in the patient.

    Raises:
        ReadError: R010 floats or no pixels.
    """
    refuse_pixel_kinds(file, colour=True)
    dataset = file.dataset
    unknown = np.full(3, math.nan)
    return [
        Frame(
            file=file,
            index=index,
            position=unknown,
            orientation=np.full((2, 3), math.nan),
            spacing_mm=(math.nan, math.nan),
            thickness_mm=None,
            slope=number(dataset.get("RescaleSlope"), 1.0),
            intercept=number(dataset.get("RescaleIntercept"), 0.0),
            groups=(dataset,),
        )
        for index in range(frame_count(file))
    ]


def frame_count(file: DicomFile) -> int:
    """How many frames the header announces.

    Raises:
        ReadError: R022, if that is no number, or more frames than the file has bytes.
    """
    found = text(file.dataset, "NumberOfFrames")
    count = whole_number(file.dataset, "NumberOfFrames") if found else 1
    if count is None or not 0 < count <= max(file.size, 1):
        raise ReadError(
            "R022",
            "the header announces an impossible number of frames",
            where=str(file.path),
            got=f"NumberOfFrames {count if count is not None else 'that is no number'}, {file.size} bytes",
            remedy="export it again",
        )
    return count


def refuse_pixel_kinds(file: DicomFile, *, colour: bool = False) -> None:
    """Refuse pixels that no reader here takes.

    Raises:
        ReadError: R010.
    """
    dataset = file.dataset
    floats = "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
    why = [
        said
        for wrong, said in (
            (not colour and file.layout.samples != 1, "colour pixels"),
            (floats, "floating-point pixels"),
            ("PixelData" not in dataset and not floats, "no pixels, or cut off before them"),
        )
        if wrong
    ]
    if why:
        raise ReadError(
            "R010",
            "this kind of DICOM image is not supported",
            where=str(file.path),
            got=", ".join(why),
            expected="whole numbers" if colour else "grey slices with whole numbers",
            remedy="export it again, or convert it to NIfTI or, a photograph, to PNG",
        )


def value_of(groups: Sequence[Dataset], sequence: str, keyword: str) -> Any:
    """An element from the frame's own functional groups, the shared ones, or the file itself."""
    for place in groups:
        # a file's own elements stand in no sequence, but for the detectors of nuclear medicine
        inner = element_value(place, sequence) if sequence and len(groups) > 1 else None
        value = element_value(inner[0] if inner else place, keyword)
        if value is not None:
            return value
    return None


def _frame(file: DicomFile, index: int, groups: tuple[Dataset, ...]) -> Frame:
    position = _numbers(file, groups, "PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = _numbers(file, groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6).reshape(2, 3)
    spacing = _numbers(file, groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    if not (spacing > 0).all():
        raise _unplaced(file, f"PixelSpacing {spacing.tolist()}", "two positive numbers")
    thickness = value_of(groups, "PixelMeasuresSequence", "SpacingBetweenSlices")
    if thickness is None or thickness == "":
        thickness = value_of(groups, "PixelMeasuresSequence", "SliceThickness")
    return Frame(
        file=file,
        index=index,
        position=position,
        orientation=_directions(file, orientation),
        spacing_mm=(float(spacing[0]), float(spacing[1])),
        thickness_mm=abs(number(thickness, 0.0)) or None,
        slope=number(value_of(groups, "PixelValueTransformationSequence", "RescaleSlope"), 1.0),
        intercept=number(value_of(groups, "PixelValueTransformationSequence", "RescaleIntercept"), 0.0),
        groups=groups,
    )


def _numbers(
    file: DicomFile, groups: tuple[Dataset, ...], sequence: str, keyword: str, count: int
) -> npt.NDArray[np.float64]:
    value = value_of(groups, sequence, keyword)
    found = np.array([] if value is None or value == "" else value, dtype=np.float64).ravel()
    if found.size != count or not np.isfinite(found).all():
        raise _unplaced(file, f"{keyword} of {found.size} numbers", f"{count} finite numbers")
    return found


def _directions(file: DicomFile, orientation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(orientation, axis=1)
    between = float(orientation[0] @ orientation[1])
    if np.abs(lengths - 1).max() > _UNIT_LENGTH or abs(between) > _UNIT_LENGTH:
        raise GeometryError(
            "G015",
            "ImageOrientationPatient is no plane",
            where=str(file.path),
            got=f"directions of length {lengths[0]:.4g} and {lengths[1]:.4g}, cosine {between:.4g} between them",
            expected="two perpendicular directions of length 1",
            remedy="export it again",
        )
    return orientation


def _nuclear(file: DicomFile, count: int) -> list[Frame]:
    """Slices of a reconstruction: PS3.3 C.8.4.15 stacks them behind the first for a positive spacing."""
    detectors = list(file.dataset.get("DetectorInformationSequence") or [])
    order = np.atleast_1d(file.dataset.get("SliceVector", []))
    step = number(file.dataset.get("SpacingBetweenSlices"), 0.0)
    if len(detectors) != 1 or sorted(order.tolist()) != list(range(1, count + 1)) or not step:
        raise _unplaced(file, "a nuclear reconstruction with gates, detectors or no spacing", "one stack of slices")
    first = _frame(file, 0, (detectors[0], file.dataset))
    normal = np.cross(first.orientation[0], first.orientation[1])
    return [
        Frame(
            file=file,
            index=index,
            position=first.position + normal * step * (int(place) - 1),
            orientation=first.orientation,
            spacing_mm=first.spacing_mm,
            thickness_mm=abs(step),
            slope=first.slope,
            intercept=first.intercept,
            groups=first.groups,
        )
        for index, place in enumerate(order)
    ]


def _unplaced(file: DicomFile, got: str, expected: str) -> ReadError:
    return ReadError(
        "R024",
        "the slice has no place in the patient",
        where=str(file.path),
        got=got,
        expected=expected,
        remedy="export the series as CT, MR or enhanced CT, MR images with their geometry",
    )
