"""What is wrong with the files that a manifest names, found without decoding a pixel."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from medgan.errors import ManifestError, if_shown, paths_shown
from medgan.manifests.dicomdir import listed_files
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.manifest import Case, Manifest, relative_path
from medgan.manifests.near_files import nearest_file
from medgan.manifests.twins import twins

_BLOCK = 1 << 20


class _Named(NamedTuple):
    case: Case
    column: str
    path: str

    @property
    def where(self) -> str:
        return f"{self.case.where}, {self.column}"

    @property
    def part(self) -> tuple[int | None, str | None]:
        """Which volume or series of the file it is."""
        return self.case.volume, self.case.series


def check_files(manifest: Manifest, *, paths: Sequence[str] = (), allow_duplicates: bool = False) -> list[Finding]:
    """Files that are missing, empty, outside the data root, or there twice.

    Args:
        manifest: The cases.
        paths: Free columns that hold paths too, such as a second observer's mask.
        allow_duplicates: Turn the error of one image under two subjects into a warning that records the override.

    Returns:
        Findings M040 missing, M059 neither file nor folder, M041 leads out of the root by a link, M042 empty, M043 one
        path in two rows, M006 a path outside the root, M024 the same bytes under two subjects, M028 the same bytes in
        one subject, M054 the same bytes with two labels.
    """
    named = [
        _Named(case, column, path)
        for case in manifest
        for column, path in (
            ("image", case.image),
            ("mask", case.mask or ""),
            *((name, case.extra.get(name, "")) for name in paths),
        )
        if path
    ]
    findings: list[Finding] = []
    sound = []
    for entry in named:
        wrong = _wrong(entry, manifest.root)
        if wrong is None:
            sound.append(entry)
        else:
            findings.append(wrong)
    images = [entry for entry in sound if entry.column == "image"]
    return [*findings, *_named_twice(images), *_same_bytes(images, manifest.root, allowed=allow_duplicates)]


def files_of(path: Path) -> list[Path]:
    """The file itself, with the voxels of a header or the slices of a DICOMDIR; or all files of a folder, sorted.

    What is read where a manifest names the path, so that a change of any of them is a change of the image.

    Raises:
        OSError: If a folder or file may not be read.
    """
    if path.is_dir():
        return sorted(part for part in path.rglob("*") if part.is_file())
    return [path, *_voxels_beside(path), *(listed_files(path) if path.is_file() else [])]


def _voxels_beside(path: Path) -> list[Path]:
    """The .img of a .hdr: two images may share every byte of their headers."""
    stem = path.name.lower().removesuffix(".gz")
    if not stem.endswith(".hdr") or not path.is_file():
        return []
    names = [stem.removesuffix(".hdr") + ending for ending in (".img", ".img.gz")]
    return sorted(other for other in path.parent.iterdir() if other.name.lower() in names and other.is_file())


def _wrong(entry: _Named, root: Path) -> Finding | None:
    try:
        relative_path(entry.path, entry.column, where=entry.where)
        path = root / entry.path
        if not path.exists():
            raise _absent(entry, root)
        if not (path.is_file() or path.is_dir()):
            raise ManifestError(
                "M059",
                "neither a file nor a folder",
                where=entry.where,
                got="a named pipe" if path.is_fifo() else "a socket" if path.is_socket() else "a device",
                remedy="name a file that lies on a disk",
            )
        outside = [part for part in (path, *files_of(path)) if not part.resolve().is_relative_to(root.resolve())]
        if outside:
            raise ManifestError(
                "M041",
                "a link leads out of the data root",
                where=entry.where,
                got=entry.path,
                remedy="copy the file into the data root",
            )
        if not any(part.stat().st_size for part in files_of(path)):
            raise ManifestError("M042", "the file is empty", where=entry.where, got=entry.path, remedy="copy it again")
    except ManifestError as error:
        return finding_of(error)
    except OSError as error:
        return finding_of(
            ManifestError("M040", "the file cannot be reached", where=entry.where, got=str(error.strerror))
        )
    return None


def _absent(entry: _Named, root: Path) -> ManifestError:
    near = nearest_file(root, entry.path)
    if near and not paths_shown():  # the file's true name is told no more than the one that the row has
        near = "a file is there whose name differs in capitals, accents or separators; --show-paths names it"
    return ManifestError(
        "M040",
        "no such file",
        where=entry.where,
        got=entry.path,
        remedy=near or "check the data root and the row; paths are relative to the data root",
    )


def _named_twice(images: Iterable[_Named]) -> Iterator[Finding]:
    first: dict[object, _Named] = {}
    for entry in images:
        known = first.setdefault((entry.path, entry.part), entry)
        if known is not entry:
            yield Finding(
                code="M043",
                severity="error",
                where=f"{known.case.where} and {entry.case.where}",
                message="two rows name the same image" + if_shown(f" {entry.path}"),
                remedy="keep one of them",
            )


def _same_bytes(images: Iterable[_Named], root: Path, *, allowed: bool) -> Iterator[Finding]:
    # Only files of one size can be alike, so few are read at all.
    by_size: dict[int, dict[str, _Named]] = defaultdict(dict)
    for entry in images:
        size = sum(part.stat().st_size for part in files_of(root / entry.path))
        by_size[size].setdefault(entry.path, entry)
    for alike in by_size.values():
        if len(alike) < 2:
            continue
        first: dict[object, _Named] = {}
        for entry in alike.values():
            known = first.setdefault((_sha256(root / entry.path), entry.part), entry)
            if known is not entry:
                yield from twins(known.case, entry.case, what="bytes", allowed=allowed)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for part in files_of(path):
        with part.open("rb") as stream:
            inner = hashlib.sha256()
            while block := stream.read(_BLOCK):
                inner.update(block)
        digest.update(inner.digest())
    return digest.hexdigest()
