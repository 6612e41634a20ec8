"""Weights for inference alone: what a trained learner is rebuilt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import medgan
from medgan.errors import CheckpointError
from medgan.training.checkpoint import find_checkpoint, load_checkpoint
from medgan.training.identity import Identity
from medgan.training.learner import Learner
from medgan.training.tensor_files import read_record, read_tensors, refuse_pickle, write_record, write_tensors


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """What the weights are.

    Args:
        identity: Method, recipe, sample shape, directions, intensity contract, data digests.
        step: Steps trained.
        averaged: Whether the networks hold the moving average.
        sha256: Digest of ``weights.safetensors``.
        medgan_version: Version that wrote them.
        checkpoint: ``"last"`` or ``"best"``.
        score: Score that the best checkpoint was chosen by; None for the last.
        scored_by: What the score is, in words.
    """

    identity: Identity
    step: int
    averaged: bool
    sha256: str
    medgan_version: str
    checkpoint: str = "last"
    score: float | None = None
    scored_by: str = ""


def export_weights(run: Path, *, name: str = "last", scored_by: str = "") -> Path:
    """Write ``weights.safetensors`` and ``weights.json`` from a run's checkpoint.

    They hold the learner's parameters and buffers, with the moving averages in place where there are any; no
    optimizer, and no image pool, which would carry patients' images along.

    Args:
        run: The run's directory.
        name: Which checkpoint, as in :func:`~medgan.training.checkpoint.load_checkpoint`.
        scored_by: What the best checkpoint's score is, in words.

    Returns:
        Path of ``weights.json``.
    """
    snapshot = load_checkpoint(run, name=name)
    averages = snapshot.tensors.get("ema", {})
    best = name == "best"
    return write_weights(
        run,
        {**snapshot.tensors["learner"], **averages},
        identity=snapshot.identity,
        step=snapshot.step,
        averaged=bool(averages),
        chosen={
            "checkpoint": name,
            "score": snapshot.progress.get("best") if best else None,
            "scored_by": scored_by if best else "",
        },
    )


def write_weights(
    run: Path,
    tensors: Mapping[str, Tensor],
    *,
    identity: Mapping[str, object],
    step: int,
    averaged: bool,
    chosen: Mapping[str, object] | None = None,
) -> Path:
    """Write weights and their record; the old ones are there until both new files are whole.

    Args:
        run: The run's directory.
        tensors: By the learner's state names.
        identity: What they are, as JSON values.
        step: Steps trained.
        averaged: Whether the networks hold the moving average.
        chosen: Of which checkpoint they are, and why, where there are checkpoints.

    Returns:
        Path of ``weights.json``.
    """
    record, written, temporary = run / "weights.json", run / ".weights.json.tmp", run / ".weights.safetensors.tmp"
    try:
        told = {
            "identity": identity,
            "step": step,
            "averaged": averaged,
            "weights": write_tensors(temporary, tensors),
            "medgan_version": medgan.__version__,
            **(chosen or {}),
        }
        write_record(written, told)
        # Without the record there are no weights: a crash between the moves leaves none rather than a mixture.
        record.unlink(missing_ok=True)
        temporary.replace(run / "weights.safetensors")
        written.replace(record)
    finally:
        temporary.unlink(missing_ok=True)
        written.unlink(missing_ok=True)
    return record


def read_weights(run: Path) -> tuple[WeightsInfo, dict[str, Tensor]]:
    """Read the weights of a run.

    Returns:
        What they are, and the tensors on the CPU by the learner's state names.

    Raises:
        CheckpointError: C001, if there are none; C002, if they are damaged; C003, if a pickle is offered.
    """
    refuse_pickle(run)
    path = run / "weights.json"
    if not path.is_file():
        raise CheckpointError("C001", "no weights", where=str(run), remedy="train first, or name the run's directory")
    try:
        record: dict[str, Any] = read_record(path)
        tensors = read_tensors(run / "weights.safetensors", digest=record["weights"])
    except CheckpointError as error:
        if error.code == "C002":
            again = f"`medgan checkpoints {run} --export` writes them again from the checkpoint that they came from"
            error.remedy = again if find_checkpoint(run) else "copy the run again, or train again"
        raise
    info = WeightsInfo(
        identity=Identity.from_json(record["identity"]),
        step=record["step"],
        averaged=record["averaged"],
        sha256=record["weights"],
        medgan_version=record["medgan_version"],
        checkpoint=record.get("checkpoint", "last"),
        score=record.get("score"),
        scored_by=record.get("scored_by", ""),
    )
    return info, tensors


def load_weights(learner: Learner, tensors: Mapping[str, Tensor], *, networks: Sequence[str] | None = None) -> None:
    """Put weights into a learner built as their identity says; every name and shape must fit.

    Args:
        learner: What they are put into.
        tensors: By the learner's state names.
        networks: Those that there are weights of, where some were left out; all by default.

    Raises:
        CheckpointError: C004, if they belong to another learner.
    """
    rest = (
        {}
        if networks is None
        else {name: tensor for name, tensor in learner.state_dict().items() if name.split(".")[0] not in networks}
    )
    try:
        learner.load_state_dict({**rest, **tensors}, strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            "C004",
            "the weights are of something else",
            where=type(learner).__name__,
            got=" ".join(str(error).split())[:500],
            remedy="build the learner from the recipe and shape that the weights name",
        ) from error
