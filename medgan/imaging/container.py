"""What kind of file it is, told by its first bytes and never by its name alone."""

import struct
from pathlib import Path

from medgan.errors import ReadError

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"RIFF", "a WebP or RIFF file"),
    (b"NRRD", "an NRRD volume"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
)
_PICTURES = frozenset(
    ("a GIF", "a BMP", "a WebP or RIFF file", "a JPEG 2000", "a JPEG XL", "a HEIC picture", "an AVIF picture")
)
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "a HEIC picture"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
}
_READABLE = ("png", "jpeg", "tiff", "nifti", "dicom")
_VALUE_KINDS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


def kind_of(path: Path) -> str:
    """Tell the format of a file, or of a folder of DICOM slices.

    Args:
        path: File or folder.

    Returns:
        ``"png"``, ``"jpeg"``, ``"tiff"``, ``"nifti"`` or ``"dicom"``; a gzip stream counts as NIfTI, a zip that holds
        a DICOM file as DICOM.

    Raises:
        ReadError: R000 nothing there, R001 zero bytes, R002 another format, R003 not gzip under a name that says so,
            R019 or R031 a zip that must not be opened, R040 no right to read it.
    """
    if path.is_dir():
        return "dicom"
    if not path.is_file():
        raise ReadError("R000", "no such file", where=str(path), remedy="check the manifest and the data root")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise ReadError(
            "R040", "cannot be read", where=str(path), got=error.strerror or "", remedy="check its rights"
        ) from error
    if not head:
        raise ReadError("R001", "the file has zero bytes", where=str(path), remedy="copy it again")
    kind = _by_bytes(head)
    if kind in _READABLE:
        return kind
    if kind == "gzip":
        return "nifti"
    if kind == "a zip archive" and _holds_dicom(path):
        return "dicom"
    raise _unreadable(path, kind)


def is_dicom(head: bytes) -> bool:
    """Whether a file's first bytes, 400 or more, are DICOM: with its preamble, or elements in order without one."""
    return head[128:132] == b"DICM" or _is_bare_dicom(head)


def has_text(head: bytes) -> str | None:
    """Say what a text file looks like that stands where an image should, or None for binary data."""
    start = head.lstrip()[:256].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<")):
        return "an HTML or XML page, such as a login or error page saved by a download"
    printable = sum(byte in b"\t\r\n" or 32 <= byte < 127 for byte in start)
    return "plain text" if start and printable == len(start) else None


def _by_bytes(head: bytes) -> str:
    if head[128:132] == b"DICM":  # first: a DICOM preamble may be a TIFF header, PS3.10 section 7.1
        return "dicom"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a video")
    size = (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    if 348 in size or 540 in size:
        return "nifti"
    if _is_bare_dicom(head):
        return "dicom"
    return has_text(head) or "an unknown format"


def _is_bare_dicom(head: bytes) -> bool:
    """Whether a file without preamble starts with three data elements of PS3.5, in ascending order."""
    return any(_starts_with_elements(head, *form) for form in (("<", True), (">", True), ("<", False)))


def _starts_with_elements(head: bytes, order: str, explicit: bool) -> bool:  # noqa: FBT001
    place, last = 0, (0, -1)
    for count in range(3):
        if place + 12 > len(head):
            return False
        tag = struct.unpack_from(order + "HH", head, place)
        value_kind = head[place + 4 : place + 6]
        starts_well = tag[0] in (2, 8) and tag[1] <= 0x20 if count == 0 else tag[0] <= 0x7FE0
        if not starts_well or tag <= last or (explicit and value_kind not in _VALUE_KINDS):
            return False
        if explicit and value_kind not in _LONG_KINDS:
            length, start = struct.unpack_from(order + "H", head, place + 6)[0], 8
        else:
            start = 12 if explicit else 8
            length = struct.unpack_from(order + "I", head, place + start - 4)[0]
        if length % 2 or (count < 2 and length > 256):
            return False
        place, last = place + start + length, tag
    return True


def _holds_dicom(path: Path) -> bool:
    from medgan.imaging.dicom_zip import open_zip, read_member, zip_members

    with open_zip(path) as archive:
        for member in zip_members(archive, path):
            if is_dicom(read_member(archive, member, path, count=400)):
                return True
    return False


def _unreadable(path: Path, kind: str) -> ReadError:
    if path.suffix == ".gz":
        return ReadError(
            "R003",
            "not gzip and not NIfTI",
            where=str(path),
            got=kind,
            expected="a gzip stream",
            remedy="download or copy it again",
        )
    return ReadError(
        "R002",
        "not a format that can be read",
        where=str(path),
        got=kind,
        expected="PNG, JPEG, TIFF, NIfTI (.nii, .nii.gz) or DICOM",
        remedy=_remedy(path, kind),
    )


def _remedy(path: Path, kind: str) -> str:
    if kind in _PICTURES:
        return "save it as PNG from a program that opens it, not as JPEG, which loses once more"
    header = path.with_suffix(".hdr")
    if path.suffix.lower() == ".img" and header.is_file():
        return f"these are voxels alone; name their header, {header.name}"
    return "convert it, or correct the manifest"
