"""Read hostile files under limits: a decoder that crashes, hangs or eats memory costs one file and not the run.

The call runs in a child process that is kept for the next call and replaced when it dies. This guards against
accidents and malformed files; it is no sandbox against code that a file smuggles in.
"""

import atexit
import contextlib
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar, cast

from medgan.errors import MedganError, ReadError
from medgan.imaging.guard_worker import Answer, Request, receive, send
from medgan.manifests.file_checks import files_of

_P = ParamSpec("_P")
_T = TypeVar("_T")
_START_S = 120.0
_BASE_S = 60.0
_BYTES_PER_S = 2e6
_PIPE_BYTES = 2**20  # the most that Linux grants without asking; sixteen times fewer switches than by default
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def guarded(
    function: Callable[..., _T], *arguments: object, where: str, seconds: float, memory_bytes: int | None = None
) -> _T:
    """Run a function in a child process under limits, and return what it returns.

    The child is a fresh interpreter with the readers imported, and no torch; the first call waits about half a second
    for it, later ones do not. Safe to call from several threads, each of which gets a child of its own.

    Args:
        function: Importable by its name and picklable; ``functools.partial`` gives it keyword arguments.
        *arguments: Picklable too, as is the result. Arrays come back uncopied by pickling, and writable.
        where: File or case for the message, should a limit be reached.
        seconds: Wall-clock time that the call may take.
        memory_bytes: What it may allocate; half of the machine's memory by default. Enforced on Linux alone.

    Returns:
        The function's result.

    Raises:
        MedganError: The function's own error, as it was raised.
        ReadError: R070 too slow, R071 too much memory, R072 the process crashed, R073 an error that the function
            should not have let out, R075 no child process can be started.
    """
    memory = _half_of_memory() if memory_bytes is None else memory_bytes
    request = Request(pickle.dumps((function, arguments)), seconds, memory)
    answer = None
    while answer is None:  # a child that died while it was idle is no fault of the file
        worker = _idle_or_new(where)
        try:
            answer = worker.ask(request, where=where)
        except BaseException:
            worker.end()
            raise
        if answer is None:
            worker.end()
    _IDLE.append(worker)
    if answer.kind == "value":
        return cast("_T", answer.value)
    raise _error_of(answer, where=where, memory_bytes=memory)


def seconds_for(path: Path) -> float:
    """Time in which a file or a folder must be read: a minute, and a second for every 2 MB.

    Ten times what a slow network drive takes; only a file that is made to be slow takes longer.
    """
    return _BASE_S + _size(path) / _BYTES_PER_S


def refuse_irregular(path: Path) -> None:
    """Refuse what is neither a file nor a folder, before it is opened: reading a pipe or a device may never end.

    Raises:
        ReadError: R074. What is not there at all is the reader's to report.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    kinds = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    raise ReadError(
        "R074",
        "neither a file nor a folder",
        where=str(path),
        got=next((name for test, name in kinds if test(mode)), "a device"),
        remedy="name a file that lies on a disk",
    )


class _Worker:
    """One child and the pipes to it; used by one thread at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        start = f"import sys; sys.path[:] = {sys.path!r}; from medgan.imaging.guard_worker import serve; serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE_BYTES,
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        )
        self.inward, self.outward = cast("BinaryIO", self.process.stdout), cast("BinaryIO", self.process.stdin)

    @property
    def is_usable(self) -> bool:
        """Whether it lives, and belongs to this process and not to the one that this was forked from."""
        return self.owner == os.getpid() and self.process.poll() is None

    def ask(self, request: Request, *, where: str) -> Answer | None:
        """Send a request and wait for its answer, no longer than its seconds; None, if the child was dead before."""
        late, begun = threading.Event(), False
        timer = threading.Timer(request.seconds, self._kill, [late])
        timer.daemon = True
        timer.start()
        try:
            send(self.outward, request)
            begun = bool(receive(self.inward))
            answer: Answer = receive(self.inward)
        except (EOFError, OSError) as error:
            if not begun and not late.is_set():
                return None
            raise self._death(late=late.is_set(), where=where, seconds=request.seconds) from error
        finally:
            timer.cancel()
        if late.is_set():  # it answered, and was killed in the same moment
            raise self._death(late=True, where=where, seconds=request.seconds)
        return answer

    def await_start(self) -> bool:
        """Whether the child has come up."""
        timer = threading.Timer(_START_S, self.process.kill)
        timer.daemon = True
        timer.start()
        try:
            receive(self.inward)
        except (EOFError, OSError):
            return False
        finally:
            timer.cancel()
        return True

    def end(self) -> None:
        """Kill the child, if it is this process's own, and close the pipes."""
        if self.owner != os.getpid():
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.inward, self.outward):
            with contextlib.suppress(OSError):
                stream.close()

    def _kill(self, late: threading.Event) -> None:
        late.set()
        self.process.kill()

    def _death(self, *, late: bool, where: str, seconds: float) -> ReadError:
        status = self.process.wait()
        if late:
            return ReadError(
                "R070",
                "reading takes too long",
                where=where,
                got=f"no end after {seconds:.4g} s",
                remedy="the file is damaged or hostile, or the drive very slow; get it again or take the row out",
            )
        if status == -9:
            return _too_much(where, "the system ended the process, most often for its memory")
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ReadError(
            "R072",
            "the decoder crashed",
            where=where,
            got=how,
            remedy="the file is damaged or hostile; get it again, or take the row out and report the decoder's fault",
        )


_IDLE: list[_Worker] = []  # children that wait for the next call


def _idle_or_new(where: str) -> _Worker:
    while _IDLE:
        with contextlib.suppress(IndexError):  # another thread was faster
            worker = _IDLE.pop()
            if worker.is_usable:
                return worker
            worker.end()
    try:
        worker = _Worker()
    except OSError as error:
        raise _no_child(where, str(error.strerror)) from error
    if not worker.await_start():
        status = worker.process.poll()
        worker.end()
        raise _no_child(where, f"it ended with status {status}")
    return worker


@atexit.register
def end_idle_readers() -> None:
    """End the children that wait for the next call; that call starts one anew."""
    while _IDLE:
        _IDLE.pop().end()


def _error_of(answer: Answer, *, where: str, memory_bytes: int) -> MedganError:
    if answer.kind == "error":
        return cast("MedganError", answer.value)
    if answer.kind == "memory":
        return _too_much(where, f"more than {memory_bytes / 2**30:.2g} GiB")
    return ReadError(
        "R073",
        "the reader failed in a way that it should not",
        where=where,
        got=str(answer.value),
        remedy="the file is most likely damaged: get it again, or take the row out; and report this fault of medgan",
    )


def _too_much(where: str, got: str) -> ReadError:
    return ReadError(
        "R071",
        "reading takes too much memory",
        where=where,
        got=got,
        remedy="the file is damaged or hostile, or too large for this machine: get it again, or use a larger one",
    )


def _no_child(where: str, got: str) -> ReadError:
    return ReadError(
        "R075",
        "no process can be started to read in",
        where=where,
        got=got,
        remedy="look at the limits on processes and memory of this machine or job",
    )


def _half_of_memory() -> int:
    """Half of the memory of this machine, or of the container that the process runs in."""
    sizes = [16 * 2**30]
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(sizes) // 2


def _size(path: Path) -> int:
    try:
        return sum(file.stat().st_size for file in files_of(path) if file.is_file())
    except (OSError, ValueError):
        return 0
