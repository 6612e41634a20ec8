"""What the disk refuses, said as an error with a code."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medgan.errors import WriteError

_REFUSALS = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "your quota is used up: free some space, or choose another folder",
    errno.EFBIG: "the system limits the size of files here (ulimit -f): raise it",
    errno.EROFS: "the disk is read-only: choose another folder",
}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def disk_refusals_told(folder: Path) -> Iterator[None]:
    """Let a write that the disk refuses end in an error with a code; what was whole before is whole still.

    Args:
        folder: What is written to, for the message.

    Raises:
        WriteError: W014, in place of an ``OSError`` for a full, limited or read-only disk.
    """
    try:
        yield
    except OSError as error:
        remedy = _REFUSALS.get(error.errno or 0)
        if remedy is None:
            raise
        raise WriteError(
            "W014",
            "the disk does not take the results",
            where=str(folder),
            got=error.strerror or type(error).__name__,
            remedy=f"{remedy}, then run again: what is whole is kept",
        ) from error


def as_os_error(error: Exception) -> OSError:
    """What a library has made of the system's refusal to write, as the refusal that it was."""
    found = _OS_ERROR.search(str(error))
    return OSError(int(found.group(1)) if found else errno.EIO, str(error))


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
