"""What a DICOM header says that a reader of the result would want to know."""

from collections.abc import Sequence
from pathlib import Path

from pydicom.uid import UID

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame
from medgan.imaging.dicom_parse import DicomFile
from medgan.imaging.dicom_values import text, whole_number, words

_LOSSY = {
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.51": "JPEG Extended",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
}
_MAYBE_LOSSY = {"1.2.840.10008.1.2.4.91": "JPEG 2000", "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000"}


def value_notes(frames: Sequence[Frame]) -> list[str]:
    """Notes on compression, inverted grey, pixels that are not square and missing file headers."""
    files = list({id(frame.file): frame.file for frame in frames}.values())
    notes = [note for note in (_lossy(files), _aspect(files[0])) if note]
    if text(files[0].dataset, "PhotometricInterpretation") == "MONOCHROME1":
        notes.append("MONOCHROME1: shown inverted; values are as stored")
    bare = sum(not file.dataset.file_meta.get("TransferSyntaxUID") for file in files)
    if bare:
        notes.append(f"{bare} files without a DICOM file header, read by the encoding that was found")
    return notes


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
