"""Checkpoints of a run: safetensors and JSON, written beside and renamed, the last good one always whole."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from medgan.errors import CheckpointError, WriteError
from medgan.training.parallel import barrier, rank, ranks
from medgan.training.tensor_files import (
    read_record,
    read_tensors,
    refuse_pickle,
    sha256,
    sync,
    write_record,
    write_tensors,
)

_FORMAT = 1
_NAME = re.compile(r"step_(\d{8,})")
_RECORD = "checkpoint.json"
_NAMES = "names.json"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that a run needs to go on as if it had never stopped.

    There are no random states: every step seeds its own (see :mod:`medgan.training.loop`).

    Args:
        step: Steps done.
        identity: What is trained, as JSON values.
        settings: The loop's decisive settings, as JSON values.
        tensors: By part (``"learner"``, ``"ema"``, ``"optimizers"``), then by name.
        extra: This rank's :meth:`~medgan.training.learner.Learner.extra_tensors`, such as image pools.
        progress: Unfinished means, alarms' averages and the best score, as JSON values.
    """

    step: int
    identity: Mapping[str, object]
    settings: Mapping[str, object]
    tensors: Mapping[str, Mapping[str, Tensor]]
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(run: Path, snapshot: Snapshot, *, keep: int = 2, best: bool = False) -> Path:
    """Save a checkpoint; every rank calls it, rank 0 writes all but the other ranks' extra tensors.

    It is written into a temporary folder and renamed when it is whole, so that a crash leaves the one before.

    Args:
        run: The run's directory.
        snapshot: What to save.
        keep: How many of the newest are kept; the best is kept besides.
        best: Whether this one is to be known as ``"best"``.

    Returns:
        The checkpoint's folder, ``checkpoints/step_00001000``.

    Raises:
        WriteError: W012, if the disk does not take it.
    """
    final = run / "checkpoints" / f"step_{snapshot.step:08d}"
    try:
        _save(final, snapshot, keep=keep, best=best)
    except OSError as error:
        raise WriteError(
            "W012",
            "the checkpoint could not be written; the one before is whole",
            where=str(final),
            got=error.strerror or str(error),
            remedy="free some space and run again to go on",
        ) from error
    return final


def load_checkpoint(run: Path, *, name: str = "last") -> Snapshot:
    """Load a checkpoint, every file checked against its SHA-256.

    Args:
        run: The run's directory.
        name: ``"last"``, ``"best"`` or a folder's name such as ``"step_00001000"``.

    Raises:
        CheckpointError: C001, if there is none; C002, if it is damaged, with the last good one named; C003, if a
            pickle is offered; C006, if another version wrote it.
    """
    refuse_pickle(run)
    folder = find_checkpoint(run, name=name)
    if folder is None:
        raise CheckpointError("C001", f"no checkpoint {name!r}", where=str(run), remedy="train first")
    try:
        return _read(folder)
    except CheckpointError as error:
        if error.code != "C002":
            raise
        good = _newest(run, lambda other: other != folder and _is_whole(other))
        command = f"set {folder.name} aside with `medgan checkpoints {run} --set-aside`, then"
        remedy = f"run again to go on from {good.name}, which is whole" if good else "start the run again from nothing"
        raise CheckpointError(
            "C002", error.what, where=error.where, got=error.got, expected=error.expected, remedy=f"{command} {remedy}"
        ) from error


def checkpoints_of(run: Path) -> list[Path]:
    """Folders of all finished checkpoints, the newest first, be they whole or damaged."""
    return _by_step(run / "checkpoints")


def put_back(run: Path) -> None:
    """Give a checkpoint that was being replaced when its process was killed its name back; under the run's lock."""
    for path in (run / "checkpoints").glob(".step_*.old"):
        final = path.with_name(path.name.removeprefix(".").removesuffix(".old"))
        if _NAME.fullmatch(final.name) and not final.exists():
            path.rename(final)


def find_checkpoint(run: Path, *, name: str = "last", before: int | None = None) -> Path | None:
    """The folder of a checkpoint, or None; a half-written one is never found.

    Args:
        run: The run's directory.
        name: As in :func:`load_checkpoint`.
        before: For ``"last"``: of those of fewer steps.
    """
    if name == "last":
        # By number, not by names.json: a crash can fall between the renaming and the naming.
        return _newest(run, lambda path: before is None or _step(path) < before)
    if name == "best":
        name = _best(run / "checkpoints") or ""
    folder = run / "checkpoints" / name
    return folder if _NAME.fullmatch(name) and folder.is_dir() else None


def _save(final: Path, snapshot: Snapshot, *, keep: int, best: bool) -> None:
    folder = final.parent
    temporary = folder / f".{final.name}.writing"
    if rank() == 0:
        _sweep(folder)
        temporary.mkdir(parents=True)
    barrier()
    write_tensors(temporary / f"extra_{rank()}.safetensors", snapshot.extra)
    barrier()
    if rank() == 0:
        _finish(temporary, final, snapshot, best=best)
        _name(folder, final.name, keep=keep)
    barrier()


def _finish(temporary: Path, final: Path, snapshot: Snapshot, *, best: bool) -> None:
    digests = {
        f"{part}.safetensors": write_tensors(temporary / f"{part}.safetensors", tensors)
        for part, tensors in snapshot.tensors.items()
    }
    for number in range(ranks()):
        name = f"extra_{number}.safetensors"
        digests[name] = sha256(temporary / name)
    record = {
        "format": _FORMAT,
        "step": snapshot.step,
        "identity": snapshot.identity,
        "settings": snapshot.settings,
        "progress": snapshot.progress,
        "best": best,
        "files": digests,
    }
    write_record(temporary / _RECORD, record)
    sync(temporary)
    if final.exists():
        final.rename(final.with_name(f".{final.name}.old"))
    temporary.rename(final)
    sync(final.parent)


def _name(folder: Path, newest: str, *, keep: int) -> None:
    named = {"last": newest, "best": _best(folder)}
    write_record(folder / _NAMES, named)
    for path in _by_step(folder)[keep:]:
        if path.name not in named.values():
            _remove(path)
    _sweep(folder)


def _best(folder: Path) -> str | None:
    """The best checkpoint's name, as its own record says: a crash can fall between the renaming and the naming."""
    for path in _by_step(folder):
        with suppress(CheckpointError):
            if read_record(path / _RECORD).get("best"):
                return path.name
    # Records of medgan 0.1.0 do not say it.
    named = read_record(folder / _NAMES).get("best") if (folder / _NAMES).is_file() else None
    return str(named) if named else None


def _read(folder: Path) -> Snapshot:
    record: dict[str, Any] = read_record(folder / _RECORD)
    if record.get("format") != _FORMAT:
        raise CheckpointError(
            "C006",
            "the checkpoint's format is of another version of medgan",
            where=str(folder),
            got=str(record.get("format")),
            expected=str(_FORMAT),
            remedy="go on with the version that wrote it",
        )
    files: dict[str, str] = record["files"]
    mine = f"extra_{rank()}.safetensors"
    parts = {
        name.removesuffix(".safetensors"): read_tensors(folder / name, digest=digest)
        for name, digest in files.items()
        if name == mine or not name.startswith("extra_")
    }
    extra = parts.pop(mine.removesuffix(".safetensors"), {})
    return Snapshot(
        step=record["step"],
        identity=record["identity"],
        settings=record["settings"],
        tensors=parts,
        extra=extra,
        progress=record["progress"],
    )


def _is_whole(folder: Path) -> bool:
    try:
        _read(folder)
    except CheckpointError:
        return False
    return True


def _newest(run: Path, fits: Callable[[Path], bool]) -> Path | None:
    return next((path for path in _by_step(run / "checkpoints") if fits(path)), None)


def _by_step(folder: Path) -> list[Path]:
    """Finished checkpoints, the newest first."""
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def _remove(path: Path) -> None:
    # Renamed first, so that a crash in mid-removal leaves nothing that looks whole.
    gone = path.with_name(f".{path.name}.{os.getpid()}.old")
    path.rename(gone)
    shutil.rmtree(gone)


def _sweep(folder: Path) -> None:
    for path in folder.glob(".step_*"):
        shutil.rmtree(path)
