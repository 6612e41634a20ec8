"""One DICOM file -> its header, with what damaged and hostile files do turned into errors with a code."""

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medgan.errors import ReadError
from medgan.imaging.container import is_dicom
from medgan.imaging.dicom_layout import Layout, layout_of
from medgan.imaging.dicom_shared import SharedElements
from medgan.imaging.dicom_sources import Source
from medgan.imaging.dicom_values import PARSE_ERRORS, tag_of
from medgan.imaging.dicom_values import text as text
from medgan.imaging.dicom_values import whole_number as whole_number

_DEFERRED_BYTES = 4096
_MAX_INFLATED_BYTES = 2**30
_HEAD_BYTES = 400
_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID",
    "SeriesInstanceUID", "SeriesDescription", "SeriesNumber", "InstanceNumber",
    "ImageType", "Modality", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "PixelAspectRatio",
    "SliceThickness", "SpacingBetweenSlices", "GantryDetectorTilt", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units", "ModalityLUTSequence",
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "LossyImageCompression", "BurnedInAnnotation",
    "NumberOfSeriesRelatedInstances", "ImagesInAcquisition", "NumberOfSlices", "InConcatenationTotalNumber",
    "ConcatenationUID", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "DetectorInformationSequence", "SliceVector", "DirectoryRecordSequence", "EchoTime", "EchoNumbers",
    "InversionTime", "TemporalPositionIdentifier", "DiffusionBValue", "DiffusionGradientOrientation", "TriggerTime",
    "NominalPercentageOfCardiacPhase", "FlipAngle", "AcquisitionNumber", "FrameReferenceTime", "ConvolutionKernel",
    "AcquisitionTime", "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
_PIXELS = Tag("PixelData")
_TAGS = [tag for keyword in _KEYWORDS if (tag := tag_of(keyword)) is not None]


@dataclass(frozen=True, eq=False)
class DicomFile:
    """One file, parsed.

    Args:
        source: Its bytes.
        dataset: Its elements: those that reading needs, or all of them; long values may be left in the file.
        size: Bytes in the file.
    """

    source: Source
    dataset: FileDataset
    size: int

    @cached_property
    def layout(self) -> Layout:
        """How its pixels are stored.

        Raises:
            ReadError: R022 without a transfer syntax that fits.
        """
        return layout_of(self.dataset, self.path)

    @property
    def path(self) -> Path:
        """For messages; a zip's member stands below the zip."""
        return self.source.path


@contextmanager
def parsing(where: Path) -> Iterator[None]:
    """Turn what odd headers raise in pydicom into an error with a code.

    Its warnings and its log are silenced: they quote values of the header, which may name the patient. What is used
    of odd values is checked here.

    Raises:
        ReadError: R022.
    """
    log = logging.getLogger("pydicom")
    was_disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RecursionError as error:
        raise ReadError(
            "R022", "sequences are nested too deep", where=str(where), remedy="the file is damaged or hostile"
        ) from error
    except PARSE_ERRORS as error:
        # not the error's own words: they quote values of the header, which may name the patient
        raise ReadError(
            "R022",
            "not a readable DICOM file",
            where=str(where),
            got=f"a {type(error).__name__} in its header",
            remedy="export it again",
        ) from error
    finally:
        log.disabled = was_disabled


def shared_elements() -> SharedElements:
    """Where the files of one series share their elements; one for each call that reads one."""
    return SharedElements(_TAGS)


def parse(source: Source, shared: SharedElements | None = None) -> DicomFile | None:
    """Read a file's header, or None where the file is not DICOM.

    Args:
        source: The file.
        shared: Elements of the files before it.

    Raises:
        ReadError: R022 a file that cannot be parsed, R006 one that inflates without end.
    """
    with parsing(source.path), source.open() as file:
        head = file.read(_HEAD_BYTES)
        if not is_dicom(head):
            return None
        if len(head) > 132 and not any(head[132:]):  # an interrupted copy, which pydicom would take minutes to walk
            if source.path.name.startswith("."):
                return None
            raise ReadError("R022", "nothing but zeros", where=str(source.path), remedy="copy it again")
        size = file.seek(0, 2)
        deferred = None if _is_deflated(head, file, source.path) else _DEFERRED_BYTES
        file.seek(0)
        dataset = pydicom.dcmread(file, defer_size=deferred, specific_tags=[*_TAGS], force=True)
        if any(_is_left_out(element) for element in dataset.values()):  # a long sequence or palette
            file.seek(0)
            dataset = pydicom.dcmread(file, specific_tags=[*_TAGS], force=True)
        if shared is not None:
            shared.put_into(dataset)
    return DicomFile(source, dataset, size)


def parse_whole(file: DicomFile) -> DicomFile:
    """The same file with all its elements, pixels and private ones too."""
    with parsing(file.path), file.source.open() as opened:
        dataset = pydicom.dcmread(opened, force=True)
    return replace(file, dataset=dataset)


def parse_with_pixels(file: DicomFile) -> DicomFile:
    """The same file with the elements that reading needs, and all their values in memory."""
    with parsing(file.path), file.source.open() as opened:
        dataset = pydicom.dcmread(opened, force=True, specific_tags=[*_TAGS])
    return replace(file, dataset=dataset)


def _is_left_out(element: object) -> bool:
    return (
        isinstance(element, RawDataElement) and element.value is None and element.length > 0 and element.tag != _PIXELS
    )


def _is_deflated(head: bytes, file: BinaryIO, where: Path) -> bool:
    if str(DeflatedExplicitVRLittleEndian).encode() not in head:
        return False
    file.seek(0)
    packed, found = file.read(), 0
    start = packed.find(b"\x02\x00\x00\x00UL\x04\x00")
    length = int.from_bytes(packed[start + 8 : start + 12], "little") if start >= 0 else 0
    inflater, rest = zlib.decompressobj(-zlib.MAX_WBITS), packed[start + 12 + length :]
    while rest and not inflater.eof and found <= _MAX_INFLATED_BYTES:
        found += len(inflater.decompress(rest, 2**20))
        rest = inflater.unconsumed_tail
    if found > _MAX_INFLATED_BYTES:
        raise ReadError(
            "R006",
            "a deflated file inflates to more than any image needs",
            where=str(where),
            got=f"more than {found} bytes",
            expected=f"{_MAX_INFLATED_BYTES} bytes at most",
            remedy="export it again without deflation",
        )
    return True
