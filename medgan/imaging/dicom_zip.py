"""A zip of DICOM files: looked through before anything in it is read, and never unpacked to disk."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from medgan.errors import ReadError

_MAX_MEMBERS = 100_000
_MAX_MEMBER_BYTES = 2 * 2**30
_MAX_BYTES = 16 * 2**30
_MAX_RATIO = 200  # images seldom reach 10:1, empty ones 1,000:1
_RATIO_FROM_BYTES = 256 * 2**20
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive to read.

    Raises:
        ReadError: R031, if it is damaged, wherever that shows.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise _unreadable(path, "damaged, or packed in a way that is not known") from error
    with archive:
        yield archive


def zip_members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """The files of an archive, in order of name, once all of them are found harmless.

    Raises:
        ReadError: R019 a name or link that leads out of it, R031 encrypted, or larger than any study.
    """
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    for member in members:
        _refuse_escape(member, path)
        if member.flag_bits & 0x1:
            raise _unreadable(path, "encrypted", remedy="unlock it into a folder with the program that made it")
    total, packed = sum(item.file_size for item in members), sum(item.compress_size for item in members)
    largest = max((item.file_size for item in members), default=0)
    if len(members) > _MAX_MEMBERS:
        raise _unreadable(path, f"{len(members)} files", expected=f"{_MAX_MEMBERS} at most")
    if total > _MAX_BYTES or largest > _MAX_MEMBER_BYTES:
        raise _unreadable(
            path,
            f"{total / 2**30:.3g} GiB unpacked, the largest file {largest / 2**30:.3g} GiB",
            expected=f"{_MAX_BYTES / 2**30:g} GiB, a file {_MAX_MEMBER_BYTES / 2**30:g} GiB at most",
            remedy="unpack what you need of it into a folder",
        )
    if total > _RATIO_FROM_BYTES and total > _MAX_RATIO * packed:
        raise _unreadable(path, f"packed {total / max(packed, 1):.0f}:1", expected=f"{_MAX_RATIO}:1 at most")
    return sorted(members, key=lambda item: item.filename)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, *, count: int = -1) -> bytes:
    """Read one file of an archive, whose CRC is then checked, or its first bytes.

    Raises:
        ReadError: R031, if it is damaged.
    """
    try:
        with archive.open(member) as file:
            return file.read(count)
    except _DAMAGE as error:
        raise _unreadable(path, f"a damaged file of {member.file_size} bytes in it") from error


def _refuse_escape(member: zipfile.ZipInfo, path: Path) -> None:
    name = PureWindowsPath(member.filename)  # which knows both kinds of slash
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if is_link or name.drive or name.root or ".." in name.parts:
        raise ReadError(
            "R019",
            "the zip holds a link" if is_link else "a name in the zip leads out of it",
            where=str(path),
            got=repr(member.filename[:100]),
            expected="plain files below it",
            remedy="pack it again",
        )


def _unreadable(path: Path, got: str, *, expected: str = "", remedy: str = "copy or pack it again") -> ReadError:
    return ReadError("R031", "the zip cannot be read", where=str(path), got=got, expected=expected, remedy=remedy)
