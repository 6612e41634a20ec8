"""Lets a process that has imported everything already do a job's command; see :mod:`medgan.workflow.nursery`.

Imports nothing but the standard library: what is saved here is the time that imports take.
"""

import json
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

NURSERY = "MEDGAN_NURSERY"
"""Address of the nursery's socket, set by `medgan run`; set to nothing beforehand, there is none."""

HEADER_BYTES = 8
TAKEN = b"+"
"""The nursery's first answer: from here on the work is its own."""


def handed_over(arguments: Sequence[str]) -> int | None:
    """Let the nursery do a command, with this process's streams, folder and environment, and wait for its end.

    Where this process is killed, the command is too.

    Args:
        arguments: Of the command line, without the program's name.

    Returns:
        Its exit status, 128 and more where a signal ended it; None where nobody takes it, and this process has to.
    """
    address = os.environ.get(NURSERY, "")
    if not address or "RANK" in os.environ or not hasattr(socket, "AF_UNIX"):
        return None
    asked = {"arguments": list(arguments), "folder": str(Path.cwd()), "environment": dict(os.environ)}
    request = json.dumps(asked).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(address)
            socket.send_fds(link, [len(request).to_bytes(HEADER_BYTES, "big")], [0, 1, 2])
            link.sendall(request)
            if link.recv(1) != TAKEN:
                return None
        except OSError:
            return None  # there is none any more
        try:
            answer = link.recv(HEADER_BYTES)
        except OSError:
            answer = b""
    return int(answer) if answer else 128 + signal.SIGKILL  # the nursery was killed, and all that it forked with it
