"""How a DICOM file stores its pixels: size, depth, sign and transfer syntax."""

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medgan.errors import ReadError
from medgan.imaging.dicom_values import text, whole_number

_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True)
class Layout:
    """What the Image Pixel module says; numbers that are absent or no numbers are 0.

    Args:
        rows: Rows.
        columns: Columns.
        samples: SamplesPerPixel, 1 where it is absent.
        space: PhotometricInterpretation.
        allocated: BitsAllocated.
        bits: BitsStored; BitsAllocated where it is absent.
        high: HighBit; the uppermost of the stored bits where it is absent.
        signed: PixelRepresentation.
        syntax: Transfer syntax; the encoding found, where no file header names one.
    """

    rows: int
    columns: int
    samples: int
    space: str
    allocated: int
    bits: int
    high: int
    signed: bool
    syntax: UID

    @property
    def compressed(self) -> bool:
        """Whether the pixels stand in a compressed stream."""
        return bool(self.syntax.is_compressed and not self.syntax.is_deflated)

    @property
    def big_endian(self) -> bool:
        """Whether words start with their high byte."""
        return self.syntax == ExplicitVRBigEndian

    @property
    def is_deep_enough(self) -> bool:
        """Whether the stored bits lie within whole words that can be read."""
        fits = 0 < self.bits <= self.allocated and self.bits - 1 <= self.high < self.allocated
        return self.allocated in (8, 16, 32) and fits and not (self.compressed and self.high != self.bits - 1)


def layout_of(dataset: FileDataset, path: Path) -> Layout:
    """Read the Image Pixel module.

    Raises:
        ReadError: R022, if the transfer syntax is not known, or missing for compressed pixels.
    """
    numbers = {
        name: whole_number(dataset, name)
        for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit")
    }
    allocated, stored, high = numbers["BitsAllocated"] or 0, numbers["BitsStored"], numbers["HighBit"]
    bits = allocated if stored is None else stored
    return Layout(
        rows=numbers["Rows"] or 0,
        columns=numbers["Columns"] or 0,
        samples=numbers["SamplesPerPixel"] or 1,
        space=text(dataset, "PhotometricInterpretation"),
        allocated=allocated,
        bits=bits,
        high=bits - 1 if high is None else high,
        signed=bool(whole_number(dataset, "PixelRepresentation")),
        syntax=_syntax(dataset, path),
    )


def _syntax(dataset: FileDataset, path: Path) -> UID:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    element = dataset.get_item("PixelData", keep_deferred=True) if "PixelData" in dataset else None
    undefined = isinstance(element, RawDataElement) and element.length == _UNDEFINED_LENGTH
    if not syntax and not undefined:
        implicit, little = dataset.original_encoding
        return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    syntax = UID(syntax or "")
    if not syntax.is_transfer_syntax or (undefined and not syntax.is_compressed):
        raise ReadError(
            "R022",
            "the transfer syntax is not known, missing, or does not fit the pixels",
            where=str(path),
            remedy="export it again",
        )
    return syntax
