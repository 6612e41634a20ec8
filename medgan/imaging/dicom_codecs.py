"""Compressed DICOM pixels, by pydicom's plugins or else by SimpleITK."""

import os
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from medgan.errors import ReadError
from medgan.imaging.dicom_files import frame_count
from medgan.imaging.dicom_parse import DicomFile, parse_with_pixels, parsing
from medgan.imaging.image import Pixels

_J2K_START = b"\xff\x4f\xff\x51"
_JPEG_START = b"\xff\xd8\xff"
_END = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike
_PADDING = 2
_JPEG_SIZES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset((0x01, *range(0xD0, 0xD9)))
_MAX_MARKERS = 1000
_RLE_HEADER = 64
_SIZED = frozenset((*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes))
_ENDS_THE_PROCESS = "gdcm"  # its Python module calls std::terminate on a damaged JPEG; the one in SimpleITK raises


def decompressed(file: DicomFile, indices: Sequence[int]) -> list[Pixels]:
    """Decode frames of a compressed file.

    Args:
        file: Its header.
        indices: Which frames, rising.

    Returns:
        Arrays (H, W), or (H, W, 3) in RGB; stored numbers.

    Raises:
        ReadError: R030, if no decoder knows the stream or it is damaged.
    """
    whole = parse_with_pixels(file)
    with parsing(file.path):
        streams = list(generate_frames(whole.dataset.PixelData, number_of_frames=frame_count(file)))
        _check_streams(whole, streams, indices)
    for decode in (_by_pydicom, _by_simpleitk):
        found = _tried(decode, whole, streams, indices)
        if found is not None:
            return found
    raise ReadError(
        "R030",
        "the compressed pixels cannot be decoded",
        where=str(file.path),
        got=file.layout.syntax.name,
        expected="a whole stream, and its decoder",
        remedy='copy it again; if it is whole: pip install "medgan[codecs]", or decompress it first',
    )


Decoder = Callable[[DicomFile, list[bytes], Sequence[int]], Iterator[Pixels]]


def _tried(decode: Decoder, file: DicomFile, streams: list[bytes], indices: Sequence[int]) -> list[Pixels] | None:
    layout = file.layout
    shape = (layout.rows, layout.columns, *((layout.samples,) if layout.samples > 1 else ()))
    try:
        with parsing(file.path):
            found = list(decode(file, streams, indices))
    except (RuntimeError, ImportError, ReadError):
        return None
    return found if len(found) == len(indices) and all(array.shape == shape for array in found) else None


def _by_pydicom(file: DicomFile, streams: list[bytes], indices: Sequence[int]) -> Iterator[Pixels]:
    decoder = get_decoder(file.layout.syntax)
    names = [name for name in decoder.available_plugins if name != _ENDS_THE_PROCESS]
    for index in indices:
        array = next((found for name in names if (found := _by_plugin(file, index, name)) is not None), None)
        if array is None:
            raise RuntimeError("no plugin decodes it")
        yield array


def _by_plugin(file: DicomFile, index: int, name: str) -> Pixels | None:
    decoder = get_decoder(file.layout.syntax)
    try:
        array, _ = next(decoder.iter_array(file.dataset, indices=[index], decoding_plugin=name))
    except (RuntimeError, NotImplementedError, ValueError):
        return None
    return np.asarray(array)


def _by_simpleitk(file: DicomFile, streams: list[bytes], indices: Sequence[int]) -> Iterator[Pixels]:
    """Decode with the GDCM in SimpleITK: a bare file in memory with nothing but the stream, so no rescale."""
    import SimpleITK

    said = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
    try:
        for index in indices:
            place = os.memfd_create("frame")
            try:
                os.write(place, _bare_file(file, streams[index]))
                array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(f"/proc/self/fd/{place}"))
            finally:
                os.close(place)
            yield array[0].astype(np.int64).astype(f"u{file.layout.allocated // 8}")
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(said)


def _bare_file(file: DicomFile, stream: bytes) -> bytes:
    layout, bare = file.layout, Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = layout.syntax
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID = UID("1.2.3")
    bare.Modality = "OT"
    bare.Rows, bare.Columns, bare.SamplesPerPixel = layout.rows, layout.columns, layout.samples
    bare.PhotometricInterpretation = "MONOCHROME2" if layout.samples == 1 else layout.space
    bare.BitsAllocated, bare.BitsStored, bare.HighBit = layout.allocated, layout.bits, layout.high
    bare.PixelRepresentation = int(layout.signed)
    if layout.samples > 1:
        bare.PlanarConfiguration = int(file.dataset.get("PlanarConfiguration") or 0)
    bare.PixelData = encapsulate([stream])
    buffer = BytesIO()
    bare.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _check_streams(file: DicomFile, streams: list[bytes], indices: Sequence[int]) -> None:
    """Look for each stream's end, and compare its own size with the header's before a decoder allocates by it."""
    wanted = (file.layout.rows, file.layout.columns)
    if len(streams) != frame_count(file):
        raise _other(file, f"{len(streams)} compressed frames", f"{frame_count(file)} by NumberOfFrames")
    for index in indices:
        stream = streams[index]
        is_known = stream.startswith((_JPEG_START, _J2K_START))
        if is_known and _END not in stream.rstrip(b"\0")[-len(_END) - _PADDING :]:
            raise _other(file, "a stream without its end", "a whole one")
        if file.layout.syntax == RLELossless:
            _check_segments(file, stream)
            continue
        found = _stream_size(stream)
        if found is None and file.layout.syntax in _SIZED:  # GDCM looks for it for ever
            raise _other(file, "a stream without a frame header", "a whole one")
        if found is not None and found != wanted:
            raise _other(file, f"a stream of {found[0]} x {found[1]} pixels", f"{wanted[0]} x {wanted[1]}")


def _check_segments(file: DicomFile, stream: bytes) -> None:
    """Count the segments of an RLE frame: one for each byte of a pixel. GDCM divides by their number."""
    found, wanted = int.from_bytes(stream[:4], "little"), file.layout.samples * file.layout.allocated // 8
    if len(stream) < _RLE_HEADER or found != wanted:
        raise _other(file, f"{found} segments in {len(stream)} bytes", f"{wanted} segments")


def _stream_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns as a JPEG, JPEG-LS or JPEG 2000 stream states them, or None for others."""
    start = stream.find(_J2K_START, 0, 1000)
    if start >= 0 and len(stream) >= start + 24:
        right, bottom, left, top = (
            int.from_bytes(stream[place : place + 4], "big") for place in range(start + 8, start + 24, 4)
        )
        return bottom - top, right - left
    for marker, place in _jpeg_markers(stream):
        if marker in _JPEG_SIZES and len(stream) >= place + 9:
            rows, columns = (int.from_bytes(stream[at : at + 2], "big") for at in (place + 5, place + 7))
            return rows, columns
    return None


def _jpeg_markers(stream: bytes) -> Iterator[tuple[int, int]]:
    place = 0
    for _ in range(_MAX_MARKERS):
        if place + 4 > len(stream) or stream[place] != 0xFF:
            return
        marker = stream[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _JPEG_BARE:
            place += 2
        else:
            yield marker, place
            place += 2 + int.from_bytes(stream[place + 2 : place + 4], "big")


def _other(file: DicomFile, got: str, expected: str) -> ReadError:
    return ReadError(
        "R030",
        "the compressed pixels are not those that the header describes",
        where=str(file.path),
        got=got,
        expected=expected,
        remedy="copy or export it again",
    )
