"""A run whose checkpoints are damaged: which are whole, and how to go on from the last of them."""

from dataclasses import dataclass
from pathlib import Path

from medgan.errors import CheckpointError
from medgan.training.checkpoint import checkpoints_of, find_checkpoint, load_checkpoint
from medgan.training.lock import hold_lock
from medgan.training.tensor_files import read_record
from medgan.training.weights import export_weights


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a checkpoint stands.

    Args:
        name: Its folder.
        wrong: What is wrong with it; empty where it is whole.
        best: Whether it has the best validation score.
    """

    name: str
    wrong: str
    best: bool

    def __str__(self) -> str:
        """One line."""
        return f"{self.name}: {self.wrong or 'whole'}{', the best' if self.best else ''}"


def look_over(run: Path) -> list[Standing]:
    """Every checkpoint of a run, the newest first, each read to its end and compared with its SHA-256.

    Raises:
        CheckpointError: C001, if the folder is no run's.
    """
    if not (run / "checkpoints").is_dir():
        raise CheckpointError("C001", "no checkpoint", where=str(run), remedy="name the folder of a train job")
    best = find_checkpoint(run, name="best")
    return [
        Standing(name=folder.name, wrong=_wrong_with(run, folder.name), best=folder == best)
        for folder in checkpoints_of(run)
    ]


def set_aside(run: Path) -> list[str]:
    """Take damaged checkpoints out of the way: the next training goes on from the newest that is whole.

    They stay beside the others, under a name that begins with ``damaged_``.

    Returns:
        Names of those that were set aside.

    Raises:
        CheckpointError: C001, if there are no checkpoints.
        RunError: J001, if a process works in the folder.
    """
    look_over(run)
    with hold_lock(run):
        damaged = [standing.name for standing in look_over(run) if standing.wrong]
        for name in damaged:
            folder = run / "checkpoints" / name
            folder.rename(folder.with_name(f"damaged_{name}"))
    return damaged


def export_again(run: Path) -> Path:
    """Write a run's weights again from the checkpoint that they came from; they are the same, byte by byte.

    Where the record of the weights cannot be read either, that is the best checkpoint if one was chosen by its score,
    else the last.

    Raises:
        CheckpointError: C001 or C002, if there is no checkpoint or it is damaged.
        RunError: J001, if a process works in the folder.
    """
    name, scored_by = _exported_from(run)
    load_checkpoint(run, name=name)
    with hold_lock(run):
        return export_weights(run, name=name, scored_by=scored_by)


def _exported_from(run: Path) -> tuple[str, str]:
    """Which checkpoint a run's weights came from, and by what it was chosen."""
    try:
        record = read_record(run / "weights.json")
    except CheckpointError:
        return ("best" if find_checkpoint(run, name="best") else "last"), ""
    return str(record.get("checkpoint", "last")), str(record.get("scored_by", ""))


def _wrong_with(run: Path, name: str) -> str:
    try:
        load_checkpoint(run, name=name)
    except CheckpointError as error:
        return f"{error.what} ({Path(error.where).name})"
    return ""
