"""Read a DICOM segmentation as one label image on the grid of the image that it belongs to."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileDataset

from medgan.errors import ReadError
from medgan.imaging.container import is_dicom
from medgan.imaging.dicom_parse import parsing, text, whole_number
from medgan.imaging.image import Image, Pixels

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_OWN_LABEL = re.compile(r"label ([0-9]{1,5}) of the label image")
_HEAD_BYTES = 400
_LARGEST_LABEL = 65535


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A segmentation as its file holds it.

    Args:
        path: The file.
        frames: (frames, H, W): 0 and 1, or labels where ``segments`` says None.
        segments: Segment that each frame is of; None in a label map.
        planes: (row, column, 1) of each frame -> LPS millimetres, (frames, 4, 3); NaN where it has no place.
        labels: Segment number -> label.
        frame_of_reference: FrameOfReferenceUID, or nothing.
    """

    path: Path
    frames: Pixels
    segments: tuple[int | None, ...]
    planes: npt.NDArray[np.float64]
    labels: dict[int, int]
    frame_of_reference: str


def read_segmentation(path: Path | str, *, like: Image) -> npt.NDArray[Any]:
    """Read a binary or label map SEG on an image's grid.

    Frames are placed by their positions, never by their order; where there is no frame, nothing is labelled. They may
    run along other axes of the grid than the image does, but must lie on its voxels.

    Args:
        path: A SEG file, or a folder that holds nothing else that is DICOM.
        like: The image that it belongs to.

    Returns:
        Segment numbers, or the labels that :func:`medgan.imaging.write_dicom_seg.write_segmentation` was given, in
        uint8 or uint16; (D, H, W), or (H, W) on a picture.

    Raises:
        ReadError: R004 truncated, R016 no label image, such as one with overlapping or fractional segments, R017
            another frame of reference, R022 a damaged header.
        GeometryError: G003 another shape, G004 another grid.
    """
    from medgan.imaging.dicom_seg_grid import on_grid_of

    found = load_segmentation(Path(path))
    if found is None:
        raise ReadError("R016", "no DICOM segmentation here", where=str(path), expected="one SEG file")
    return on_grid_of(found, like)


def load_segmentation(path: Path) -> Segmentation | None:
    """Read a SEG file, or the only DICOM file of a folder; None where that is something else.

    Raises:
        ReadError: R004 truncated, R016 fractional segments, R022 a damaged header.
    """
    file = _only_file(path)
    if file is None:
        return None
    with parsing(file):
        head = pydicom.dcmread(file, specific_tags=["SOPClassUID"], stop_before_pixels=True, force=True)
        if text(head, "SOPClassUID") not in (_SEGMENTATION, _LABEL_MAP):
            return None
        dataset = pydicom.dcmread(file, force=True)
        _refuse_kinds(dataset, file)
        frames = _frames(dataset, file)
        shared, own = _groups(dataset, len(frames))
        segments = tuple(_segment(groups, shared) for groups in own)
        if None in segments and text(dataset, "SegmentationType") == "BINARY":
            raise ReadError("R016", "frames without a segment", where=str(file), remedy="export it again")
        return Segmentation(
            path=file,
            frames=frames,
            segments=segments,
            planes=np.stack([_plane(groups, shared) for groups in own]),
            labels=_labels_of_segments(dataset),
            frame_of_reference=text(dataset, "FrameOfReferenceUID"),
        )


def _only_file(path: Path) -> Path | None:
    if path.is_file():
        return path
    files = [item for item in sorted(path.iterdir()) if item.is_file()] if path.is_dir() else []
    dicom = [item for item in files if _starts_as_dicom(item)]
    return dicom[0] if len(dicom) == 1 else None


def _starts_as_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return is_dicom(file.read(_HEAD_BYTES))


def _refuse_kinds(dataset: FileDataset, file: Path) -> None:
    kind = text(dataset, "SegmentationType")
    allowed = {_SEGMENTATION: "BINARY", _LABEL_MAP: "LABELMAP"}.get(text(dataset, "SOPClassUID"))
    if kind != allowed or kind not in ("BINARY", "LABELMAP"):
        raise ReadError(
            "R016",
            "not a label image",
            where=str(file),
            got="fractional segments" if kind == "FRACTIONAL" else "another kind of DICOM object",
            expected="a binary segmentation or a label map",
            remedy="threshold fractional segments on purpose, and save them as binary ones",
        )


def _labels_of_segments(dataset: FileDataset) -> dict[int, int]:
    """Segment number -> label: the same, save where the description of a segment holds a label."""
    labels: dict[int, int] = {}
    for item in dataset.SegmentSequence:
        own = _OWN_LABEL.fullmatch(text(item, "SegmentDescription"))
        number = int(item.SegmentNumber)
        labels[number] = int(own[1]) if own and int(own[1]) <= _LARGEST_LABEL else number
    return labels


def _frames(dataset: FileDataset, file: Path) -> Pixels:
    """Pixels of all frames, (frames, H, W)."""
    count = whole_number(dataset, "NumberOfFrames") or 1
    shape = (count, int(dataset.Rows), int(dataset.Columns))
    if not dataset.file_meta.TransferSyntaxUID.is_compressed:
        needed = (int(np.prod(shape)) * int(dataset.BitsAllocated) + 7) // 8
        if len(dataset.PixelData) < needed:
            raise ReadError(
                "R004",
                "PixelData is truncated",
                where=str(file),
                got=f"{len(dataset.PixelData)} bytes",
                expected=f"{needed} bytes for {shape}",
                remedy="copy or export it again",
            )
    return np.asarray(dataset.pixel_array).reshape(shape)


def _groups(dataset: FileDataset, count: int) -> tuple[Dataset, list[Dataset]]:
    own = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])
    return shared[0], own if len(own) == count else [Dataset()] * count


def _value(own: Dataset, shared: Dataset, sequence: str, keyword: str) -> Any:
    for place in (own, shared):
        inner = place.get(sequence)
        if inner and inner[0].get(keyword) is not None:
            return inner[0].get(keyword)
    return None


def _segment(own: Dataset, shared: Dataset) -> int | None:
    number = _value(own, shared, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
    return None if number is None else int(number)


def _plane(own: Dataset, shared: Dataset) -> npt.NDArray[np.float64]:
    position = _value(own, shared, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _value(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _value(own, shared, "PixelMeasuresSequence", "PixelSpacing")
    plane = np.full((4, 3), np.nan)
    if position is not None and orientation is not None and spacing is not None:
        across, down = np.array(orientation, dtype=np.float64).reshape(2, 3)
        plane[:3, 0], plane[:3, 1], plane[:3, 2] = down * float(spacing[0]), across * float(spacing[1]), position
        plane[3] = 0, 0, 1
    return plane
