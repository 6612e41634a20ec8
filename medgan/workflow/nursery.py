"""A process that has imported what jobs need, and forks one for each: a job then starts in no time.

A study has many short jobs, and each would import torch and MONAI for seconds. `medgan run` starts a nursery beside
Snakemake; a job's command, the same that can be typed, finds it by an environment variable and hands itself over. While
the nursery still imports, and where there is none, a command does its work itself. Only on Linux, and only for jobs
without a GPU, whose driver does not survive a fork.

    python -m medgan.workflow.nursery SOCKET LAUNCHER MODULE...
"""

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from medgan.settings.threads import quiet_openmp
from medgan.workflow.handover import HEADER_BYTES, NURSERY

MODULES = {
    "prepare": ("medgan.stages.prepare",),
    "train": ("medgan.stages.train",),
    "translate": ("medgan.stages.translate", "medgan.stages.trained"),
    "downstream": ("medgan.stages.downstream", "medgan.stages.scoring", "monai.networks.nets"),
    "measure": ("medgan.stages.measure",),
    "report": ("medgan.stages.report",),
}
"""What the jobs of a stage import first of all, and takes long."""

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_LOOK_EVERY_S = 1.0


@contextmanager
def nursery(stages: Sequence[str], environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start a nursery for jobs of some stages, and end it at the end.

    Args:
        stages: Of the jobs that will come.
        environment: What jobs are started with.

    Yields:
        The environment with the nursery's address, or as it is where there is none.
    """
    wanted = sys.platform == "linux" and hasattr(os, "pidfd_open") and NURSERY not in environment
    if not wanted or len(stages) < 3:
        yield environment
        return
    modules = list(dict.fromkeys(module for stage in stages for module in MODULES.get(stage, ())))
    # A socket's path may have no more than 107 bytes: the study's folder can be deep.
    with tempfile.TemporaryDirectory(prefix="medgan-") as folder:
        address = str(Path(folder) / "nursery")
        command = [sys.executable, "-m", "medgan.workflow.nursery", address, str(os.getpid()), *modules]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield {**environment, NURSERY: address}
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True)
class _Job:
    """A forked job and who waits for it."""

    pid: int
    handle: int
    link: socket.socket


class Nursery:
    """Takes requests at a socket and forks a process for each.

    Args:
        address: Path of the socket, made here.
        launcher: Process that ends it: when that is gone and no job is left, so is the nursery.
    """

    def __init__(self, address: str, *, launcher: int) -> None:
        self.launcher = launcher
        self.jobs: dict[int, _Job] = {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the launcher is gone."""
        from medgan.training.processes import has_ended

        while self.jobs or not has_ended(self.launcher):
            for key, _ in self.selector.select(timeout=_LOOK_EVERY_S):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.data is not None and key.fd == key.data.handle:
                    self._ended(key.data)
                else:
                    # Whoever asked is gone.
                    self.selector.unregister(key.fileobj)
                    with suppress(ProcessLookupError):
                        os.kill(key.data.pid, signal.SIGKILL)

    def _accept(self) -> None:
        link, _ = self.listener.accept()
        try:
            request, streams = _received(link)
        except (OSError, ValueError):
            link.close()
            return
        pid = os.fork()
        if pid == 0:
            self._become(request, streams)
        for stream in streams:
            os.close(stream)
        job = _Job(pid, os.pidfd_open(pid), link)
        self.jobs[pid] = job
        self.selector.register(job.handle, selectors.EVENT_READ, job)
        self.selector.register(link, selectors.EVENT_READ, job)

    def _ended(self, job: _Job) -> None:
        _, status = os.waitpid(job.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):
            job.link.sendall(str(code if code >= 0 else 128 - code).encode())
        for one in (job.handle, job.link):
            with suppress(KeyError):
                self.selector.unregister(one)
        os.close(job.handle)
        job.link.close()
        del self.jobs[job.pid]

    def _become(self, request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
        """Be the process that was asked for, to its end."""
        code = 1
        try:
            ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.listener.close()
            for other in self.jobs.values():
                other.link.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            code = _do(request)
        except BaseException:  # noqa: BLE001 - nothing may get back into the nursery's loop
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _received(link: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A request and the three streams that came with it."""
    header, streams, _, _ = socket.recv_fds(link, HEADER_BYTES, 3)
    wanted, content = int.from_bytes(header, "big"), b""
    while len(content) < wanted:
        part = link.recv(wanted - len(content))
        if not part:
            raise ValueError("the request was cut short")
        content += part
    request: dict[str, Any] = json.loads(content)
    return request, list(streams)


def _do(request: dict[str, Any]) -> int:
    """Run a command line in this process; its exit status."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    _use_threads(os.environ.get("OMP_NUM_THREADS", ""))
    sys.argv = ["medgan", *request["arguments"]]
    from medgan.cli import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _use_threads(told: str) -> None:
    """Use as many threads as a process of its own would, had it been started with this variable."""
    if not told.isdigit():
        return
    from threadpoolctl import threadpool_limits

    threadpool_limits(int(told))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(int(told))


def main(arguments: Sequence[str]) -> None:
    """Import, then serve."""
    quiet_openmp()
    address, launcher, *modules = arguments
    for module in ("medgan.cli", *modules):
        with suppress(ImportError):  # the job that needs it says so
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what all jobs share is not looked at, and so not copied
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked for a job hears it too, and hangs up
    Nursery(address, launcher=int(launcher)).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
