"""What a child process may meet while it prepares a case; importable by its name, as the child needs it."""

import os
import signal
import time
from pathlib import Path

from medgan.samples.fill import prepare_into


def crash_on_one(manifest, case, preparation, folder):
    if case.case_id == "case2":
        os.kill(os.getpid(), signal.SIGSEGV)
    prepare_into(manifest, case, preparation, folder)


def half_write_and_hang(manifest, case, preparation, folder):
    half = folder.parent / f".{os.uname().nodename}-{os.getpid()}-half.tmp"
    half.mkdir(parents=True)
    (half / "pixels.npy").write_bytes(b"half")
    time.sleep(600)


def meet_another(manifest, case, preparation, folder):
    """Prepare only once two children are here at the same time."""
    place = Path(manifest.root)
    (place / f"here-{os.getpid()}").touch()
    until = time.monotonic() + 60
    while len(list(place.glob("here-*"))) < 2:
        if time.monotonic() > until:
            raise AssertionError("no second child came")
        time.sleep(0.01)
    prepare_into(manifest, case, preparation, folder)
