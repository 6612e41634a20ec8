"""A NIfTI file's bytes: whole, checked to the end of the stream, and never more than the header announces."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from medgan.errors import ReadError

try:
    from isal import igzip as _igzip
    from isal.isal_zlib import error as _isal_error

    _DAMAGE: tuple[Any, ...] = (EOFError, zlib.error, gzip.BadGzipFile, _isal_error)
except ImportError:  # a platform without the wheel
    _igzip = gzip
    _DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)

MAX_BYTES = 16 * 2**30
_MAX_TRAILING = 2**20
_MAX_GZIP_RATIO = 1100  # deflate cannot do better than 1032:1
_CHUNK = 2**20


@dataclass(frozen=True)
class NiftiFile:
    """Header and the voxels of one volume, as they stand in the file.

    Args:
        header: nibabel's header, with the file's byte order.
        head: The bytes before the voxels: header and extensions.
        stored: Stored values of the whole file or of the chosen volume, shape (i, j, k), native byte order.
        volumes: How many volumes the file holds.
        compressed: Whether the bytes are a gzip stream.
    """

    header: Any
    head: bytes
    stored: np.ndarray
    volumes: int
    compressed: bool


def read_nifti_bytes(path: Path, *, volume: int | None = None) -> NiftiFile:
    """Read header and voxels; a gzip stream is read to its end, so that its CRC is checked.

    Args:
        path: .nii or .nii.gz; which of the two is told by the bytes.
        volume: Which volume of a 4D file, from 0.

    Raises:
        ReadError: R004 truncated, R005 CRC, R006 size, R007 header, R008 4D, R010 voxel type.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _open_gzip(file) if compressed else file
        try:
            return _read(stream, path, volume=volume, compressed=compressed)
        except _DAMAGE as error:
            truncated = isinstance(error, EOFError)
            raise ReadError(
                "R004" if truncated else "R005",
                "the gzip stream is truncated" if truncated else "the gzip stream is damaged",
                where=str(path),
                got=f"{path.stat().st_size} compressed bytes; {error}",
                remedy="copy or download it again",
            ) from error


def read_nifti_head(path: Path) -> tuple[Any, bytes]:
    """Return nibabel's header, and all bytes before the voxels: header and extensions."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _open_gzip(file) if compressed else file
        header, head = _head(stream, path)
        offset = max(int(header["vox_offset"]), len(head))
        return header, bytes(head + _exactly(stream, offset - len(head), path, expected=offset, before=len(head)))


def parse_header(raw: bytes, *, where: str) -> Any:
    """Build nibabel's header from a file's first bytes.

    Raises:
        ReadError: R007, if they are no single-file NIfTI-1 or NIfTI-2 header.
    """
    sizes = (int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big"))
    kind = nib.Nifti2Header if 540 in sizes else nib.Nifti1Header
    pair = raw[344:347] == b"ni1" or raw[4:7] == b"ni2"
    try:
        header = kind(raw[: kind.template_dtype.itemsize], check=False)
        magic = bytes(header["magic"].item())[:3]
    except (ValueError, KeyError, HeaderDataError, WrapStructError) as error:
        raise ReadError("R007", "not a NIfTI header", where=where, got=str(error)[:120]) from error
    if magic not in (b"n+1", b"n+2"):
        raise ReadError(
            "R007",
            "not a single-file NIfTI",
            where=where,
            got="a .hdr/.img pair" if pair else f"magic {magic!r}",
            expected="magic n+1 or n+2",
            remedy="convert the pair to .nii.gz" if pair else "convert it again from the scanner's files",
        )
    return header


def _read(stream: BinaryIO, path: Path, *, volume: int | None, compressed: bool) -> NiftiFile:
    where = str(path)
    header, head = _head(stream, path)
    dtype = _voxel_type(header, where)
    shape, volumes = _shape(header, where)
    offset = max(int(header["vox_offset"]), len(head))
    total = offset + int(np.prod(shape, dtype=object)) * volumes * dtype.itemsize
    _check_size(total, path, shape=(*shape, volumes), compressed=compressed)
    skip = _chosen(volume, volumes, where)
    head += _exactly(stream, offset - len(head), path, expected=total, before=len(head))
    size = int(np.prod(shape)) * dtype.itemsize
    _discard(stream, skip * size, path, expected=total, before=offset)
    raw = _exactly(stream, size, path, expected=total, before=offset + skip * size)
    _discard(stream, (volumes - skip - 1) * size, path, expected=total, before=offset + (skip + 1) * size)
    if compressed:
        _to_the_end(stream, where)
    stored = np.frombuffer(raw, dtype=dtype).reshape(shape, order="F")
    return NiftiFile(header, bytes(head), stored.astype(dtype.newbyteorder("="), copy=False), volumes, compressed)


def _head(stream: BinaryIO, path: Path) -> tuple[Any, bytearray]:
    head = _exactly(stream, 348, path, expected=352)
    if 540 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")):
        head += _exactly(stream, 540 - 348, path, expected=544, before=348)
    return parse_header(bytes(head), where=str(path)), head


def _voxel_type(header: Any, where: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(header.get_data_dtype())
    except HeaderDataError as error:
        raise ReadError("R010", "unknown voxel type", where=where, got=f"code {int(header['datatype'])}") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ReadError(
            "R010", "voxel type is not supported", where=where, got=str(dtype), expected="integers or floats"
        )
    return dtype


def _shape(header: Any, where: str) -> tuple[tuple[int, int, int], int]:
    axes = int(header["dim"][0])
    dims = [int(n) for n in header["dim"][1 : axes + 1]]
    if not 1 <= axes <= 7 or any(n < 1 for n in dims):
        raise ReadError("R007", "impossible dimensions in the header", where=where, got=str([axes, *dims]))
    first = [*dims, 1, 1, 1][:3]
    return (first[0], first[1], first[2]), int(np.prod(dims[3:], dtype=object))


def _chosen(volume: int | None, volumes: int, where: str) -> int:
    if volume is None and volumes > 1:
        raise ReadError(
            "R008",
            "the file holds several volumes",
            where=where,
            got=f"{volumes} volumes",
            expected="one",
            remedy=f"say which with volume: 0 to {volumes - 1} in the manifest",
        )
    if not 0 <= (volume or 0) < volumes:
        raise ReadError("R008", "no such volume", where=where, got=f"volume {volume}", expected=f"0 to {volumes - 1}")
    return volume or 0


def _check_size(total: int, path: Path, *, shape: tuple[int, ...], compressed: bool) -> None:
    actual = path.stat().st_size
    if total > MAX_BYTES:
        raise ReadError(
            "R006",
            "the header announces too much",
            where=str(path),
            got=f"{shape}, {total / 2**30:.1f} GiB in a file of {actual} bytes",
            expected=f"at most {MAX_BYTES / 2**30:g} GiB",
            remedy="the header is damaged; convert the volume again",
        )
    if total > actual * (_MAX_GZIP_RATIO if compressed else 1):
        raise _truncated(path, expected=total, got=f"{actual} bytes" + (" of gzip" if compressed else ""))


def _truncated(path: Path, *, expected: int, got: str) -> ReadError:
    return ReadError(
        "R004",
        "the volume is truncated",
        where=str(path),
        got=got,
        expected=f"{expected} bytes",
        remedy="copy or download it again",
    )


def _exactly(stream: BinaryIO, count: int, path: Path, *, expected: int, before: int = 0) -> bytearray:
    data = bytearray()
    while len(data) < count:
        chunk = stream.read(min(_CHUNK, count - len(data)))
        if not chunk:
            raise _truncated(path, expected=expected, got=f"{before + len(data)} bytes")
        data += chunk
    return data


def _discard(stream: BinaryIO, count: int, path: Path, *, expected: int, before: int) -> None:
    for start in range(0, count, _CHUNK):
        _exactly(stream, min(_CHUNK, count - start), path, expected=expected, before=before + start)


def _to_the_end(stream: BinaryIO, where: str) -> None:
    """Read what is left, so that the CRC is checked; much of it means a bomb or a wrong header."""
    trailing = 0
    while chunk := stream.read(_CHUNK):
        trailing += len(chunk)
        if trailing > _MAX_TRAILING:
            raise ReadError(
                "R006",
                "the gzip stream holds far more than the header announces",
                where=where,
                remedy="the file is damaged or hostile; get it again",
            )


def _open_gzip(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", _igzip.GzipFile(fileobj=file, mode="rb"))
