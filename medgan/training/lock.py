"""One process at a time trains in a run directory, and it has room to write."""

import json
import logging
import os
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from medgan.errors import RunError, WriteError

_NAME = "lock.json"
_log = logging.getLogger(__name__)


@contextmanager
def hold_lock(run: Path) -> Iterator[Mapping[str, object] | None]:
    """Hold a run directory for this process.

    A lock whose process is dead on this host is taken over; whether one on another host still lives cannot be known.

    Yields:
        The stale lock that was taken over, or None.

    Raises:
        RunError: J001, if another process holds the directory.
        WriteError: W010, if the directory cannot be written.
    """
    path = run / _NAME
    own = _own()
    stale = None
    if not _create(path, own):
        stale = _take_stale(path)
        if not _create(path, own):
            raise _held(path, _read(path))
        _log.warning("took over %s from process %s, which is dead", path, stale.get("pid"))
    try:
        yield stale
    finally:
        if _read(path) == own:
            path.unlink(missing_ok=True)


def is_held(run: Path) -> bool:
    """Whether a process that is not known to be dead holds a run directory."""
    holder = _read(run / _NAME)
    return bool(holder) and not _is_dead(holder)


def make_writable(run: Path) -> None:
    """Make the run directory, or say at once that it cannot be written.

    Raises:
        WriteError: W010.
    """
    probe = run / f".probe.{os.getpid()}"
    try:
        run.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _not_writable(run, error) from error


def require_room(run: Path, *, needed_bytes: int) -> None:
    """Refuse to start what would fill the disk.

    Raises:
        WriteError: W011, if less is free than the checkpoints will take.
    """
    free = shutil.disk_usage(run).free
    if free < needed_bytes:
        raise WriteError(
            "W011",
            "not enough room for the checkpoints",
            where=str(run),
            got=f"{free / 1e9:.2f} GB free",
            expected=f"{needed_bytes / 1e9:.2f} GB",
            remedy="free some space, keep fewer checkpoints or choose another directory",
        )


def _own() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "process_start": _process_start(os.getpid()),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join(["medgan", *(Path(word).name for word in sys.argv[1:])]),
    }


def _create(path: Path, own: Mapping[str, object]) -> bool:
    # Written in full under a name of its own, then linked: whoever sees the lock can read it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise _not_writable(path.parent, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _take_stale(path: Path) -> Mapping[str, object]:
    holder = _read(path)
    if holder and not _is_dead(holder):
        raise _held(path, holder)
    aside = path.with_name(f".{path.name}.{os.getpid()}.stale")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return holder
    moved = _read(aside)
    if moved != holder:
        # Another process took the stale lock over first: give its lock back.
        aside.rename(path)
        raise _held(path, moved)
    aside.unlink()
    return holder


def _is_dead(holder: Mapping[str, object]) -> bool:
    if holder.get("host") != socket.gethostname():
        return False
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # The number may have been given to another process since.
    start = holder.get("process_start")
    return start is not None and start != _process_start(pid)


def _process_start(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; None where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _read(path: Path) -> dict[str, object]:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _held(path: Path, holder: Mapping[str, object]) -> RunError:
    return RunError(
        "J001",
        "another process works in this run directory",
        where=str(path.parent),
        got=f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('started')}: "
        f"{holder.get('command')}",
        remedy=f"wait for it, or remove {path.name} if that process is gone",
    )


def _not_writable(run: Path, error: OSError) -> WriteError:
    return WriteError(
        "W010", "cannot write here", where=str(run), got=str(error), remedy="choose an output directory of your own"
    )
