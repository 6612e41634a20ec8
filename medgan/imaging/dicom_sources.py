"""Where DICOM files come from: one file, a folder with all below it, a DICOMDIR, a zip."""

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from pydicom.dataset import Dataset

from medgan.errors import ReadError
from medgan.imaging.dicom_zip import open_zip, read_member, zip_members
from medgan.manifests.dicomdir import file_beside, leaves, names_of


@dataclass(frozen=True)
class Source:
    """The bytes of one file.

    Args:
        path: The file; for a zip's member, the zip with the member's name below it.
        archive: The open zip that holds it.
        member: Its entry there.
    """

    path: Path
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None

    @property
    def on_disk(self) -> bool:
        """Whether other programs can open it by its path."""
        return self.archive is None

    def open(self) -> BinaryIO:
        """The bytes, from the first.

        Raises:
            ReadError: R031 a damaged zip, R040 if the system refuses.
        """
        if self.archive is not None and self.member is not None:
            return BytesIO(read_member(self.archive, self.member, self.path))
        try:
            return self.path.open("rb")
        except OSError as error:
            raise ReadError("R040", "the system refuses to read it", where=str(self.path), got=str(error)) from error


@contextmanager
def sources_of(path: Path) -> Iterator[tuple[list[Source], list[str]]]:
    """The files below a path, and notes; a zip stays open as long as the context.

    Args:
        path: A file, a folder or a zip.

    Raises:
        ReadError: R019 a link or name that leads out, R031 a zip that cannot be read.
    """
    if path.is_dir():
        yield _below(path)
    elif zipfile.is_zipfile(path) and _starts_as_zip(path):
        with open_zip(path) as archive:
            members = zip_members(archive, path)
            yield [Source(path / member.filename, archive, member) for member in members], []
    else:
        yield [Source(path)], []


def listed_sources(directory: Dataset, where: Path, known: Iterable[Source]) -> list[Source]:
    """The files that a DICOMDIR names.

    Args:
        directory: Its dataset.
        where: Its path; files are looked for beside it and below.
        known: Files of the same zip, where it stands in one.

    Raises:
        ReadError: R019 a name that leads out of the folder, R032 a file that is not there.
    """
    members = {source.path: source for source in known if not source.on_disk}
    return [_listed(names, where, members) for names in names_of(directory)]


def _listed(names: list[str], where: Path, members: dict[Path, Source]) -> Source:
    name = PureWindowsPath(*names)
    if leaves(names):
        raise _leaves(where, "/".join(names), "DICOMDIR names a file outside its folder")
    if members:
        wanted = where.parent.joinpath(*name.parts)
        if wanted not in members:
            raise _missing(where, name)
        return members[wanted]
    path = file_beside(where.parent, names)
    if path is None:
        raise _missing(where, name)
    if not path.resolve().is_relative_to(where.parent.resolve()):
        raise _leaves(where, "/".join(names), "DICOMDIR names a link that leaves its folder")
    return Source(path)


def _below(folder: Path) -> tuple[list[Source], list[str]]:
    root, files, links = folder.resolve(), [], 0
    for place, folders, names in os.walk(folder, onerror=_refuse):
        for item in (Path(place, name) for name in (*folders, *names)):
            if item.is_symlink():
                if not item.resolve().is_relative_to(root):
                    raise _leaves(folder, str(PurePosixPath(item.relative_to(folder))), "a link leaves the folder")
                links += 1  # what it points to is read in its own place
            elif item.is_file():
                files.append(item)
    notes = [f"{links} links within the folder not followed"] if links else []
    return [Source(item) for item in sorted(files)], notes


def _refuse(error: OSError) -> None:
    raise ReadError(
        "R040",
        "the system refuses to read it",
        where=str(error.filename),
        got=error.strerror or "",
        remedy="mend its rights",
    ) from error


def _starts_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _missing(where: Path, name: PureWindowsPath) -> ReadError:
    return ReadError(
        "R032",
        "a file that the DICOMDIR names is not there",
        where=str(where),
        got=name.as_posix()[:100],
        expected="all files of the medium beside the DICOMDIR",
        remedy="copy the medium again, whole",
    )


def _leaves(where: Path, name: str, what: str) -> ReadError:
    return ReadError(
        "R019",
        what,
        where=str(where),
        got=repr(name[:100]),
        expected="files below the folder",
        remedy="put the files themselves there",
    )
