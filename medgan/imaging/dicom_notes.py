"""What a DICOM header says that a reader of the result would want to know."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, value_of
from medgan.imaging.dicom_parse import DicomFile
from medgan.imaging.dicom_scale import unit_of
from medgan.imaging.dicom_values import number, text, whole_number, words

_LOSSY = {
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.51": "JPEG Extended",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
}
_OTHER_STEP = 0.05
_GAPPED = 1.9  # gaps of up to half a slice are usual in 2D MR
_MAYBE_LOSSY = {"1.2.840.10008.1.2.4.91": "JPEG 2000", "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000"}


def value_notes(frames: Sequence[Frame]) -> list[str]:
    """Notes on compression, inverted grey, pixels that are not square, missing file headers and a missing rescale."""
    files = list({id(frame.file): frame.file for frame in frames}.values())
    notes = [note for note in (_lossy(files), _aspect(files[0])) if note]
    if text(files[0].dataset, "PhotometricInterpretation") == "MONOCHROME1":
        notes.append("MONOCHROME1: shown inverted; values are as stored")
    if unit_of(frames[0]) == "HU" and not any(_has_rescale(frame) for frame in frames):
        notes.append("CT without a rescale in its header: stored numbers taken as HU")
    bare = sum(not file.dataset.file_meta.get("TransferSyntaxUID") for file in files)
    if bare:
        notes.append(f"{bare} files without a DICOM file header, read by the encoding that was found")
    return notes


def spacing_notes(frames: Sequence[Frame]) -> list[str]:
    """A note where ordered slices lie wider apart than their headers say: every other one may be missing.

    Positions are taken all the same, since SpacingBetweenSlices is filled in differently by vendors.
    """
    if len(frames) < 2:
        return []
    step = float(np.linalg.norm(frames[-1].position - frames[0].position)) / (len(frames) - 1)
    told = abs(number(value_of(frames[0].groups, "PixelMeasuresSequence", "SpacingBetweenSlices"), 0.0))
    thickness = abs(number(value_of(frames[0].groups, "PixelMeasuresSequence", "SliceThickness"), 0.0))
    if told and abs(step - told) > max(_OTHER_STEP * told, 0.02):
        return [f"slices lie {step:.4g} mm apart, while SpacingBetweenSlices is {told:.4g} mm; their positions count"]
    if not told and thickness and step > _GAPPED * thickness:
        return [f"slices of {thickness:.4g} mm lie {step:.4g} mm apart: some may be missing; their positions count"]
    return []


def count_notes(files: Sequence[DicomFile], found: int, slices: int, where: Path) -> list[str]:
    """Compare what was found with the numbers that headers announce.

    Args:
        files: Of the series.
        found: How many files there are, localizers among them and copies not.
        slices: Of the volume that is read.
        where: For messages.

    Raises:
        ReadError: R028, if files or slices are missing.
    """
    header = files[0].dataset
    announced = {"NumberOfSeriesRelatedInstances": found}
    if text(header, "Modality") == "PT":
        announced["NumberOfSlices"] = slices
    if text(header, "ConcatenationUID"):
        announced["InConcatenationTotalNumber"] = found
    for keyword, count in announced.items():
        wanted = whole_number(header, keyword)
        if wanted is not None and wanted > count:
            raise ReadError(
                "R028",
                "slices are missing",
                where=str(where),
                got=f"{count} {'slices' if keyword == 'NumberOfSlices' else 'files'}",
                expected=f"{wanted} by {keyword}",
                remedy="export the series again",
            )
    images = whole_number(header, "ImagesInAcquisition")
    if images is not None and images > max(found, slices):
        return [f"{found} files, while the header speaks of {images} images in the acquisition"]
    return []


def _has_rescale(frame: Frame) -> bool:
    names = ("RescaleSlope", "RescaleIntercept")
    said = (value_of(frame.groups, "PixelValueTransformationSequence", name) for name in names)
    return any(value not in (None, "") for value in said) or "ModalityLUTSequence" in frame.dataset


def _lossy(files: Sequence[DicomFile]) -> str:
    said: set[str] = set()
    for file in files:
        syntax, flag = str(UID(file.dataset.file_meta.get("TransferSyntaxUID") or "")), ""
        flag = text(file.dataset, "LossyImageCompression")
        name = _LOSSY.get(syntax) or (_MAYBE_LOSSY.get(syntax, "") if flag != "00" else "")
        if name or flag == "01":
            said.add(name or "LossyImageCompression 01")
    return f"lossy compression: {', '.join(sorted(said))}" if said else ""


def _aspect(file: DicomFile) -> str:
    ratio = words(file.dataset, "PixelAspectRatio")
    if len(ratio) != 2 or not all(part.lstrip("+").isdigit() for part in ratio) or int(ratio[0]) == int(ratio[1]):
        return ""
    return f"pixels are not square: PixelAspectRatio {int(ratio[0])}:{int(ratio[1])} (height to width), not resampled"
