"""The files that belong to a DICOMDIR: the slices stand beside it, and an index alone says little about them."""

import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MARKS = (b"1.2.840.10008.1.3.10", b"\x04\x00\x20\x12", b"\x00\x04\x12\x20")
"""Its SOP class and (0004,1220), its sequence of records, in both byte orders."""
_FIRST_GROUPS = (b"\x02\0", b"\0\x02", b"\x08\0", b"\0\x08")
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES = 4096
_MOST_PARSED_BYTES = 2**26


def listed_files(path: Path) -> list[Path]:
    """The files that a DICOMDIR names and that are there, sorted; none where the path is no DICOMDIR.

    Nothing is refused here: what is wrong with names or files is said when the images are read. A DICOMDIR that is
    packed, or too large to be looked into without limits, stands for all files below its folder.

    Args:
        path: Any file.

    Returns:
        Files below the DICOMDIR's folder, each once; also links, wherever they lead.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return []
    if not (head[128:132] == b"DICM" or head[:2] in _FIRST_GROUPS) or not any(mark in head for mark in _MARKS):
        return []
    folder = path.parent
    if _DEFLATED in head or path.stat().st_size > _MOST_PARSED_BYTES:
        return sorted(part for part in folder.rglob("*") if part.is_file() and part != path)
    found = (file_beside(folder, names) for names in _names(path))
    return sorted({part for part in found if part is not None and part != path})


def names_of(directory: "Dataset") -> list[list[str]]:
    """The file names of a DICOMDIR's records, each by its parts; records without a file are left out."""
    records = directory.get("DirectoryRecordSequence") or []
    named = (record.get("ReferencedFileID") for record in records)
    return [[parts] if isinstance(parts, str) else [str(part) for part in parts] for parts in named if parts]


def leaves(names: Sequence[str]) -> bool:
    """Whether a name leads out of its folder: absolute, by a drive or by ``..``."""
    name = PureWindowsPath(*names)
    return bool(name.drive or name.root or ".." in name.parts or any("\0" in part for part in names))


def file_beside(folder: Path, names: Sequence[str]) -> Path | None:
    """A named file below a folder, also where its name was lowered on the way; None if it leaves or is not there."""
    if leaves(names):
        return None
    parts = PureWindowsPath(*names).parts
    wanted = folder.joinpath(*parts)
    path = wanted if wanted.exists() else _in_any_case(folder, parts)
    return path if path is not None and path.is_file() else None


def _in_any_case(folder: Path, parts: Iterable[str]) -> Path | None:
    for part in parts:
        if not folder.is_dir():
            return None
        alike = [item for item in folder.iterdir() if item.name.upper() == part.upper()]
        if len(alike) != 1:
            return None
        folder = alike[0]
    return folder


def _names(path: Path) -> list[list[str]]:
    import pydicom  # few studies need it here

    with _quiet():
        try:
            return names_of(pydicom.dcmread(path, specific_tags=["DirectoryRecordSequence"], force=True))
        except Exception:  # noqa: BLE001 - whatever pydicom raises of odd bytes, the reader refuses them with a code
            return []


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pydicom's warnings and log, which quote values of the header."""
    log = logging.getLogger("pydicom")
    was_disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = was_disabled
