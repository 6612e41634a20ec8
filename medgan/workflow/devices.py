"""Gives each running job GPUs of its own on one machine: a lock on a file for each device, held by the job's process.

``python -m medgan.workflow.devices --pool 0,1 --count 1 -- COMMAND`` waits for a free device, then becomes the command
with ``CUDA_VISIBLE_DEVICES`` set. The system gives a lock back when the process ends, however it ends.
"""

import argparse
import fcntl
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from medgan.errors import RunError

VISIBLE = "CUDA_VISIBLE_DEVICES"
FOLDER = "MEDGAN_DEVICE_LOCKS"
"""Environment variable: folder of the locks, in place of one for each user in the machine's temporary folder."""

_WAIT_S = 0.3


def pool_of(gpus: int, environment: Mapping[str, str] | None = None) -> list[str]:
    """The devices that a study may use: the first of those visible, or the first of the machine.

    Args:
        gpus: How many.
        environment: Of this process, by default.

    Raises:
        RunError: J032, if fewer are visible.

    Example:
        >>> pool_of(2, {"CUDA_VISIBLE_DEVICES": "4,5,7"})
        ['4', '5']
    """
    visible = (os.environ if environment is None else environment).get(VISIBLE)
    if visible is None:
        return [str(number) for number in range(gpus)]
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if len(names) < gpus:
        raise RunError(
            "J032",
            "fewer GPUs are visible than asked for",
            where=VISIBLE,
            got=visible or "none",
            expected=f"--gpus {gpus}",
            remedy=f"ask for {len(names)}, or set {VISIBLE} anew",
        )
    return names[:gpus]


def check_count(count: int, pool: int) -> None:
    """Refuse a job that asks for more than there is.

    Raises:
        RunError: J032.
    """
    if count > pool:
        raise RunError(
            "J032",
            "a job asks for more GPUs than the study may use",
            got=str(count),
            expected=f"at most {pool}",
            remedy="raise --gpus, or lower --gpus-per-job",
        )


def take(pool: Sequence[str], count: int) -> list[str]:
    """Hold devices for the rest of this process's life, and of what it becomes; waits until enough are free.

    Raises:
        RunError: J032, if the pool has not so many.
    """
    check_count(count, len(pool))
    folder = _folder()
    while True:
        held = {name: handle for name in pool if (handle := _try(folder / f"{_file_name(name)}.lock")) is not None}
        chosen = list(held)[:count]
        for name, handle in held.items():
            if len(chosen) < count or name not in chosen:
                os.close(handle)
            else:
                os.set_inheritable(handle, True)  # noqa: FBT003
        if len(chosen) == count:
            return chosen
        # All or none, so that two jobs that each have one of two do not wait for each other for ever.
        time.sleep(_WAIT_S * (0.5 + random.random()))  # noqa: S311


def main(words: Sequence[str]) -> None:
    """Become a command that sees its own devices alone."""
    parser = argparse.ArgumentParser(prog="medgan.workflow.devices")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(words)
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    devices = take(given.pool.split(","), given.count)
    os.execvpe(command[0], command, os.environ | {VISIBLE: ",".join(devices)})  # noqa: S606


def _folder() -> Path:
    named = os.environ.get(FOLDER)
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"medgan-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _file_name(device: str) -> str:
    """A device's name as a file's: MIG names hold slashes."""
    return re.sub(r"[^\w-]", "_", device)


def _try(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


if __name__ == "__main__":
    main(sys.argv[1:])
