"""One process at a time trains in a run directory, and it has room to write."""

import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from medgan.errors import RunError, WriteError
from medgan.training.life import is_dead, why_unknown, write_mark

_NAME = "lock.json"
_log = logging.getLogger(__name__)


@contextmanager
def hold_lock(run: Path) -> Iterator[Mapping[str, object] | None]:
    """Hold a run directory for this process.

    A lock whose process is known to be dead is taken over (see :mod:`medgan.training.life`).

    Yields:
        The stale lock that was taken over, or None.

    Raises:
        RunError: J001, if another process holds the directory, or one of which nobody can know whether it lives.
        WriteError: W010, if the directory cannot be written.
    """
    path = run / _NAME
    stale = None
    with ExitStack() as held:
        own = _create(path, held)
        if own is None:
            stale = _take_stale(path)
            own = _create(path, held)
            if own is None:
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
    return bool(holder) and not is_dead(holder, run / _NAME)


def left_by_the_dead(run: Path) -> dict[str, object]:
    """The lock that a dead process has left in a run directory; empty where there is none."""
    holder = _read(run / _NAME)
    return holder if holder and is_dead(holder, run / _NAME) else {}


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


def _told() -> dict[str, object]:
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join(["medgan", *(Path(word).name for word in sys.argv[1:])]),
    }


def _create(path: Path, held: ExitStack) -> dict[str, object] | None:
    # Written in full under a name of its own, then linked: whoever sees the lock can read it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        own = write_mark(temporary, _told(), held)
        os.link(temporary, path)
    except FileExistsError:
        held.close()
        return None
    except OSError as error:
        raise _not_writable(path.parent, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return own


def _take_stale(path: Path) -> Mapping[str, object]:
    holder = _read(path)
    if holder and not is_dead(holder, path):
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


def _read(path: Path) -> dict[str, object]:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _held(path: Path, holder: Mapping[str, object]) -> RunError:
    doubt = why_unknown(holder)
    process = f"process {holder.get('pid')} on {holder.get('host')}"
    return RunError(
        "J001",
        "another process works in this run directory",
        where=str(path.parent),
        got=f"{process} since {holder.get('started')}: {holder.get('command')}{doubt and f' ({doubt})'}",
        remedy=f"if you know that it has ended, remove {path}" if doubt else "wait for it, or end it",
    )


def _not_writable(run: Path, error: OSError) -> WriteError:
    return WriteError(
        "W010", "cannot write here", where=str(run), got=str(error), remedy="choose an output directory of your own"
    )
