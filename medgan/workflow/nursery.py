"""A process that has imported what jobs need, and forks one for each: a job then starts in no time.

A study has many short jobs, and each would import torch and MONAI for seconds. `medgan run` starts a nursery beside
Snakemake; a job's command, the same that can be typed, finds it by an environment variable and hands itself over
(:mod:`medgan.workflow.handover`). Where there is no nursery, or it dies, a command does its work itself. Only on Linux,
and only for jobs without a GPU, whose driver does not survive a fork.

    python -m medgan.workflow.nursery SOCKET LAUNCHER MODULE...
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from medgan.settings.threads import quiet_openmp
from medgan.workflow.handover import HEADER_BYTES, NURSERY, TAKEN

MODULES = {
    "prepare": ("medgan.stages.prepare",),
    "train": ("medgan.stages.train", "torch._dynamo"),
    "translate": ("medgan.stages.translate", "medgan.stages.trained"),
    "downstream": ("medgan.stages.downstream", "monai.networks.nets", "medgan.stages.scoring", "torch._dynamo"),
    "judge": ("medgan.stages.judge", "medgan.stages.scoring"),
    "measure": ("medgan.stages.measure",),
    "report": ("medgan.stages.report", "matplotlib.figure"),
}
"""What the jobs of a stage import and takes long; torch's optimizers import its compiler when they are made."""

FEWEST = 3
"""Jobs for which a nursery is worth its own start."""

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_REQUEST_S = 10.0
_WAITING = 64


@contextmanager
def nursery(stages: Sequence[str], environment: dict[str, str], *, log: Path) -> Iterator[dict[str, str]]:
    """Start a nursery for jobs of some stages, and end it at the end.

    Args:
        stages: Of the jobs that will come, in their order.
        environment: What jobs are started with.
        log: File for what it says: the jobs that it forks, and why it fails, should it.

    Yields:
        The environment with the nursery's address, or as it is where there is none.
    """
    if NURSERY in environment or len(stages) < FEWEST or not _is_possible():
        yield environment
        return
    modules = list(dict.fromkeys(module for stage in stages for module in MODULES.get(stage, ())))
    with ExitStack() as stack:
        try:
            address = _started(modules, environment, log, stack)
        except OSError as error:  # such as a temporary folder whose path is too long for a socket
            log.write_text(f"no nursery: {error}\n", encoding="utf-8")
            address = ""
        yield {**environment, NURSERY: address} if address else environment


def _started(modules: Sequence[str], environment: dict[str, str], log: Path, stack: ExitStack) -> str:
    """Start the process, which ends with the stack; the address of its socket."""
    # A socket's path may have no more than 107 bytes: the study's folder can be deep.
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="medgan-"))
    said = stack.enter_context(log.open("wb"))
    address = str(Path(folder) / "nursery")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen(_WAITING)
        process = subprocess.Popen(
            [sys.executable, "-m", "medgan.workflow.nursery", str(listener.fileno()), str(os.getpid()), *modules],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=[listener.fileno()],
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return address


def _is_possible() -> bool:
    """Whether this system lets a process be waited for beside sockets; old kernels and some containers do not."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class _Job:
    """A forked job and who waits for it."""

    pid: int
    handle: int
    link: socket.socket


class Nursery:
    """Takes requests at a socket and forks a process for each.

    Args:
        listener: The socket.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.jobs: dict[int, _Job] = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)

    def look(self, seconds: float | None) -> None:
        """Do what there is to do, and wait for it no longer than these seconds, or as long as it takes."""
        for key, _ in self.selector.select(timeout=seconds):
            if key.data is None:
                self._accept()
            elif key.data.pid in self.jobs:
                self._ended(key.data) if key.fd == key.data.handle else self._left_alone(key.data)

    def _accept(self) -> None:
        link, _ = self.listener.accept()
        streams: list[int] = []
        try:
            request = _received(link, streams)
            own = os.getpid()
            pid = os.fork()
            if pid == 0:
                try:
                    self._become(request, streams, link, parent=own)
                finally:
                    os._exit(1)  # never back into this loop
            self._follow(pid, link, what=" ".join(request["arguments"][:1]))
        except (OSError, ValueError) as error:
            # Whoever asked is gone, or does the work itself.
            sys.stdout.write(f"not forked: {error}\n")
            sys.stdout.flush()
            link.close()
        for stream in streams:
            os.close(stream)

    def _follow(self, pid: int, link: socket.socket, *, what: str) -> None:
        """Say that a job is taken, and watch it."""
        handle = None
        try:
            handle = os.pidfd_open(pid)
            link.sendall(TAKEN)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if handle is not None:
                os.close(handle)
            raise
        job = _Job(pid, handle, link)
        sys.stdout.write(f"process {pid}: medgan {what}\n")
        sys.stdout.flush()
        self.jobs[pid] = job
        self.selector.register(job.handle, selectors.EVENT_READ, job)
        self.selector.register(link, selectors.EVENT_READ, job)

    def _left_alone(self, job: _Job) -> None:
        """Whoever asked was killed, and so is the job."""
        self.selector.unregister(job.link)
        with suppress(ProcessLookupError):
            os.kill(job.pid, signal.SIGKILL)

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

    def _become(self, request: dict[str, Any], streams: Sequence[int], link: socket.socket, *, parent: int) -> NoReturn:
        """Be the process that was asked for, to its end; the link is the nursery's."""
        link.close()
        _end_with(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.selector.close()
        self.listener.close()
        for other in self.jobs.values():
            other.link.close()
            os.close(other.handle)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _end(_do(request))


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when the one that started it is gone."""
    refused = ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if refused or os.getppid() != parent:  # where the parent was quicker
        os._exit(128 + signal.SIGKILL)


def _received(link: socket.socket, streams: list[int]) -> dict[str, Any]:
    """A request; the three streams that came with it are put into the list, as soon as they are there."""
    link.settimeout(_REQUEST_S)
    header, came, _, _ = socket.recv_fds(link, HEADER_BYTES, 3)
    streams += came
    wanted, content = int.from_bytes(header, "big"), b""
    while len(content) < wanted:
        part = link.recv(wanted - len(content))
        if not part:
            raise ValueError("the request was cut short")
        content += part
    request: dict[str, Any] = json.loads(content)
    return request


def _do(request: dict[str, Any]) -> int:
    """Run a command line as ``python -m medgan`` would; its exit status."""
    os.environ.clear()
    os.environ.update({name: value for name, value in request["environment"].items() if name != NURSERY})
    os.chdir(request["folder"])
    _use_threads(os.environ.get("OMP_NUM_THREADS", ""))
    sys.argv = ["medgan", *request["arguments"]]
    try:
        runpy.run_module("medgan", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - told as the interpreter would, and no way back into the loop
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End the process as the interpreter would, without taking apart what was imported: that costs a second."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
    """Import, and serve who asks meanwhile; then serve."""
    listener, launcher, *modules = arguments
    _end_with(int(launcher))
    quiet_openmp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked for a job hears it too, and hangs up
    nursery = Nursery(socket.socket(fileno=int(listener)))
    importlib.import_module("medgan.cli")
    for module in modules:
        with suppress(ImportError):  # the job that needs it says so
            importlib.import_module(module)
        nursery.look(0)
    gc.collect()
    gc.freeze()  # what all jobs share is not looked at, and so not copied
    while True:
        nursery.look(None)


if __name__ == "__main__":
    main(sys.argv[1:])
