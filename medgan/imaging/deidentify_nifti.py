"""One NIfTI volume without the text of its header; voxels and grid untouched."""

import gzip
import io
import math

import nibabel as nib
import numpy as np

from medgan.errors import ReadError

_TEXTS = ("data_type", "db_name", "descrip", "aux_file", "intent_name", "unused_str")
_LARGEST = 8 * 2**30


def deidentify_nifti(raw: bytes) -> tuple[bytes, dict[str, int]]:
    """Blank the texts of a volume's header and drop its extensions.

    What says how to read the voxels stays: type, rescale, both transforms, units. A compressed file comes back
    compressed, without the name and time that gzip keeps.

    Args:
        raw: The file.

    Returns:
        The new file, compressed where the old one was, and how many texts and extensions were taken out.

    Raises:
        ReadError: R004 truncated, R005 damaged.
    """
    packed = raw[:2] == b"\x1f\x8b"
    data = _unpacked(raw) if packed else raw
    header = _header(data)
    start, size = int(header["vox_offset"]), _voxel_bytes(header)
    if start < len(header.binaryblock) or len(data) < start + size:
        raise ReadError("R004", "the volume is truncated", got=f"{len(data)} bytes", expected=f"{start + size}")
    blanked = sum(_blank(header, name) for name in _TEXTS if name in header.keys())  # noqa: SIM118 - a header is no mapping
    extensions = start - len(header.binaryblock) - 4
    head = len(header.binaryblock) + 4
    header["vox_offset"] = first = -(-head // 16) * 16
    clean = bytes(header.binaryblock) + b"\0" * (first - len(header.binaryblock)) + data[start : start + size]
    done = {"header texts blanked": blanked, "extensions dropped": int(extensions > 0 and any(data[head:start]))}
    return (gzip.compress(clean, 6, mtime=0) if packed else clean), done


def _unpacked(raw: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            data = stream.read(_LARGEST + 1)
    except (OSError, EOFError) as error:
        raise ReadError("R005", "the compressed file is damaged", got=type(error).__name__) from None
    if len(data) > _LARGEST:
        raise ReadError("R005", "the compressed file unpacks to more than 8 GiB")
    return data


def _header(data: bytes) -> nib.Nifti1Header:
    kinds = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
    for order, letter in (("little", "<"), ("big", ">")):
        kind = kinds.get(int.from_bytes(data[:4], order))  # type: ignore[arg-type]
        if kind is not None and len(data) >= kind.sizeof_hdr:
            header = kind(data[: kind.sizeof_hdr], endianness=letter, check=False)
            if bytes(header["magic"])[:3] in (b"n+1", b"n+2"):
                return header
    raise ReadError("R005", "not a NIfTI volume in one file", remedy="save it as .nii or .nii.gz")


def _voxel_bytes(header: nib.Nifti1Header) -> int:
    dims = [int(n) for n in header["dim"]]
    if not 1 <= dims[0] <= 7 or any(n == 0 or abs(n) > 2**31 for n in dims[1 : dims[0] + 1]):
        raise ReadError("R005", "the header's dimensions are damaged")
    bits = int(header["bitpix"])
    return math.ceil(math.prod(abs(n) for n in dims[1 : dims[0] + 1]) * bits / 8)


def _blank(header: nib.Nifti1Header, name: str) -> int:
    """Blank one text; 1 where there was any."""
    if name not in header.template_dtype.names:
        return 0  # NIfTI-2 has fewer
    held = bool(bytes(np.asarray(header[name]).tobytes()).strip(b"\0 "))
    header[name] = b""
    return int(held)
