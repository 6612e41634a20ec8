"""The files of a source that is to be de-identified: one file, those of a folder, those of a zip archive."""

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from medgan.errors import ReadError
from medgan.imaging.container import is_dicom

LARGEST_MEMBER = 8 * 2**30
"""Bytes that a file of a zip archive may unpack to."""

_HEAD = 4096
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"))


def files_of_source(source: Path, skipped: Counter[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name below the source, and how to read it.

    Links are not followed, and an archive is read where it is: no name in it decides where anything is written.

    Args:
        source: File, folder or zip archive.
        skipped: Takes the count of what is left out.
    """
    if source.is_file() and zipfile.is_zipfile(source) and kind_of_bytes(_head(source)) is None:
        with zipfile.ZipFile(source) as archive:
            for member in sorted(archive.infolist(), key=lambda entry: entry.filename):
                if not member.is_dir():
                    yield member.filename, lambda member=member: _member(archive, member)  # type: ignore[misc]
        return
    if source.is_file():
        yield source.name, source.read_bytes
        return
    for place, folders, files in os.walk(source):
        folders.sort()
        for name in sorted(files):
            path = Path(place) / name
            if path.is_symlink() or not path.is_file():
                skipped["links or special files"] += 1
                continue
            yield path.relative_to(source).as_posix(), path.read_bytes


def kind_of_bytes(raw: bytes) -> str | None:
    """What a file is, by its first bytes; None for what is no image."""
    if is_dicom(raw[:_HEAD]):  # with a preamble, which may be a TIFF's header, or without
        return "dicom"
    for magic, kind in _MAGIC:
        if raw.startswith(magic):
            return kind
    sizes = {int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big")}
    return "nifti" if raw[:2] == b"\x1f\x8b" or sizes & {348, 540} else None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as stream:
            raw = stream.read(LARGEST_MEMBER + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise ReadError("R005", "a file of the archive is damaged", got=type(error).__name__) from None
    if len(raw) > LARGEST_MEMBER:
        raise ReadError("R005", "a file of the archive unpacks to more than 8 GiB")
    return raw


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
