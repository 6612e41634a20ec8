"""Writes one finished case in a second thread, while the next is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

Write = Callable[[], None]


class WriterBehind:
    """One thread that writes, and at most one case waiting for it.

    A case is handed over when it is computed, and its writing begun when the next one has been read: reading and
    writing, which share the disk and Python's warning filters, never run side by side; computing and writing do. So no
    more than two cases are in memory. On leaving, what was handed over is written to the end, also after an error.

    Example:
        >>> done = []
        >>> with WriterBehind() as behind:
        ...     for name in "ab":
        ...         behind.begin()  # reading is over: what waits may be written
        ...         behind.hand_over(lambda name=name: done.append(name))
        >>> done
        ['a', 'b']
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="medgan-writer")
        self._waiting: Write | None = None
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.begin()
            self._settle()
        finally:
            self._pool.shutdown(wait=True)

    def begin(self) -> None:
        """Let what waits be written; the next case has been read."""
        if self._waiting is not None:
            self._running = self._pool.submit(self._waiting)
            self._waiting = None

    def hand_over(self, write: Write) -> None:
        """Take a computed case, once the one before is written.

        Raises:
            Exception: Whatever went wrong in writing that one.
        """
        self._settle()
        self._waiting = write

    def _settle(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()
