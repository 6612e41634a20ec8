"""Shows how far a study is: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from medgan.workflow.launch import State

PLAIN_EVERY_S = 30.0


@contextmanager
def watch(console: Console, *, plain: bool) -> Iterator[Callable[[list[State]], None]]:
    """Yield a function that takes the jobs' states and shows them."""
    if plain:
        yield _PlainLines(console)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield lambda states: live.update(_bars(states))


def _bars(states: list[State]) -> Group:
    overall = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    )
    done = sum(state == "done" for _, state, _ in states)
    overall.add_task("jobs", total=len(states), completed=done, note="")
    for job, state, progress in states:
        if state == "running" and progress:
            overall.add_task(
                f"{job.id}: {progress['doing']}",
                total=float(str(progress["total"])),
                completed=int(str(progress["done"])),
                note=_note(progress),
            )
    return Group(overall) if states else Group(Text("starting"))


def _note(progress: dict[str, object]) -> str:
    left = progress.get("left_s")
    speed = f"{float(str(progress['per_second'])):.1f}/s"
    told = speed if left is None else f"{speed}, {float(str(left)):.0f} s left"
    alarms = progress.get("alarms")
    return f"{told}; ALARM: {alarms[-1]}" if isinstance(alarms, list) and alarms else told


class _PlainLines:
    """A line when a job begins or ends, and one every half minute."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, str] = {}
        self._told = time.monotonic()

    def __call__(self, states: list[State]) -> None:
        first = not self._seen
        for job, state, _ in states:
            before, self._seen[job.id] = self._seen.get(job.id), state
            if state in {"running", "done"} and state != before and not (first and state == "done"):
                done = sum(other == "done" for _, other, _ in states)
                self._say(f"[{done}/{len(states)}] {job.id}: {state}")
        if time.monotonic() - self._told > PLAIN_EVERY_S:
            for job, state, progress in states:
                if state == "running" and progress:
                    self._say(
                        f"{job.id}: {progress['doing']} {progress['done']}/{progress['total']}, {_note(progress)}"
                    )

    def _say(self, line: str) -> None:
        self._told = time.monotonic()
        self._console.print(line, markup=False, soft_wrap=True, highlight=False)
