"""A file's bytes in order, unpacked where it is gzip: all of them, or an error that says what is missing."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from medgan.errors import ReadError

try:
    from isal import igzip as _igzip
    from isal.isal_zlib import error as _isal_error

    _DAMAGE: tuple[Any, ...] = (EOFError, zlib.error, gzip.BadGzipFile, _isal_error)
    GZIP_LEVEL = 2  # of isal's 0 to 3: files as large as at level 6 of zlib
except ImportError:  # a platform without the wheel
    _igzip = gzip
    _DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)
    GZIP_LEVEL = 6

gzip_writer = _igzip.GzipFile

Bytes = npt.NDArray[np.uint8]

MAX_BYTES = 16 * 2**30
MAX_DENSE_BYTES = 2 * 2**30
_MAX_RATIO = 1100  # deflate cannot do better than 1032:1
_DENSE_RATIO = 100  # beyond this, a stream is air, an empty mask or a bomb
_MAX_TRAILING = 2**20
_CHUNK = 2**20


class Stream:
    """The bytes of one open file, read once from start to end.

    Args:
        raw: The file, or the gzip reader on it.
        path: For messages.
        compressed: Whether ``raw`` unpacks a gzip stream.
    """

    def __init__(self, raw: BinaryIO, path: Path, *, compressed: bool) -> None:
        self._raw, self.path, self.compressed = raw, path, compressed
        self.size_on_disk = path.stat().st_size
        self.position = 0

    def check_size(self, total: int, *, shape: tuple[int, ...], size: int) -> None:
        """Hold what a header announces against the file, before any of it is read.

        Args:
            total: Bytes that the file should have, unpacked.
            shape: For the message.
            size: Bytes that will be kept in memory.

        Raises:
            ReadError: R004 fewer bytes than announced, R006 more than can be, R041 more than announced.
        """
        allowed = self.size_on_disk * (_MAX_RATIO if self.compressed else 1)
        dense = self.compressed and size > max(MAX_DENSE_BYTES, self.size_on_disk * _DENSE_RATIO)
        if total > MAX_BYTES or (dense and total <= allowed):
            raise ReadError(
                "R006",
                "the header announces too much",
                where=str(self.path),
                got=f"{shape}, {total / 2**30:.1f} GiB in a file of {self.size_on_disk} bytes",
                expected=f"at most {MAX_BYTES / 2**30:g} GiB, and {MAX_DENSE_BYTES / 2**30:g} GiB of a volume packed "
                f"more than {_DENSE_RATIO}-fold",
                remedy="the header is damaged or the file is hostile; convert the volume again",
            )
        if total > allowed:
            self._truncated(total, f"{self.size_on_disk} bytes" + (" of gzip" if self.compressed else ""))
        if not self.compressed and total < self.size_on_disk:
            self._longer(self.size_on_disk - total, "")

    def read(self, count: int, *, expected: int) -> bytes:
        """The next bytes; ``expected`` is what the whole file should have, for the message."""
        return self.array(count, expected=expected).tobytes()

    def array(self, count: int, *, expected: int) -> Bytes:
        """The next bytes as a writable array.

        Raises:
            ReadError: R004, if the file ends before; R006, if the machine has not that much memory.
        """
        try:
            data = np.empty(count, dtype=np.uint8)
        except MemoryError as error:
            raise ReadError(
                "R006", "not enough memory for the volume", where=str(self.path), got=f"{count / 2**30:.1f} GiB"
            ) from error
        view, done = memoryview(cast("Any", data)), 0
        while done < count:
            got = cast("Any", self._raw).readinto(view[done : done + _CHUNK])
            if not got:
                self._truncated(expected, f"{self.position} bytes")
            done += got
            self.position += got
        return data

    def skip(self, count: int, *, expected: int) -> None:
        """Pass over bytes: sought where the file is plain, unpacked and dropped where it is gzip."""
        if not self.compressed:
            self._raw.seek(count, 1)
            self.position += count
            return
        for start in range(0, count, _CHUNK):
            self.array(min(_CHUNK, count - start), expected=expected)

    def rest(self, *, limit: int) -> bytes:
        """All that is left, if it is no more than ``limit``.

        Raises:
            ReadError: R006, if there is more.
        """
        data = b""
        while chunk := self._raw.read(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise ReadError(
                    "R006",
                    "the file holds far more than the header announces",
                    where=str(self.path),
                    got=f"more than {limit} bytes beyond",
                    remedy="the file is damaged or hostile; get it again",
                )
        return data

    def end(self) -> None:
        """Read on to the end, where gzip keeps its CRC; nothing else may stand there.

        Raises:
            ReadError: R006 or R041, if more bytes follow.
        """
        if trailing := len(self.rest(limit=_MAX_TRAILING)):
            self._longer(trailing, " unpacked")

    def _truncated(self, expected: int, got: str) -> None:
        raise ReadError(
            "R004",
            "the volume is truncated",
            where=str(self.path),
            got=got,
            expected=f"{expected} bytes",
            remedy="copy or download it again",
        )

    def _longer(self, count: int, how: str) -> None:
        raise ReadError(
            "R041",
            "the file is longer than its header announces",
            where=str(self.path),
            got=f"{count} more bytes{how}",
            expected="nothing after the voxels",
            remedy="size or voxel type in the header may be damaged; convert the volume again, or cut the file by hand",
        )


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a file; whether it is gzip is told by its bytes.

    Raises:
        ReadError: R004 or R005, if a gzip stream turns out to be cut or damaged while it is read.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        raw = cast("BinaryIO", _igzip.GzipFile(fileobj=file, mode="rb")) if compressed else file
        try:
            yield Stream(raw, path, compressed=compressed)
        except _DAMAGE as error:
            ended = isinstance(error, EOFError)
            raise ReadError(
                "R004" if ended else "R005",
                "the gzip stream is truncated, or other bytes follow it" if ended else "the gzip stream is damaged",
                where=str(path),
                got=f"{path.stat().st_size} compressed bytes; {error}",
                remedy="copy or download it again",
            ) from error
