"""What kind of file it is, told by its first bytes and never by its name alone."""

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
)
_READABLE = ("png", "jpeg", "tiff", "nifti", "dicom")


def kind_of(path: Path) -> str:
    """Tell the format of a file, or of a folder of DICOM slices.

    Args:
        path: File or folder.

    Returns:
        ``"png"``, ``"jpeg"``, ``"tiff"``, ``"nifti"`` or ``"dicom"``; a gzip stream counts as NIfTI.

    Raises:
        ReadError: R000 nothing there, R001 zero bytes, R002 another format, R003 not gzip under a name that says so.
    """
    if path.is_dir():
        return "dicom"
    if not path.is_file():
        raise ReadError("R000", "no such file", where=str(path), remedy="check the manifest and the data root")
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise ReadError("R001", "the file has zero bytes", where=str(path), remedy="copy it again")
    kind = _by_bytes(head)
    if kind in _READABLE:
        return kind
    if kind == "gzip":
        return "nifti"
    raise _unreadable(path, kind)


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
    size = (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    if 348 in size or 540 in size:
        return "nifti"
    return has_text(head) or "an unknown format"


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
        remedy="convert it, or correct the manifest",
    )
