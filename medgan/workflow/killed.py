"""How a job ended that could not say it itself: killed by the system, most often for its memory."""

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from medgan.errors import RunError

_STATUS = re.compile(r"exit status (\d+)")
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def memory_kills() -> int:
    """How many processes the system has ended for memory since it was started; 0 where it does not count them."""
    counts = [0]
    for path in _COUNTERS:
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        counts += [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return max(counts)


def killed_error(
    job: str, log: Path, lines: Sequence[str], *, progress: Mapping[str, object], vanished: bool, for_memory: bool
) -> RunError | None:
    """The error for a job that was killed; None where it ended otherwise.

    Args:
        job: Its id.
        log: Its log.
        lines: What the log says; the last line is the exit status where the job could not write it.
        progress: What it was doing.
        vanished: Whether its lock was left by a process that is dead.
        for_memory: Whether the system ended a process for memory meanwhile.
    """
    found = [int(match[1]) for line in lines[-1:] if (match := _STATUS.fullmatch(line.strip()))]
    status = found[0] if found else None
    if any("Error[" in line for line in lines) or not (status == 128 + signal.SIGKILL or (status is None and vanished)):
        return None
    how = "exit status 137, SIGKILL" if status else "no exit status"
    why = "for its memory" if for_memory else "most likely for its memory"
    return RunError(
        "J021",
        f"{job} was killed by the system, {why}",
        where=str(log),
        got=how + _doing(progress),
        remedy="use fewer --cores at a time, a smaller batch_size, crop_px or size_px, or a machine with more memory, "
        "then run again: it goes on from where it was",
    )


def _doing(progress: Mapping[str, object]) -> str:
    if not progress:
        return ""
    at = f", at {progress['at']}" if progress.get("at") else ""
    return f" while {progress['doing']} {progress['done']}/{progress['total']}{at}"
