"""``medgan run`` in the background, for tests that kill it or its jobs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tiny_studies import clean_environment


@contextmanager
def started(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``medgan run`` in the background; whatever becomes of the test, nothing of it is left."""
    log = (path.parent / "run.log").open("ab")
    command = [sys.executable, "-m", "medgan", "run", str(path), "--cores", "1", "--quiet"]
    process = subprocess.Popen(
        command, env=clean_environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()
