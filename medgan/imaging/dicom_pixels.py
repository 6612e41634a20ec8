"""Stored numbers of a DICOM file, decoded, with their sign."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian

from medgan.errors import ReadError
from medgan.imaging.dicom_files import number
from medgan.imaging.image import Pixels


def stored_frames(dataset: FileDataset, path: Path) -> Pixels:
    """Decode a file's pixels; no rescale is applied.

    Returns:
        (frames, H, W), int or uint of 8, 16 or 32 bits. Bits beyond BitsStored, which may hold overlays, are cleared
        or carry the sign.

    Raises:
        ReadError: R004 truncated, R010 bit depth, R030 no decoder or damaged stream.
    """
    allocated = int(dataset.get("BitsAllocated") or 0)
    if allocated not in (8, 16, 32):
        raise ReadError(
            "R010", "bit depth is not supported", where=str(path), got=f"{allocated} bits", expected="8, 16 or 32"
        )
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise ReadError("R022", "no transfer syntax", where=str(path), remedy="export it again")
    if syntax.is_compressed and not syntax.is_deflated:
        array = _decompressed(dataset, path)
    else:
        array = _native(dataset, path, big_endian=syntax == ExplicitVRBigEndian)
    return _with_sign(array, dataset)


def stored_limits(dataset: FileDataset) -> tuple[int, int]:
    """The least and the greatest number that BitsStored can hold."""
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if int(dataset.PixelRepresentation) else (0, (1 << bits) - 1)


def _shape(dataset: FileDataset) -> tuple[int, int, int]:
    return int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns)


def _native(dataset: FileDataset, path: Path, *, big_endian: bool) -> Pixels:
    allocated, raw = int(dataset.BitsAllocated), bytes(dataset.PixelData)
    shape = _shape(dataset)
    size = int(np.prod(shape))
    if len(raw) < size * allocated // 8:
        raise ReadError(
            "R004",
            "PixelData is truncated",
            where=str(path),
            got=f"{len(raw)} bytes",
            expected=f"{size * allocated // 8} bytes for {shape}",
            remedy="copy or export it again",
        )
    if big_endian and allocated == 8 and dataset["PixelData"].VR == "OW":
        raw = np.frombuffer(raw, dtype=">u2").astype("<u2").tobytes()
    kind = np.dtype(f"{'>' if big_endian else '<'}u{allocated // 8}")
    return np.frombuffer(raw, dtype=kind, count=size).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def _decompressed(dataset: FileDataset, path: Path) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(dataset.pixel_array).reshape(_shape(dataset))
    except (RuntimeError, NotImplementedError, ValueError, AttributeError, OSError) as error:
        reason = str(error)
    array = _by_simpleitk(dataset, path)
    if array is None:
        syntax = dataset.file_meta.TransferSyntaxUID
        raise ReadError(
            "R030",
            "the compressed pixels cannot be decoded",
            where=str(path),
            got=f"{syntax.name}; {reason[:160]}",
            remedy="copy it again; if it is whole: pip install pylibjpeg-openjpeg python-gdcm, or decompress it first",
        )
    return array


def _by_simpleitk(dataset: FileDataset, path: Path) -> Pixels | None:
    """Decode with GDCM, which knows more codecs; it rescales, which is undone here."""
    try:
        import SimpleITK
    except ImportError:
        return None
    try:
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    except RuntimeError:
        return None
    if values.size != np.prod(_shape(dataset)):
        return None
    slope, intercept = number(dataset.get("RescaleSlope"), 1.0), number(dataset.get("RescaleIntercept"), 0.0)
    numbers = np.rint((values.astype(np.float64) - intercept) / slope).astype(np.int64)
    return numbers.astype(f"u{int(dataset.BitsAllocated) // 8}").reshape(_shape(dataset))


def _with_sign(array: Pixels, dataset: FileDataset) -> Pixels:
    allocated = int(dataset.BitsAllocated)
    bits = int(dataset.get("BitsStored") or allocated)
    high = int(dataset.get("HighBit", bits - 1))
    unsigned: Any = array.astype(f"u{allocated // 8}", copy=False)
    unsigned = unsigned << (allocated - 1 - high)
    kind = "i" if int(dataset.get("PixelRepresentation") or 0) else "u"
    return np.asarray(unsigned.view(f"{kind}{allocated // 8}") >> (allocated - bits))
