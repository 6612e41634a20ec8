"""The run's log: one JSON object a line, cut back to the checkpoint when a run resumes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from medgan.errors import TrainingError


class _Board(Protocol):
    """What is used of TensorBoard's SummaryWriter."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def close(self) -> None: ...


class RunLog:
    """Writes ``log.jsonl``, every line at once on its way to the disk.

    Args:
        run: The run's directory.
        step: Steps done; later lines, of steps that will be done again, are dropped.
        tensorboard: Whether numbers also go to TensorBoard.

    Raises:
        TrainingError: T005, if TensorBoard is wanted and is not installed.
    """

    def __init__(self, run: Path, *, step: int, tensorboard: bool = False) -> None:
        path = run / "log.jsonl"
        _cut_back(path, step)
        self._board = _open_board(run, step) if tensorboard else None
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, entry: Mapping[str, Any]) -> None:
        """Write one line."""
        self._file.write(json.dumps({"step": step, **entry}) + "\n")
        self._file.flush()
        if self._board is not None:
            for tag, value in _numbers(entry):
                self._board.add_scalar(tag, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


class Means:
    """Sums of numbers since the last line, per group and name."""

    def __init__(self, state: Mapping[str, Mapping[str, list[float]]] | None = None) -> None:
        self._sums = {group: {name: list(pair) for name, pair in sums.items()} for group, sums in (state or {}).items()}

    def add(self, group: str, values: Mapping[str, float]) -> None:
        """Take in one turn's numbers."""
        sums = self._sums.setdefault(group, {})
        for name, value in values.items():
            pair = sums.setdefault(name, [0.0, 0])
            pair[0] += value
            pair[1] += 1

    def take(self) -> dict[str, dict[str, float]]:
        """The means, after which the sums start again."""
        means = {g: {name: total / count for name, (total, count) in s.items()} for g, s in self._sums.items()}
        self._sums = {}
        return means

    def state(self) -> dict[str, dict[str, list[float]]]:
        """What a resumed run needs, as JSON values."""
        return {group: {name: list(pair) for name, pair in sums.items()} for group, sums in self._sums.items()}


def read_log(run: Path) -> list[dict[str, Any]]:
    """Lines of ``log.jsonl``; a last line cut short by a crash is left out."""
    path = run / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _cut_back(path: Path, step: int) -> None:
    if not path.is_file():
        return
    kept = [line for line in read_log(path.parent) if line["step"] <= step]
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    temporary.replace(path)


def _open_board(run: Path, step: int) -> _Board:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainingError(
            "T005", "TensorBoard is not installed", remedy="pip install 'medgan[tensorboard]' or set tensorboard: false"
        ) from error
    board: _Board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)
    return board


def _numbers(value: Any, tag: str = "") -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [pair for name, part in value.items() for pair in _numbers(part, f"{tag}/{name}" if tag else name)]
    return [(tag, float(value))] if isinstance(value, int | float) and not isinstance(value, bool) else []
