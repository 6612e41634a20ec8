"""The DICOM files of one series, found below a path."""

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from medgan.errors import ReadError
from medgan.imaging.dicom_choice import Candidate, choose_series
from medgan.imaging.dicom_parse import DicomFile, parse, shared_elements
from medgan.imaging.dicom_sources import Source, listed_sources
from medgan.imaging.dicom_values import text

_DICOMDIR = "1.2.840.10008.1.3.10"
_GIVEN_OR_NOT = ("RescaleSlope", "RescaleIntercept")  # PET has one for each slice; a slice without is another matter
_SAME_IN_A_SERIES = (
    "PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "PhotometricInterpretation", "Units",
    "RescaleType", *_GIVEN_OR_NOT,
)  # fmt: skip
_SAYS_DICOM = (".dcm", ".ima", ".dicom")


def load_series(sources: Sequence[Source], series: str | None, where: Path) -> tuple[Candidate, list[str]]:
    """Parse files and choose the ones of one series.

    Args:
        sources: All files below the path; where it is a DICOMDIR alone, those that it names are read.
        series: As for :func:`medgan.imaging.dicom.read_dicom`.
        where: The path, for messages.

    Returns:
        The series, and notes on what was left out: other files, objects and localizers.

    Raises:
        ReadError: R001 an empty file, R021 no DICOM, R022 a file that cannot be parsed, R026 images of two patients
            under one UID, R032 a DICOMDIR's file that is not there, and those of
            :func:`medgan.imaging.dicom_choice.choose_series`.
    """
    files, others = _parsed(sources)
    listed = [item for file in files if _is_directory(file.dataset) for item in _listed(file, sources)]
    if listed and len(sources) == 1:
        files, others = _parsed(listed)
        if others:
            raise ReadError(
                "R022",
                "the DICOMDIR names files that are not DICOM",
                where=str(where),
                got=f"{others} of {len(listed)}",
                remedy="copy the medium again",
            )
    images = [file for file in files if not _is_directory(file.dataset)]
    others += len(files) - len(images)
    if not images:
        raise ReadError(
            "R021",
            "no DICOM image here",
            where=str(where),
            got=f"{others} other files",
            remedy="name the folder, zip or DICOMDIR that holds the slices",
        )
    if len(images) > 1:
        _refuse_cut_short(images)
    chosen, notes = choose_series(images, series, where)
    _refuse_mixed_up(chosen.files, where)
    return chosen, ([f"{others} files are not DICOM images; skipped"] if others else []) + notes


def _parsed(sources: Sequence[Source]) -> tuple[list[DicomFile], int]:
    files, others = [], 0
    shared = shared_elements()
    for source in sources:
        file = parse(source, shared)
        if file is not None:
            files.append(file)
            continue
        others += 1
        if len(sources) > 1:
            _refuse_damaged(source)
    return files, others


def _refuse_damaged(source: Source) -> None:
    """A slice that lost its first bytes on the way must not pass for a file of another kind."""
    name = source.path.name.lower()
    if name.startswith("."):
        return
    if name.endswith(_SAYS_DICOM):
        with source.open() as file:
            empty = not file.read(1)
        raise ReadError(
            "R001" if empty else "R022",
            "the file has zero bytes" if empty else "named as DICOM but not DICOM",
            where=str(source.path),
            remedy="copy it again, or take it out of the folder",
        )


def _refuse_cut_short(files: Sequence[DicomFile]) -> None:
    """A slice that ends before it says what it is must not pass for a report, which is left out."""
    for file in files:
        if not text(file.dataset, "SOPClassUID") and "Rows" not in file.dataset and "PixelData" not in file.dataset:
            raise ReadError(
                "R022",
                "the file does not say what it is",
                where=str(file.path),
                got=f"{file.size} bytes without SOPClassUID, Rows and PixelData",
                remedy="copy it again, or take it out of the folder",
            )


def _refuse_mixed_up(files: Sequence[DicomFile], where: Path) -> None:
    """One UID for images of two patients, units or scales: damage that no geometry would show."""
    for keyword in _SAME_IN_A_SERIES:
        found = {text(file.dataset, keyword) for file in files}
        if len(found if keyword not in _GIVEN_OR_NOT else {bool(one) for one in found}) > 1:
            raise ReadError(
                "R026",
                "images of different origin under one SeriesInstanceUID",
                where=str(where),
                got=f"{len(found)} different values of {keyword} in {len(files)} files",
                expected="one, or none at all",
                remedy="export the series again, or sort the files by hand",
            )


def _is_directory(dataset: Dataset) -> bool:
    meta = getattr(dataset, "file_meta", None) or {}
    return str(meta.get("MediaStorageSOPClassUID", "")) == _DICOMDIR or "DirectoryRecordSequence" in dataset


def _listed(file: DicomFile, sources: Sequence[Source]) -> list[Source]:
    return listed_sources(file.dataset, file.path, sources)
