"""A NIfTI header: which kind it is, and where it says its voxels are."""

from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from medgan.errors import ReadError

RGB24, RGBA32 = 128, 2304
_SIZES = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_MAGIC = {b"n+1\0": False, b"ni1\0": True, b"n+2\0\r\n\x1a\n": False, b"ni2\0\r\n\x1a\n": True}
_MAX_OFFSET = 64 * 2**20


@dataclass(frozen=True)
class Layout:
    """Where the voxels of a file are.

    Args:
        dtype: Type on disk, in the file's byte order; uint8 for colour.
        channels: 1, or 3 (RGB24) or 4 (RGBA32) numbers a voxel, side by side.
        shape: (i, j, k) of one volume.
        volumes: How many volumes.
        offset: Bytes before the first voxel, in the file that holds the voxels.
        pair: Whether that is another file than the header's.
    """

    dtype: np.dtype[Any]
    channels: int
    shape: tuple[int, int, int]
    volumes: int
    offset: int
    pair: bool

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume."""
        return int(np.prod([*self.shape, self.channels], dtype=object)) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Bytes that the file with the voxels should have."""
        return self.offset + self.volume_bytes * self.volumes


def header_size(raw: bytes, *, where: str) -> int:
    """348 for NIfTI-1 and ANALYZE, 540 for NIfTI-2, of either byte order.

    Raises:
        ReadError: R007, if the first four bytes say neither.
    """
    for size in (int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big")):
        if size in _SIZES:
            return size
    raise ReadError("R007", "not a NIfTI header", where=where, got=f"first bytes {raw[:4].hex()}")


def parse_header(raw: bytes, *, where: str) -> Any:
    """Build nibabel's header from a file's first bytes; nothing in it is mended.

    Raises:
        ReadError: R007, if they are no NIfTI-1 or NIfTI-2 header; R046, if they are an ANALYZE header.
    """
    size = header_size(raw, where=where)
    if len(raw) < size:
        raise ReadError("R004", "the header is truncated", where=where, got=f"{len(raw)} bytes", expected=f"{size}")
    magic = raw[344:348] if size == 348 else raw[4:12]
    if magic not in _MAGIC:
        _refuse_magic(raw, magic, where=where)
    order = "<" if int.from_bytes(raw[:4], "little") == size else ">"
    return _SIZES[size](raw[:size], endianness=order, check=False)


def layout_of(header: Any, *, where: str) -> Layout:
    """Where the voxels are, as far as the header can be believed.

    Raises:
        ReadError: R007 impossible dimensions, R010 voxel type, R043 impossible place of the voxels.
    """
    dtype, channels = _voxel_type(header, where)
    shape, volumes = _shape(header, where)
    pair = _MAGIC[_magic_of(header)]
    return Layout(dtype, channels, shape, volumes, _offset(header, pair=pair, where=where), pair)


def check_extensions(head: bytes, header: Any, *, where: str) -> list[str]:
    """Walk the extensions between header and voxels.

    Args:
        head: All bytes before the voxels.
        header: Its parsed start.
        where: For messages.

    Returns:
        Notes.

    Raises:
        ReadError: R044, if an extension's size cannot be: other readers would fail on what is written from it.
    """
    size, notes = len(header.binaryblock), []
    if len(head) < size + 4 or head[size] == 0:
        return []
    place = size + 4
    while len(head) - place >= 16:
        length = int.from_bytes(head[place : place + 4], "little" if header.endianness == "<" else "big", signed=True)
        if not 8 <= length <= len(head) - place:
            raise ReadError(
                "R044",
                "a header extension has an impossible size",
                where=where,
                got=f"{length} bytes at byte {place}",
                expected=f"8 to {len(head) - place}",
                remedy="the header is damaged; convert the volume again",
            )
        if length % 16:
            notes.append("the size of a header extension is no multiple of 16")
        place += length
    return notes


def bitpix_note(header: Any, layout: Layout) -> list[str]:
    """Say where the redundant field disagrees with the voxel type; other readers go by the type too."""
    bits = 8 * layout.dtype.itemsize * layout.channels
    return [] if int(header["bitpix"]) == bits else [f"bitpix says {int(header['bitpix'])}, the voxel type has {bits}"]


def _refuse_magic(raw: bytes, magic: bytes, *, where: str) -> None:
    analyze = where.lower().endswith((".hdr", ".hdr.gz", ".img", ".img.gz"))
    if analyze and len(raw) >= 348 and not magic.startswith(b"n"):
        raise ReadError(
            "R046",
            "an ANALYZE 7.5 header, which does not say left from right",
            where=where,
            expected="NIfTI",
            remedy="convert the scanner's DICOM files to NIfTI; if they are gone, convert this with a program whose "
            "idea of left and right you have checked",
        )
    raise ReadError(
        "R007",
        "not a NIfTI header",
        where=where,
        got=f"magic {magic!r}",
        expected="magic n+1 or n+2, whole",
        remedy="copy the file again, in binary mode, or convert it again from the scanner's files",
    )


def _magic_of(header: Any) -> bytes:
    raw = bytes(header.binaryblock)
    return raw[344:348] if len(raw) == 348 else raw[4:12]


def _voxel_type(header: Any, where: str) -> tuple[np.dtype[Any], int]:
    code = int(header["datatype"])
    if code in (RGB24, RGBA32):
        return np.dtype(np.uint8), 3 if code == RGB24 else 4
    try:
        dtype = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError) as error:
        raise ReadError("R010", "unknown voxel type", where=where, got=f"code {code}") from error
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise ReadError(
            "R010",
            "voxel type is not supported",
            where=where,
            got=str(dtype),
            expected="integers, floats of 32 or 64 bits, or RGB",
            remedy="save magnitude or phase of complex values as a volume of its own" if dtype.kind == "c" else "",
        )
    return dtype, 1


def _shape(header: Any, where: str) -> tuple[tuple[int, int, int], int]:
    axes = int(header["dim"][0])
    dims = [int(n) for n in header["dim"][1 : max(axes, 0) + 1]]
    if not 1 <= axes <= 7 or any(n < 1 for n in dims):
        raise ReadError(
            "R007",
            "impossible dimensions in the header",
            where=where,
            got=str([axes, *dims]),
            expected="1 to 7 axes, each of 1 or more",
            remedy="the header is damaged; convert the volume again",
        )
    first = [*dims, 1, 1, 1][:3]
    return (first[0], first[1], first[2]), int(np.prod(dims[3:], dtype=object))


def _offset(header: Any, *, pair: bool, where: str) -> int:
    offset = float(header["vox_offset"])
    least = 0 if pair else len(header.binaryblock) + 4
    if not (np.isfinite(offset) and least <= offset <= _MAX_OFFSET and offset == int(offset)):
        raise ReadError(
            "R043",
            "the voxels start at an impossible place",
            where=where,
            got=f"vox_offset {offset:g}",
            expected=f"a whole number from {least} to {_MAX_OFFSET}",
            remedy="the header is damaged; convert the volume again",
        )
    return int(offset)
