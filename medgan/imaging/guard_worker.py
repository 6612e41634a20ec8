"""The child of a guarded call: runs functions under limits on memory, and answers through a pipe.

Started by :mod:`medgan.imaging.limits`. It imports no torch by itself (a call that resamples a volume
does), holds no state between calls, writes nothing to the
terminal and leaves no core dump, which would hold a patient's pixels.
"""

import contextlib
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from medgan.errors import MedganError

_LENGTH = struct.Struct("<Q")
_GRACE_S = 5.0


class Request(NamedTuple):
    """What the child is to do.

    Args:
        call: The pickled function and its arguments, unpickled under the limits.
        seconds: After this time and a grace the child ends itself, should nobody be left to end it.
        memory_bytes: How much the call may allocate beyond what the child holds before it.
    """

    call: bytes
    seconds: float
    memory_bytes: int


class Answer(NamedTuple):
    """What came of it.

    Args:
        kind: ``"value"``, ``"error"`` (an error of medgan's own), ``"memory"`` or ``"fault"`` (any other exception).
        value: The value, the error, or a text that says where the fault is and never what a file holds.
    """

    kind: str
    value: Any


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message; arrays go as they lie in memory, uncopied."""
    _write(stream, _pickled(message))


def receive(stream: BinaryIO) -> Any:
    """Read one message; its arrays can be written to.

    Raises:
        EOFError: If the other side is gone.
    """
    parts = [_block(stream) for _ in range(_length(stream))]
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 - the other end is this program


def serve() -> None:
    """Answer requests until the parent is gone."""
    inward, outward = _take_over_pipes()
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C ends
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    import medgan.imaging.read  # noqa: F401 - what most calls need, before the first one's clock runs

    send(outward, Answer("value", None))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            request = receive(inward)
            send(outward, True)  # noqa: FBT003 - from here on, a death is the request's
            _write(outward, _answered(request))


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes for messages; what native code prints must neither reach them nor a log."""
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    return inward, outward


def _answered(request: Request) -> list[Any]:
    """The answer, pickled under the same limits that the call runs under."""
    try:
        with _alarm(request.seconds), _memory(request.memory_bytes):
            function, arguments = pickle.loads(request.call)  # noqa: S301 - from the parent
            return _pickled(_run(function, arguments))
    except MemoryError:
        return _pickled(Answer("memory", None))
    except Exception as error:  # noqa: BLE001 - whatever a file makes a reader do, the run goes on
        return _pickled(Answer("fault", _place(error)))


def _run(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
    try:
        return Answer("value", function(*arguments))
    except MedganError as error:
        if isinstance(error.__cause__, MemoryError):  # a reader may have taken it for a damaged file
            raise MemoryError from error
        return Answer("error", error)


def _place(error: Exception) -> str:
    """Kind and place of an exception. Its text is left out: it may quote a header."""
    where, at = error.__traceback__, ""
    while where is not None:
        file = Path(where.tb_frame.f_code.co_filename)
        if file.name != Path(__file__).name:
            at = f" at {file.name}:{where.tb_lineno}"
        if "medgan" not in file.parts and at:
            break
        where = where.tb_next
    return type(error).__name__ + at


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def _memory(extra: int) -> Iterator[None]:
    """Limit private memory to what is held now and some more; Linux alone counts it reliably."""
    if sys.platform != "linux":
        yield
        return
    import resource

    # RLIMIT_DATA and not RLIMIT_AS: libraries, thread arenas and read-only maps of files reserve address space alone.
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _held() + extra
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _held() -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _pickled(message: Any) -> list[Any]:
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    return [head, *(buffer.raw() for buffer in buffers)]


def _write(stream: BinaryIO, parts: list[Any]) -> None:
    stream.write(_LENGTH.pack(len(parts)))
    for part in parts:
        stream.write(_LENGTH.pack(len(part)))
        stream.write(part)
    stream.flush()


def _length(stream: BinaryIO) -> int:
    raw = stream.read(_LENGTH.size)
    if len(raw) < _LENGTH.size:
        raise EOFError
    return int(_LENGTH.unpack(raw)[0])


def _block(stream: BinaryIO) -> bytearray:
    block = bytearray(_length(stream))
    view, done = memoryview(block), 0
    while done < len(block):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        done += count
    return block
