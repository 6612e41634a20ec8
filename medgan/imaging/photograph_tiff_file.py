"""A TIFF's tags, read without a word into any log."""

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCK = threading.RLock()


@contextmanager
def tiff_file(raw: bytes) -> Iterator[tuple[Any, list[str]]]:
    """Open a TIFF; what tifffile would only log comes as a list.

    It goes on where a tag cannot be read, and its message may repeat the tag's text, such as a name. Text in another
    alphabet is no complaint. One TIFF is open at a time, since the log belongs to the whole process.

    Yields:
        The file, and what was wrong with it, which grows while it is read.
    """
    import tifffile

    log, complaints = logging.getLogger("tifffile"), _Complaints()
    with _LOCK:
        before = log.propagate, log.handlers[:], log.level, log.disabled, log.manager.disable
        log.propagate, log.handlers[:], log.disabled = False, [complaints], False
        # What is wrong with the file must be heard, whatever the program has done to its logs.
        logging.disable(logging.NOTSET)
        log.setLevel(logging.WARNING)
        try:
            with tifffile.TiffFile(io.BytesIO(raw)) as file:
                yield file, complaints.said
        finally:
            log.propagate, log.handlers[:], level, log.disabled, disabled = before
            log.setLevel(level)
            logging.disable(disabled)


def tiff_profile(raw: bytes) -> bytes | None:
    """The colour profile of a TIFF that has been read before."""
    profile = _tag(raw, "InterColorProfile")
    return profile if isinstance(profile, bytes) else None


def tiff_orientation(raw: bytes) -> int | None:
    """The orientation of a TIFF that has been read before; None where it has none."""
    value = _tag(raw, "Orientation")
    return int(value) if isinstance(value, int) and value in range(1, 9) else None


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "coercing invalid ASCII" not in record.getMessage():
            self.said.append(record.levelname)


def _tag(raw: bytes, name: str) -> object:
    with tiff_file(raw) as (file, _):
        return file.pages[0].tags.valueof(name)
