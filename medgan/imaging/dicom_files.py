"""DICOM files -> single frames with their place in the patient."""

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError

from medgan.errors import ReadError

_DICOMDIR = "1.2.840.10008.1.3.10"
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImageType", "Modality", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units", "ModalityLUTSequence",
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "NumberOfSeriesRelatedInstances",
    "ImagesInAcquisition", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One slice of a series.

    Args:
        dataset: The file it stands in.
        path: That file.
        index: Which frame of the file, from 0.
        position: ImagePositionPatient, in LPS millimetres.
        orientation: ImageOrientationPatient: direction of rows, then of columns, shape (2, 3).
        spacing_mm: Between rows, between columns.
        thickness_mm: SpacingBetweenSlices, else SliceThickness, else None.
        slope: RescaleSlope.
        intercept: RescaleIntercept.
    """

    dataset: FileDataset
    path: Path
    index: int
    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    slope: float
    intercept: float


def load_files(path: Path, *, whole: bool) -> tuple[list[tuple[Path, FileDataset]], list[str]]:
    """Read the files of one series.

    Args:
        path: A DICOM file, or a folder whose own files are read, not those of folders below it.
        whole: All elements, or only those that reading an image needs.

    Returns:
        Datasets in order of file name, and notes on what was left out: files that are not DICOM, localizers.

    Raises:
        ReadError: R020 several series, R021 no DICOM, R022 a file that cannot be parsed.
    """
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [item for item in candidates if item.is_file()]
    parsed = [(item, dataset) for item in files if (dataset := _parse(item, whole=whole)) is not None]
    notes = [] if len(parsed) == len(files) else [f"{len(files) - len(parsed)} files are not DICOM images; skipped"]
    if not parsed:
        raise ReadError(
            "R021",
            "no DICOM image here",
            where=str(path),
            got=f"{len(files)} other files",
            remedy="name the folder that holds the slices themselves",
        )
    _refuse_several_series(path, [dataset for _, dataset in parsed])
    localizers = [item for item in parsed if "LOCALIZER" in _image_type(item[1])]
    if 0 < len(localizers) < len(parsed):
        parsed = [item for item in parsed if "LOCALIZER" not in _image_type(item[1])]
        notes.append(f"{len(localizers)} localizers left out")
    return parsed, notes


def frames_of(dataset: FileDataset, path: Path) -> list[Frame]:
    """The frames of one file, classic or enhanced.

    Raises:
        ReadError: R023 a mosaic, R024 no place in the patient, R010 colour, float or a Modality LUT.
    """
    _refuse_kinds(dataset, path)
    count = int(dataset.get("NumberOfFrames") or 1)
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    if count > 1 and len(per_frame) != count:
        raise ReadError(
            "R024",
            "a multi-frame file does not place its frames",
            where=str(path),
            got=f"{len(per_frame)} of {count} frames placed",
            remedy="export the series as CT, MR or enhanced CT, MR images",
        )
    return [_frame(dataset, path, index, [*per_frame[index : index + 1], *shared, dataset]) for index in range(count)]


def number(value: Any, default: float) -> float:
    """A DICOM number, or a default where it is absent or empty."""
    return default if value is None or value == "" else float(value)


def _parse(path: Path, *, whole: bool) -> FileDataset | None:
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of odd values; what is used of them is checked here
            dataset = pydicom.dcmread(path, specific_tags=None if whole else list(_TAGS))
    except RecursionError as error:
        raise ReadError(
            "R022", "sequences are nested too deep", where=str(path), remedy="the file is damaged or hostile"
        ) from error
    except (InvalidDicomError, EOFError, ValueError, KeyError, NotImplementedError, OSError, TypeError) as error:
        raise ReadError(
            "R022", "not a readable DICOM file", where=str(path), got=str(error)[:120], remedy="export it again"
        ) from error
    if str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == _DICOMDIR:
        return None
    return dataset


def _image_type(dataset: FileDataset) -> list[str]:
    value = dataset.get("ImageType")
    return [] if value is None else [value] if isinstance(value, str) else [str(item) for item in value]


def _refuse_several_series(path: Path, datasets: Iterable[FileDataset]) -> None:
    series = Counter((str(item.get("SeriesInstanceUID")), str(item.get("Modality"))) for item in datasets)
    if len({uid for uid, _ in series}) > 1:
        found = "; ".join(f"{uid} ({modality}, {count} files)" for (uid, modality), count in sorted(series.items()))
        raise ReadError(
            "R020",
            "several series in one folder",
            where=str(path),
            got=found,
            expected="one",
            remedy="move the wanted series into a folder of its own",
        )


def _refuse_kinds(dataset: FileDataset, path: Path) -> None:
    if "MOSAIC" in _image_type(dataset):
        raise ReadError(
            "R023",
            "a mosaic holds a whole volume in one picture",
            where=str(path),
            remedy="convert it to NIfTI with a converter that knows mosaics, or export it unmosaicked",
        )
    why = [
        text
        for wrong, text in (
            (int(dataset.get("SamplesPerPixel") or 1) != 1, "colour pixels"),
            ("FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset, "floating-point pixels"),
            ("PixelData" not in dataset, "no pixels"),
            (bool(dataset.get("ModalityLUTSequence")), "a Modality LUT instead of a rescale"),
            (str(dataset.get("Modality")) in ("SEG", "RTDOSE"), f"modality {dataset.get('Modality')}"),
        )
        if wrong
    ]
    if why:
        raise ReadError(
            "R010",
            "this kind of DICOM image is not supported",
            where=str(path),
            got=", ".join(why),
            expected="grey CT or MR slices with whole numbers",
            remedy="convert it to NIfTI, or a photograph to PNG",
        )


def _frame(dataset: FileDataset, path: Path, index: int, places: list[Any]) -> Frame:
    position = _find(places, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _find(places, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _find(places, "PixelMeasuresSequence", "PixelSpacing")
    for name, value, count in (
        ("ImagePositionPatient", position, 3),
        ("ImageOrientationPatient", orientation, 6),
        ("PixelSpacing", spacing, 2),
    ):
        if value is None or len(np.atleast_1d(value)) != count:
            raise ReadError(
                "R024",
                "the slice has no place in the patient",
                where=str(path),
                got=f"{name} {value}",
                expected=f"{count} numbers",
                remedy="only CT and MR with a geometry can be used as volumes",
            )
    thickness = _find(places, "PixelMeasuresSequence", "SpacingBetweenSlices")
    if thickness is None or thickness == "":
        thickness = _find(places, "PixelMeasuresSequence", "SliceThickness")
    return Frame(
        dataset=dataset,
        path=path,
        index=index,
        position=np.array(position, dtype=np.float64),
        orientation=np.array(orientation, dtype=np.float64).reshape(2, 3),
        spacing_mm=(float(spacing[0]), float(spacing[1])),
        thickness_mm=number(thickness, 0.0) or None,
        slope=number(_find(places, "PixelValueTransformationSequence", "RescaleSlope"), 1.0),
        intercept=number(_find(places, "PixelValueTransformationSequence", "RescaleIntercept"), 0.0),
    )


def _find(places: list[Any], group: str, keyword: str) -> Any:
    """An element from the frame's own functional groups, the shared ones, or the file itself."""
    for place in places:
        inner = place.get(group)
        value = inner[0].get(keyword) if inner else place.get(keyword)
        if value is not None:
            return value
    return None
