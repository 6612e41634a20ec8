"""Rows 49 to 57, 59 and 60: what the machine does to a run, and what is offered as one.

A full or read-only disk is put in place of the real one, so that the page says the same everywhere; the tests fill real
ones.
"""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from bad_inputs.making import study
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.errors import MedganError
from medgan.imaging.limits import guarded
from medgan.settings.loop import LoopSettings
from medgan.settings.study import Study, read_study
from medgan.training.checkpoint import Snapshot, load_checkpoint, save_checkpoint
from medgan.training.identity import Identity
from medgan.training.lock import hold_lock
from medgan.training.loop import train
from medgan.training.translator import SampleShape, Translator
from medgan.workflow.job import run_job
from medgan.workflow.killed import killed_error
from medgan.workflow.launch import launch
from medgan.workflow.plan import plan_study
from medgan.workflow.resources import Resources

PLAIN = LoopSettings(
    total_steps=6, device="cpu", precision="fp32", threads=1, checkpoint_every_steps=2, preview_every=None
)
IDENTITY = Identity(method="cyclegan", shape={"channels": 1}, directions=("b",), data={"manifest": "a" * 64})


class StoppedError(Exception):
    """Stands for whatever ends a run."""


def _learner() -> Translator:
    from medgan.methods.cyclegan import CycleGAN, CycleGANRecipe

    torch.manual_seed(0)
    return CycleGAN(CycleGANRecipe.tiny(), shape=SampleShape(1, 1, 32))


def _draw(number: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    return {name: torch.rand(2, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


def _train(run: Path, **changes: Any) -> Path:
    train(_learner(), _draw, run=run, settings=PLAIN, **{"identity": IDENTITY, **changes})
    return run


def _study(folder: Path, *, jobs: int, **keys: Any) -> Study:
    """A study of which the first jobs are done: prepare, train, translate."""
    settings = read_study(study(folder, **keys))
    for job in plan_study(settings)[:jobs]:
        run_job(settings, job, report=len)
    return settings


def _next(settings: Study, number: int) -> None:
    run_job(settings, plan_study(settings)[number], report=len)


def _bytes_of(run: Path) -> dict[str, bytes]:
    snapshot = load_checkpoint(run)
    parts: Mapping[str, Mapping[str, torch.Tensor]] = {**snapshot.tensors, "extra": snapshot.extra}
    return {
        f"{part}/{name}": value.numpy().tobytes() for part, tensors in parts.items() for name, value in tensors.items()
    }


@contextmanager
def _nearly_full() -> Iterator[None]:
    usage = mock.Mock(free=1000)
    with mock.patch("shutil.disk_usage", return_value=usage):
        yield


def _refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@bad_input(49, gives="W092")
def full_before_preparing(folder: Path) -> None:
    """A disk too small for the prepared images."""
    with _nearly_full():
        _study(folder, jobs=1)


@bad_input(49, gives="W011")
def full_before_training(folder: Path) -> None:
    """A disk too small for the checkpoints."""
    with _nearly_full():
        _train(folder / "run")


@bad_input(49, gives="W013")
def full_before_translating(folder: Path) -> None:
    """A disk too small for the translated images."""
    settings = _study(folder, jobs=2)
    with _nearly_full():
        _next(settings, 2)


@bad_input(49, gives="W012")
def full_in_a_checkpoint(folder: Path) -> None:
    """A disk that fills up while a checkpoint is written; the one before is whole."""

    def fill(step: int) -> None:
        if step == 3:
            patch.start()

    patch = mock.patch("medgan.training.checkpoint.write_tensors", _refusing(errno.ENOSPC))
    try:
        _train(folder / "run", on_step=fill)
    finally:
        patch.stop()
        require(load_checkpoint(folder / "run").step == 2, "the checkpoint before is whole")


@bad_input(49, gives="W014")
def full_in_other_results(folder: Path) -> None:
    """A disk that fills up while a job's results are written."""
    settings = read_study(study(folder))
    with mock.patch("medgan.stages.prepare.write_folds", _refusing(errno.ENOSPC)):
        _next(settings, 0)


@bad_input(50, gives=HANDLED)
def killed_in_mid_write(folder: Path) -> str:
    """SIGKILL while a checkpoint is written."""
    here = str(Path(__file__).parents[1])
    script = "import sys; sys.path.insert(0, sys.argv[1]); from bad_inputs.machine import die_in_mid_write as die; "
    words = [sys.executable, "-c", f"{script}die(sys.argv[2])", here, str(folder / "cut")]
    done = subprocess.run(words, capture_output=True, check=False)
    require(done.returncode == -signal.SIGKILL, f"it was killed; {done.stderr.decode()[-300:]}")
    require(any((folder / "cut" / "checkpoints").glob(".step_*")), "half a checkpoint is there")
    require(load_checkpoint(folder / "cut").step == 2, "and is not taken for a whole one")
    summary = train(_learner(), _draw, run=folder / "cut", settings=PLAIN, identity=IDENTITY)
    require(summary.resumed_from == 2, "it goes on from the checkpoint before")
    require(_bytes_of(folder / "cut") == _bytes_of(_train(folder / "whole")), "the result is the same")
    return "goes on from the checkpoint before; the result is the same, bit for bit"


def die_in_mid_write(run: str) -> None:
    """Train, and be killed with half of the second checkpoint's first file on the disk."""
    from medgan.training import checkpoint

    write = checkpoint.write_tensors

    def half(path: Path, tensors: Mapping[str, torch.Tensor]) -> str:
        digest = write(path, tensors)
        if "00000004" in str(path):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return digest

    with mock.patch.object(checkpoint, "write_tensors", half):
        _train(Path(run))


@bad_input(51, gives="W010")
def read_only(folder: Path) -> Seen:
    """Results on a read-only disk: every job, and `medgan run`."""
    settings = _study(folder, jobs=1)
    training = plan_study(settings)[1]
    options = {"resources": Resources(cores=1), "dry_run": False, "keep_going": False, "passed_on": (), "report": len}
    with mock.patch.object(Path, "mkdir", _refusing(errno.EROFS)):
        return refused(
            [
                lambda: run_job(settings, training, report=len),
                lambda: launch(settings, **options),
                lambda: _train(folder / "run"),
            ],
            codes="W010",
        )


LOCK = {"pid": 4711, "host": "ward-7", "started": "2026-01-05T10:00:00+0000", "command": "medgan train study.yaml"}


@bad_input(52, gives="J001")
def two_runs(folder: Path) -> None:
    """A second run in the directory of one on another host."""
    (folder / "run").mkdir()
    (folder / "run" / "lock.json").write_text(json.dumps(LOCK))
    _train(folder / "run")


@bad_input(52, gives=HANDLED)
def stale_lock(folder: Path) -> str:
    """A lock that a killed process has left."""
    with hold_lock(folder):
        left = (folder / "lock.json").read_text()
    (folder / "lock.json").write_text(left)
    with hold_lock(folder) as stale:
        require(stale is not None and stale["pid"] == os.getpid(), "whose lock it was is told")
    return "taken over, with a line in the log; recorded in the run's starts.jsonl"


@bad_input(53, gives="C005")
def manifest_changed(folder: Path) -> None:
    """Training to be resumed with another manifest and another number of steps."""
    _train(folder / "run")
    other = Identity(**{**vars(IDENTITY), "data": {"manifest": "b" * 64}})
    settings = PLAIN.model_copy(update={"total_steps": 9})
    train(_learner(), _draw, run=folder / "run", settings=settings, identity=other)


@bad_input(53, gives="J010")
def settings_changed(folder: Path) -> None:
    """A job by hand after the study file was changed."""
    settings = _study(folder, jobs=2)
    _next(settings.model_copy(update={"split_seed": 1}), 2)


@bad_input(53, gives=HANDLED)
def settings_changed_for_all(folder: Path) -> str:
    """The same job again after the study file was changed."""
    settings = _study(folder, jobs=1)
    other, lines = settings.model_copy(update={"split_seed": 1}), []
    run_job(other, plan_study(other)[0], report=lines.append)
    told = next(line for line in lines if "begun otherwise" in line)
    require((folder / "out" / "replaced" / "prepare.1" / "splits.csv").exists(), "the old results are kept")
    return told


@bad_input(54, gives="C004")
def other_channels(folder: Path) -> Seen:
    """A checkpoint of another number of channels, another method, another direction."""
    _train(folder / "run")
    others = ({"shape": {"channels": 3}}, {"method": "pix2pix"}, {"directions": ("a", "b")})
    tries = [
        lambda other=other: _train(folder / "run", identity=Identity(**{**vars(IDENTITY), **other})) for other in others
    ]
    return refused(tries, codes="C004")


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@bad_input(55, gives="C003")
def pickle_as_checkpoint(folder: Path) -> Seen:
    """A pickle that would write a file, as .pth, renamed to .safetensors in a run, and in a checkpoint."""
    from medgan.stages.trained import open_run
    from medgan.training.tensor_files import sha256, write_record

    bomb, checkpoint = folder / "net.pth", save_checkpoint(folder / "run", _snapshot(2))
    torch.save({"net": Bomb(folder / "fired")}, bomb)
    (folder / "run" / "weights.safetensors").write_bytes(bomb.read_bytes())
    record = {"identity": IDENTITY.to_json(), "step": 1, "averaged": False, "medgan_version": "0"}
    write_record(folder / "run" / "weights.json", {**record, "weights": sha256(bomb)})
    (checkpoint / "learner.safetensors").write_bytes(pickle.dumps(Bomb(folder / "fired")))
    tries = [lambda: open_run(bomb), lambda: open_run(folder / "run"), lambda: load_checkpoint(folder / "run")]
    seen = refused(tries, codes="C003")
    require(not (folder / "fired").exists(), "nothing in it was executed")
    return seen


@bad_input(55, gives="C007")
def pickle_to_import(folder: Path) -> Seen:
    """A pickle that would write a file, given to `medgan import-weights`; tensors beside it or not."""
    from medgan.stages.import_weights import import_weights

    contents = {"alone.pth": Bomb(folder / "fired"), "beside.pth": {"a": torch.ones(1), "b": Bomb(folder / "fired")}}
    for name, content in contents.items():
        torch.save(content, folder / name)
    tries = [lambda n=name: import_weights(folder / n, folder / "run", source="a", target="b") for name in contents]
    seen = refused(tries, codes="C007")
    require(not (folder / "fired").exists(), "nothing in it was executed")
    return seen


def _snapshot(step: int) -> Snapshot:
    return Snapshot(
        step=step,
        identity=IDENTITY.to_json(),
        settings={"seed": 0},
        tensors={"learner": {"weight": torch.full((4, 4), float(step))}, "optimizers": {}},
    )


def _damaged(folder: Path) -> Path:
    for step in (1, 2):
        last = save_checkpoint(folder / "run", _snapshot(step))
    data = bytearray((last / "learner.safetensors").read_bytes())
    data[-1] ^= 1
    (last / "learner.safetensors").write_bytes(bytes(data))
    return folder / "run"


@bad_input(56, gives="C002")
def damaged_checkpoint(folder: Path) -> None:
    """A checkpoint with one bit flipped."""
    load_checkpoint(_damaged(folder))


@bad_input(56, gives=HANDLED)
def damaged_checkpoint_set_aside(folder: Path) -> str:
    """The same, after `medgan checkpoints RUN --set-aside`."""
    from medgan.training.mend import set_aside

    run = _damaged(folder)
    require(set_aside(run) == ["step_00000002"], "the damaged one is set aside")
    require(load_checkpoint(run).step == 1, "the last good one is the newest")
    require((run / "checkpoints" / "damaged_step_00000002").is_dir(), "nothing is lost")
    return "goes on from step_00000001; the damaged one stays as damaged_step_00000002"


class _Small:
    """A learner on a device that holds one sample."""

    def __init__(self) -> None:
        self.learner = _learner()
        self.plain = self.learner.training_step
        self.learner.training_step = self.step  # type: ignore[method-assign]

    def step(self, batch: Mapping[str, torch.Tensor]) -> Iterator[Any]:
        if len(batch["a"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        yield from self.plain(batch)


@bad_input(57, gives="T008")
def gpu_memory(folder: Path) -> None:
    """A batch that the GPU's memory does not hold."""
    train(_Small().learner, _draw, run=folder, settings=PLAIN, identity=IDENTITY)


@bad_input(57, gives=HANDLED)
def gpu_memory_halved(folder: Path) -> str:
    """The same with `halve_batch: true`."""
    settings = PLAIN.model_copy(update={"halve_batch": True})
    train(_Small().learner, _draw, run=folder / "run", settings=settings, identity=IDENTITY)
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    require({"step": 1, "batch_parts": 2} in lines, f"the log tells it; {lines}")
    require(load_checkpoint(folder / "run").step == 6, "it trains to the end")
    return "each batch goes through in two parts, gradients added up; the log has `batch_parts`"


@bad_input(59, gives="R071")
def reader_killed(folder: Path) -> None:
    """A reading process that the kernel ends."""
    guarded(signal.raise_signal, signal.SIGKILL, where="row 5 (case BR005)", seconds=60)


@bad_input(59, gives="J021")
def job_killed(folder: Path) -> None:
    """A job of a study that the kernel ends."""
    doing = {"doing": "translating", "done": 3, "total": 20, "at": "row 5 (case BR005)"}
    error = killed_error(
        "fold0/seed0/translate/cyclegan",
        folder / "logs" / "fold0-seed0-translate-cyclegan.log",
        ["exit status 137"],
        progress=doing,
        vanished=True,
        for_memory=False,
    )
    require(isinstance(error, MedganError), "it is told")
    raise error  # type: ignore[misc]


@bad_input(60, gives=HANDLED)
def resumed(folder: Path) -> str:
    """A run that was stopped at three places, against one that was not."""

    def stop(at: int) -> Callable[[int], None]:
        def on_step(step: int) -> None:
            if step == at:
                raise StoppedError

        return on_step

    for step in (1, 3, 4):
        try:
            _train(folder / "cut", on_step=stop(step))
        except StoppedError:
            continue
        require(False, "it was stopped")  # noqa: FBT003
    require(_bytes_of(_train(folder / "cut")) == _bytes_of(_train(folder / "whole")), "the same, bit by bit")
    return "networks, optimizers and image pools are the same, bit for bit"
