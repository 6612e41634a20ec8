"""Take out of a header what described the old pixels, and mend what the standard does not allow."""

import copy
import re

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from medgan.errors import WriteError
from medgan.imaging.write_dicom_target import CARRIED
from medgan.imaging.write_dicom_values import decimal_text

_OLD_PIXELS = (
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "SmallestImagePixelValue", "LargestImagePixelValue",
    "SmallestPixelValueInSeries", "LargestPixelValueInSeries", "SmallestImagePixelValueInPlane",
    "LargestImagePixelValueInPlane", "PixelPaddingValue", "PixelPaddingRangeLimit", "IconImageSequence",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelDataProviderURL", "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "PaletteColorLookupTableUID", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
    "RealWorldValueMappingSequence", "EnhancedPaletteColorLookupTableSequence",
)  # fmt: skip
_OLD_INSTANCE = (
    "InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID",
    "SeriesDescriptionCodeSequence", "DigitalSignaturesSequence", "MACParametersSequence",
    "EncryptedAttributesSequence", "HL7StructuredDocumentReferenceSequence", "SourceImageSequence",
    "ReferencedPerformedProcedureStepSequence", "StorageMediaFileSetUID", "ConcatenationUID",
    "InConcatenationNumber", "InConcatenationTotalNumber", "ConcatenationFrameOffsetNumber",
    "SOPInstanceUIDOfConcatenationSource", "NumberOfSeriesRelatedInstances", "InstanceOriginStatus",
)  # fmt: skip
MULTI_FRAME = (
    "NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence", "DimensionOrganizationType", "DimensionIndexSequence", "FrameIncrementPointer",
    "FrameTime", "FrameTimeVector", "RepresentativeFrameNumber", "StartTrim", "StopTrim", "RecommendedDisplayFrameRate",
    "CineRate", "PreferredPlaybackSequencing", "FrameDelay", "EffectiveDuration", "SliceLocationVector",
)  # fmt: skip
_LOSSY = {  # transfer syntaxes 1.2.840.10008.1.2.4.x; JPEG 2000's may be either
    "50": "ISO_10918_1", "51": "ISO_10918_1", "53": "ISO_10918_1", "55": "ISO_10918_1", "81": "ISO_14495_1",
    "91": "ISO_15444_1", "93": "ISO_15444_2", "203": "ISO_15444_15",
}  # fmt: skip
_WORDS = {"OW": 2, "OL": 4, "OF": 4, "OV": 8, "OD": 8}
_TEXTS = ("SH", "LO", "ST", "LT", "UC", "UT")
_IDENTITY = ("PatientID", "StudyID", "AccessionNumber", "IssuerOfPatientID")
_OLD_DATE = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}|[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")
_AGE = re.compile(r"[0-9]{3}[DWMY]")


def cleaned(source: FileDataset, *, crossed: bool) -> Dataset:
    """A header to build a derived instance on.

    Args:
        source: Not changed; its sequences are copied where they are.
        crossed: Whether only what holds in every modality may stay.

    Returns:
        A copy without pixels, private elements, overlays, curves, and all that described the old pixels or the old
        instance; decimal strings longer than the 16 characters of the standard are cut to them.
    """
    kept = Dataset()
    for element in source:
        if _stays(element) and (not crossed or element.keyword in CARRIED):
            kept.add(copy.deepcopy(element) if element.VR == "SQ" else copy.copy(element))
    kept.remove_private_tags()
    _mend(kept, swapped=source.original_encoding[1] is False)
    return kept


def lossy_method(source: FileDataset) -> str | None:
    """LossyImageCompressionMethod of a file whose own pixels are lossy, or None."""
    return _LOSSY.get(str(source.file_meta.get("TransferSyntaxUID")).removeprefix("1.2.840.10008.1.2.4."))


def keep_lossy(dataset: Dataset, source: FileDataset, *, pixel_bytes: int) -> None:
    """Say that the pixels once were compressed with loss, which no later step takes back.

    Args:
        dataset: Changed in place.
        source: The file, whose transfer syntax says what its own elements may leave out.
        pixel_bytes: Size of its pixels, decompressed.
    """
    method = lossy_method(source)
    reversible = str(method).startswith("ISO_15444") and str(source.get("LossyImageCompression")) == "00"
    if method is None or reversible:
        return
    dataset.LossyImageCompression = "01"
    if not dataset.get("LossyImageCompressionRatio"):
        dataset.LossyImageCompressionRatio = decimal_text(
            round(pixel_bytes / max(len(source.get("PixelData") or b""), 1), 2)
        )
    if not dataset.get("LossyImageCompressionMethod"):
        ratios = dataset["LossyImageCompressionRatio"].VM
        dataset.LossyImageCompressionMethod = [method] * ratios


def _stays(element: DataElement) -> bool:
    tag = element.tag
    old = element.keyword in _OLD_PIXELS or element.keyword in _OLD_INSTANCE
    layer = tag.group & 0xFF00 in (0x5000, 0x6000)
    return not (old or layer or tag.is_private or tag.element == 0)


def _mend(dataset: Dataset, *, swapped: bool) -> None:
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                _mend(item, swapped=swapped)
            _drop_broken_codes(dataset, element)
        elif _is_beyond_mending(element):
            del dataset[element.tag]
        elif element.VR == "DS" and not element.is_empty:
            _shorten(element)
        elif element.VR in ("DA", "TM"):
            _modernise(element)
        elif swapped and element.VR in _WORDS and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, dtype=f">u{_WORDS[element.VR]}").byteswap().tobytes()


def _is_beyond_mending(element: DataElement) -> bool:
    """A group length, an age without its unit, text beyond its character set, what may not be empty or zero."""
    if element.VR == "AS":
        return not _AGE.fullmatch(str(element.value or "000Y"))
    if element.VR in _TEXTS and "\ufffd" in str(element.value):
        if element.keyword in _IDENTITY:
            raise WriteError(
                "W006",
                "the source's header cannot be written again",
                got=f"{element.keyword} in another character set than it says",
                remedy="mend the source's SpecificCharacterSet",
            )
        return True
    if element.keyword == "PixelSpacing":
        return not element.value or not all(float(value) > 0 for value in element.value)
    return element.tag.element == 0


def _shorten(element: DataElement) -> None:
    several = element.VM > 1
    texts = [str(value).strip() for value in (element.value if several else [element.value])]
    if any(len(text) > 16 for text in texts):
        short = [decimal_text(float(text)) if len(text) > 16 else text for text in texts]
        element.value = short if several else short[0]


def _modernise(element: DataElement) -> None:
    """Dates and times of ACR-NEMA 2.0, written 1994.11.05 and 11:20:00."""
    if isinstance(element.value, str) and _OLD_DATE.fullmatch(element.value):
        element.value = element.value.replace(".", "", 2) if element.VR == "DA" else element.value.replace(":", "")


def _drop_broken_codes(dataset: Dataset, element: DataElement) -> None:
    """A code without value, scheme or meaning says nothing that can be looked up."""
    if element.keyword == "RequestAttributesSequence" and not element.value:
        del dataset[element.tag]
    if not element.keyword.endswith("CodeSequence"):
        return
    whole = [item for item in element.value if _is_code(item)]
    if len(whole) < len(element.value):
        if whole:
            element.value = Sequence(whole)
        else:
            del dataset[element.tag]


def _is_code(item: Dataset) -> bool:
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return bool(value and item.get("CodeMeaning") and (item.get("CodingSchemeDesignator") or item.get("URNCodeValue")))
