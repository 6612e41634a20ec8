"""The prepared store: each case prepared once, found by what it is and how it was prepared."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

from medgan.errors import MedganError, ReadError, WriteError
from medgan.manifests.file_checks import files_of
from medgan.manifests.manifest import Case, Manifest
from medgan.samples.fill import bytes_needed, fill
from medgan.samples.naming import about_case
from medgan.samples.prepared import PreparedCase, open_prepared, sweep
from medgan.settings.preparation import Preparation

__all__ = ["PreparedCase", "PreparedStore"]

Item = TypeVar("Item")
Result = TypeVar("Result")

VERSION = "2"
"""Raise it when the same image and settings give other arrays than before."""


class PreparedStore:
    """Prepared cases in a folder, under the SHA-256 of image, mask, preparation and version.

    Several processes may fill one store at the same time: a case appears whole or not at all.

    Args:
        root: Folder of the store; made when first needed.
        preparation: How the cases of this store are prepared.
    """

    def __init__(self, root: Path, preparation: Preparation) -> None:
        self.root, self.preparation = root, preparation

    def key_of(self, case: Case, manifest: Manifest) -> str:
        """Key of a case: it changes with the bytes of image or mask, the preparation or :data:`VERSION`.

        Raises:
            ReadError: R040, if a file is there but may not be read. A file that is absent is the reader's to report.
        """
        digest = hashlib.sha256(f"{VERSION}\n{self.preparation.model_dump_json()}\n".encode())
        if case.volume is not None or case.series is not None or case.reviewed:
            digest.update(f"{case.volume}\n{case.series}\n{case.reviewed}\n".encode())
        for part in (manifest.image_path(case), manifest.mask_path(case)):
            try:
                digest.update(_digest_of(part))
            except OSError as error:
                got = error.strerror or type(error).__name__
                with about_case(manifest, case):
                    raise ReadError(
                        "R040", "cannot be read", where=str(part), got=got, remedy="check its rights"
                    ) from error
        return digest.hexdigest()

    def folder_of(self, key: str) -> Path:
        """Where the case of a key lies."""
        return self.root / key[:2] / key

    def open(self, case: Case, key: str, *, verify: bool = True) -> PreparedCase:
        """Open a case that was prepared.

        Args:
            case: Its row in the manifest.
            key: Its key.
            verify: Read every array and compare its SHA-256; otherwise only sizes are compared.

        Raises:
            StoreError: P000 if it is not there, P001 if a file is damaged.
        """
        return open_prepared(case, key, self.folder_of(key), verify=verify)

    def add(self, case: Case, manifest: Manifest) -> PreparedCase:
        """Open a case, and prepare it first unless it is there.

        Args:
            case: One row.
            manifest: Knows where its files lie.

        Raises:
            MedganError: What reading and preparing raise; P001 if it is there but damaged; W093 if the disk is full.
        """
        return self._add(case, self.key_of(case, manifest), manifest)

    def add_all(
        self,
        cases: Iterable[Case],
        manifest: Manifest,
        *,
        workers: int = 1,
        report: Callable[[int], None] | None = None,
        on_error: Callable[[Case, MedganError], None] | None = None,
    ) -> list[PreparedCase]:
        """Prepare many cases.

        Args:
            cases: Rows of the manifest.
            manifest: Knows where their files lie.
            workers: Cases that are prepared at a time, each by a child process of its own.
            report: Called with the number of finished cases after each.
            on_error: Called with each case that fails, which is then left out; without it the first failure ends all.

        Returns:
            The prepared cases, in the order given, without those that ``on_error`` took.

        Raises:
            WriteError: W092, before anything is written, if the cases will not fit on the disk.
            MedganError: The first failure, where there is no ``on_error``.
        """
        sweep(self.root)
        rows = list(cases)
        tally = _Tally(report, on_error)
        keys = _in_threads(lambda case: tally.guarded(case, lambda: self.key_of(case, manifest)), rows, workers=workers)
        keyed = [(case, key) for case, key in zip(rows, keys, strict=True) if key is not None]
        missing = [case for case, key in keyed if not self.folder_of(key).is_dir()]
        self._check_space(missing, manifest, workers=workers)

        def add(pair: tuple[Case, str]) -> PreparedCase | None:
            case, key = pair
            prepared = tally.guarded(case, lambda: self._add(case, key, manifest))
            tally.count()
            return prepared

        found = _in_threads(add, keyed, workers=workers)
        return [prepared for prepared in found if prepared is not None]

    def _add(self, case: Case, key: str, manifest: Manifest) -> PreparedCase:
        folder = self.folder_of(key)
        was_there = folder.is_dir()
        if not was_there:
            fill(manifest, case, self.preparation, folder)
        return self.open(case, key, verify=was_there)

    def _check_space(self, missing: Sequence[Case], manifest: Manifest, *, workers: int) -> None:
        needed = sum(_in_threads(lambda case: bytes_needed(manifest, case, self.preparation), missing, workers=workers))
        place = next(folder for folder in (self.root.absolute(), *self.root.absolute().parents) if folder.exists())
        free = shutil.disk_usage(place).free
        if needed > free:
            raise WriteError(
                "W092",
                "the prepared cases will not fit on the disk",
                where=str(self.root),
                got=f"{free / 1e9:.3f} GB free",
                expected=f"{needed / 1e9:.3f} GB",
                remedy="free some space, choose another output folder or prepare at a smaller size",
            )


class _Tally:
    """Counts finished cases and takes failures, one thread at a time."""

    def __init__(
        self, report: Callable[[int], None] | None, on_error: Callable[[Case, MedganError], None] | None
    ) -> None:
        self._report, self._on_error = report, on_error
        self._done, self._lock = 0, threading.Lock()

    def guarded(self, case: Case, work: Callable[[], Result]) -> Result | None:
        try:
            return work()
        except MedganError as error:
            if self._on_error is None:
                raise
            with self._lock:
                self._on_error(case, error)
            return None

    def count(self) -> None:
        with self._lock:
            self._done += 1
            if self._report is not None:
                self._report(self._done)


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item], *, workers: int) -> list[Result]:
    """Map over threads; after a failure what has not begun is dropped, and the first failure is raised."""
    pool = ThreadPoolExecutor(max_workers=max(1, workers))
    try:
        futures: list[Future[Result]] = [pool.submit(work, item) for item in items]
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:  # also when somebody presses Ctrl-C
        pool.shutdown(wait=True, cancel_futures=True)
    for future in futures:
        if not future.cancelled() and future.exception() is not None:
            future.result()
    return [future.result() for future in futures]


def _digest_of(path: Path | None) -> bytes:
    """SHA-256 over a file, or over the files of a folder or pair, sorted by name; blank where there is nothing."""
    if path is None or not path.exists():
        return bytes(32)
    files = files_of(path)
    digests = [_digest_of_file(part) for part in files]
    return digests[0] if files == [path] else hashlib.sha256(b"".join(digests)).digest()


def _digest_of_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
