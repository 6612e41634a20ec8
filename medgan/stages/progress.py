"""How far a job is, for the person who waits: a small file that `medgan run` reads, and plain lines."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from medgan.manifests.case import Case
from medgan.manifests.table import replace_text

Item = TypeVar("Item")


class Progress:
    """Tells what a job is doing, its speed and the time left.

    Args:
        path: File that always holds the newest state; None for a rank that leaves this to rank 0.
        what: Id of the job.
        report: Takes a plain line now and then.
        every_s: Seconds between two lines.
    """

    def __init__(self, path: Path | None, *, what: str, report: Callable[[str], None], every_s: float = 10.0) -> None:
        self._path, self._what, self._report, self._every_s = path, what, report, every_s
        self._began = self._written = self._told = time.monotonic()
        self._first: int | None = None
        self.told = ""
        self._alarms: list[str] = []

    def alarm(self, told: str) -> None:
        """Say at once that something is wrong; it stays in the file beside how far the job is."""
        self._alarms.append(told)
        self._written = -math.inf
        self._report(f"{self._what}: ALARM: {told}")

    def __call__(self, done: int, total: int, *, doing: str, at: str = "") -> None:
        """Say that ``done`` of ``total`` are done; writes at most every second, or at once where something is named.

        Args:
            done: How many are done.
            total: Of how many.
            doing: What is being done.
            at: What is begun now, such as ``"row 12 (case BR012)"``: a process that is killed cannot say it any more.
        """
        now = time.monotonic()
        self.told = f"{doing} {done}/{total}" + (f", at {at}" if at else "")
        if self._first is None:
            self._first, self._began = done, now
        if now - self._written < 1.0 and done < total and not at:
            return
        self._written = now
        speed = (done - self._first) / max(now - self._began, 1e-6)
        left_s = (total - done) / speed if speed > 0 else None
        state = {"job": self._what, "doing": doing, "done": done, "total": total, "per_second": speed, "left_s": left_s}
        state |= {"alarms": self._alarms} if self._alarms else {}
        state |= {"at": at} if at else {}
        if self._path is not None:
            replace_text(self._path, json.dumps(state))
        if now - self._told >= self._every_s:
            self._told = now
            left = "" if left_s is None else f", {left_s:.0f} s left"
            self._report(f"{self._what}: {doing} {done}/{total}, {speed:.1f}/s{left}")

    def over(self, items: Sequence[Item], *, doing: str) -> Iterator[Item]:
        """Go through items and say how far it is."""
        self._first = None
        for index, item in enumerate(items):
            self(index, len(items), doing=doing, at=_name_of(item))
            yield item
        self(len(items), len(items), doing=doing)


def _name_of(item: object) -> str:
    """Row and case of what is worked on, if it is a case or belongs to one."""
    case = getattr(item, "case", item)
    return case.where if isinstance(case, Case) else ""
