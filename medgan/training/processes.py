"""Whether a process of this machine is still there."""

import os
from pathlib import Path


def has_ended(pid: int) -> bool:
    """Whether a process has ended, also where its parent has not asked for its exit status yet."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's, or a system without /proc
    return stat.rpartition(")")[2].split()[0] == "Z"
