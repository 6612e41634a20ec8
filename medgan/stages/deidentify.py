"""De-identify: images in, the same images without what tells who the patients are out."""

import os
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from medgan.errors import MedganError, ReadError, WriteError
from medgan.imaging.burned_in import burned_in_text
from medgan.imaging.deidentify_dicom import deidentify_dicom, is_directory
from medgan.imaging.deidentify_names import Pseudonyms, new_key, read_or_make_key, write_secret
from medgan.imaging.deidentify_nifti import deidentify_nifti
from medgan.imaging.deidentify_pictures import deidentify_picture
from medgan.imaging.deidentify_sources import files_of_source, kind_of_bytes
from medgan.imaging.limits import guarded
from medgan.imaging.read import read_image

MEGAPIXELS = 200.0
"""Photographs larger than this cannot be looked at for text, and wait for a review."""

_BASE_S, _BYTES_PER_S = 60.0, 2e6
_SUFFIXES = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif"}


@dataclass
class Deidentified:
    """What became of a source.

    Args:
        out: Folder of the new files.
        files: New files by kind.
        treated: How many pieces were treated, by kind and what was done.
        skipped: Files that were not copied, by why.
        refused: Files that were not exported for a reason, each with its number in the order of names.
        patients: How many patients the DICOM files are of.
    """

    out: Path
    files: Counter[str] = field(default_factory=Counter)
    treated: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, MedganError]] = field(default_factory=list)
    patients: int = 0

    def lines(self) -> Iterator[str]:
        """A table in words, without identifiers."""
        for kind, count in sorted(self.files.items()):
            yield f"{kind}: {count} files written"
            for (of, what), times in sorted(self.treated.items()):
                if of == kind and times:
                    yield f"  {times} x {what}"
        if self.patients:
            yield f"{self.patients} patients under new ids"
        for why, count in sorted(self.skipped.items()):
            yield f"not copied: {count} {why}"
        yield from self._refusals()

    def _refusals(self) -> Iterator[str]:
        by_text: dict[str, list[int]] = {}
        for number, error in self.refused:
            by_text.setdefault(str(error), []).append(number)
        for text, numbers in by_text.items():
            shown = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
            yield f"NOT EXPORTED, {len(numbers)} files (in the order of names: {shown}): {text}"


def deidentify(
    source: Path,
    out: Path,
    *,
    reviewed: bool = False,
    key: Path | None = None,
    crosswalk: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Deidentified:
    """Write every image of a file, folder or zip archive anew, without identifiers.

    DICOM: PS3.15 Basic Application Level Confidentiality Profile at every depth, new ids and UIDs. NIfTI: texts and
    extensions. Photographs: everything beside the pixels but colour profile and orientation. Pixels, rescale and
    geometry stay, bit for bit. New names hold nothing of the old ones. The folder appears whole or not at all; files
    that are refused are not in it.

    Args:
        source: What to read; nothing in it is changed.
        out: Folder to make; it must not exist, or be empty.
        reviewed: Whether somebody has looked at the images for text in the pixels.
        key: File with the secret that new identifiers are made with; made if it is not there. Without it they are
            random, and another run gives others.
        crosswalk: File to write old and new identifiers to.
        progress: Told how many files are done.

    Raises:
        ReadError: R000, if there is no source; R002, if it holds no image.
        WriteError: W034 key or crosswalk, W035 tables not installed, W036 the folder is not empty, W037 a secret inside
            the folder, W001 the disk refused.
    """
    _check_places(source, out, key, crosswalk)
    names = Pseudonyms(new_key() if key is None else read_or_make_key(key))
    done = Deidentified(out)
    temporary = out.absolute().with_name(f".{os.getpid()}.{out.name}.part")
    try:
        temporary.mkdir(parents=True)
        _copy_all(source, temporary, names, done, reviewed=reviewed, progress=progress)
        if not done.files and not done.refused:
            raise ReadError("R002", "no image in the source", got=f"{sum(done.skipped.values())} other files")
        if crosswalk is not None:
            write_secret(crosswalk, _table(names))
        if done.files:
            if out.is_dir():
                out.rmdir()
            temporary.rename(out)
    except OSError as error:
        raise WriteError("W001", "cannot write", got=error.strerror or "", remedy="free space") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    done.patients = sum(kind == "patient" for kind, _ in names.made)
    return done


def _check_places(source: Path, out: Path, key: Path | None, crosswalk: Path | None) -> None:
    if not source.exists():
        raise ReadError("R000", "no such file or folder", where="source")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WriteError("W036", "the folder for the results is not empty", where=str(out), remedy="name a new one")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise WriteError("W036", "the results would lie among the sources", where=str(out), remedy="name another")
    if crosswalk is not None and crosswalk.exists():
        raise WriteError("W034", "the crosswalk is there already", where=crosswalk.name, remedy="name a new file")
    for secret in (key, crosswalk):
        if secret is not None and secret.resolve().is_relative_to(out.resolve()):
            raise WriteError(
                "W037",
                "a file that leads back to the patients may not lie with the results",
                where=str(secret),
                remedy="keep it where only you can read it",
            )


def _copy_all(
    source: Path,
    folder: Path,
    names: Pseudonyms,
    done: Deidentified,
    *,
    reviewed: bool,
    progress: Callable[[int], None] | None,
) -> None:
    for number, (name, read) in enumerate(files_of_source(source, done.skipped), start=1):
        try:
            raw = read()
            kind = kind_of_bytes(raw)
            if kind is None:
                done.skipped["files that are no images"] += 1
            elif kind == "dicom" and is_directory(raw):
                done.skipped["DICOMDIR"] += 1
            else:
                _copy(raw, kind, name, folder, names, done, reviewed=reviewed)
        except OSError as error:
            done.refused.append((number, ReadError("R040", "cannot be read", got=error.strerror or "damaged")))
        except MedganError as error:
            if error.code == "W035":
                raise
            done.refused.append((number, error))
        if progress is not None:
            progress(number)


def _copy(
    raw: bytes, kind: str, name: str, folder: Path, names: Pseudonyms, done: Deidentified, *, reviewed: bool
) -> None:
    if kind == "dicom":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's quote values of the header
            clean, (patient, series, instance), treated = deidentify_dicom(raw, names, reviewed=reviewed)
        path = folder / "dicom" / patient / series / f"{instance}.dcm"
        if path.exists():
            _refuse_another(path, clean)
            done.skipped["duplicates"] += 1
            return
    elif kind == "nifti":
        clean, treated = deidentify_nifti(raw)
        path = folder / "volumes" / (names.file(name) + (".nii.gz" if raw[:2] == b"\x1f\x8b" else ".nii"))
    else:
        # decoded twice, to compare: in a child, which a hostile file may crash
        clean, treated = guarded(deidentify_picture, raw, where="", seconds=_BASE_S + len(raw) / _BYTES_PER_S)
        path = folder / "pictures" / (names.file(name) + _SUFFIXES[kind])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clean)
    if kind == "dicom" and not reviewed:
        _refuse_text_of_dicom(path)
    if kind in _SUFFIXES and not reviewed:
        _refuse_text(path)
    done.files[kind] += 1
    done.treated.update({(kind, what): times for what, times in treated.items()})


def _refuse_text_of_dicom(path: Path) -> None:
    """The same for a DICOM picture; slices of a volume hold none that could be told, and few can be read alone."""
    try:
        image = read_image(path, max_megapixels=MEGAPIXELS, guard=True)
    except MedganError as error:
        if error.code == "R004":  # truncated: a file that nobody can read is no export
            path.unlink()
            error.where = ""
            raise
        return
    if image.geometry is None:
        _refuse_text(path)


def _refuse_text(path: Path) -> None:
    """Take a photograph back that seems to hold text, or that cannot be looked at."""
    try:
        why = burned_in_text(read_image(path, max_megapixels=MEGAPIXELS, guard=True))
    except MedganError as error:
        path.unlink()
        error.where = ""  # a name of this run's own, which says nothing
        raise
    if why:
        path.unlink()
        raise WriteError(
            "W030",
            "quarantined: the pixels may hold text that names the patient",
            got=why,
            remedy="look at the pictures; where none names a person, run again with --reviewed",
        )


def _refuse_another(path: Path, clean: bytes) -> None:
    if path.read_bytes() != clean:
        raise WriteError("W038", "another file has the same instance UID and differs", remedy="leave one of them out")


def _table(names: Pseudonyms) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""').replace("\0", " ") + '"'

    rows = [",".join(map(quoted, (kind, old, new))) for (kind, old), new in names.made.items()]
    return "\n".join(["kind,old,new", *rows]) + "\n"
