"""Room for translated images, and files that are put in place whole."""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from medgan.errors import MedganError, WriteError
from medgan.manifests.manifest import Case, Manifest
from medgan.samples.footprint import translated_bytes

_UNFINISHED = re.compile(r"\.\d+\..+")


def require_room(folder: Path, manifest: Manifest, cases: Iterable[Case]) -> None:
    """Refuse to begin what would fill the disk.

    Args:
        folder: Where the translated images are to lie; it need not be there.
        manifest: Knows where the sources lie.
        cases: Those still to be translated.

    Raises:
        WriteError: W013, if less is free than images and masks will take.
    """
    needed = sum(_bytes_of(manifest, case) for case in cases)
    place = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise WriteError(
            "W013",
            "the translated images will not fit on the disk",
            where=str(folder),
            got=f"{free / 1e9:.3f} GB free",
            expected=f"{needed / 1e9:.3f} GB",
            remedy="free some space, or choose another output folder",
        )


def _bytes_of(manifest: Manifest, case: Case) -> int:
    try:
        return translated_bytes(manifest.image_path(case), manifest.mask_path(case))
    except MedganError:
        return 0  # it is told with its case when its turn comes


def put_whole(place: Path, write: Callable[[Path], object]) -> None:
    """Have a file or folder written beside its place and moved there; one that lies there is there until then."""
    beside = place.with_name(f".{os.getpid()}.{place.name}")
    try:
        write(beside)
        if place.is_dir():
            shutil.rmtree(place)
        beside.replace(place)
    finally:
        remove(beside)


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, or a folder of files."""
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a killed process has left half-written below a folder of translated images; no other works there."""
    for kind in ("images", "masks"):
        for path in (folder / kind).glob(".*"):
            if _UNFINISHED.fullmatch(path.name):
                remove(path)
