"""Whether the process that wrote a lock still lives: on this kernel that is known, elsewhere it is not.

A lock names the host, the boot of its kernel, the process and when it started. Its process also holds an ``flock`` on
the file, which the kernel lets go when the process ends, however it ends. So every process of the same kernel can tell,
one in another container too, whose process numbers mean nothing here.
"""

import errno
import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MACHINE = Path("/etc/machine-id")


def write_mark(path: Path, told: Mapping[str, object], held: ExitStack) -> dict[str, object]:
    """Write a lock's file and hold an ``flock`` on it until ``held`` is closed or the process ends.

    Args:
        path: The file, which nobody else has seen yet.
        told: What it is to say besides.
        held: Keeps it open.

    Returns:
        What was written.
    """
    # Without a buffer, whose rest a full disk would refuse once more at the end.
    file = held.enter_context(path.open("wb", buffering=0))
    content = {**_facts(), "marked": _lock(file.fileno(), shared=False), **told}
    text = (json.dumps(content, indent=2) + "\n").encode()
    if file.write(text) < len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return content


def is_dead(holder: Mapping[str, object], path: Path) -> bool:
    """Whether the process that wrote a lock is known to have ended.

    Args:
        holder: What the lock says.
        path: The lock.
    """
    if why_unknown(holder):
        return False
    if holder.get("boot") not in (None, _line(_BOOT)):
        return True  # this machine, before it was started again
    return _is_let_go(path) if holder.get("marked") else _is_gone(holder)


def why_unknown(holder: Mapping[str, object]) -> str:
    """Why nobody here can tell whether a lock's process lives; empty where that can be told."""
    boot, machine = _line(_BOOT), _line(_MACHINE)
    if holder.get("marked") and boot and holder.get("boot") == boot:
        return ""  # the same kernel, if another container
    if holder.get("host") != socket.gethostname():
        return "on another host, which cannot be asked from here"
    if holder.get("boot") not in (None, boot) and (not machine or holder.get("machine") != machine):
        return "before a restart, or on another machine of the same name"
    return ""


def _facts() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "process_start": _process_start(os.getpid()),
        "boot": _line(_BOOT),
        "machine": _line(_MACHINE),
    }


def _is_let_go(path: Path) -> bool:
    """Whether nobody holds the ``flock`` on a file."""
    try:
        with path.open("rb") as file:
            return _lock(file.fileno(), shared=True)
    except OSError:
        return False


def _lock(descriptor: int, *, shared: bool) -> bool:
    """Whether an ``flock`` could be had at once; never where the system or the file system has no such thing."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_gone(holder: Mapping[str, object]) -> bool:
    """Whether there is no such process, or its number was given to another one since."""
    pid = holder.get("pid")
    if not isinstance(pid, int):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    start = holder.get("process_start")
    return start is not None and start != _process_start(pid)


def _process_start(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; None where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
