"""A disk that is full, too small or read-only: an error with a code, and what was whole stays whole.

For real, on small file systems in memory, which only root may mount; elsewhere these tests are skipped.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from tiny_studies import finished_lesions, lesion_settings, lesion_study, medgan, run_here, write_settings

from medgan.errors import WriteError
from medgan.settings.loop import LoopSettings
from medgan.settings.study import read_study
from medgan.stages.arguments import JobArguments
from medgan.stages.workspace import Workspace
from medgan.training.checkpoint import load_checkpoint
from medgan.training.lock import hold_lock
from medgan.training.loop import train
from medgan.training.weights import export_weights, read_weights
from medgan.workflow.job import find_job, run_job

__all__ = ["finished_lesions"]

Mount = Callable[..., Path]
CYCLEGAN = JobArguments(translator="cyclegan", fold=0, seed=0)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system of so many kilobytes, or a folder read-only."""
    mounted: list[Path] = []

    def make(*, kilobytes: int = 0, read_only: Path | None = None) -> Path:
        place = read_only or tmp_path / f"disk{len(mounted)}"
        place.mkdir(exist_ok=True)
        what = ["--bind", str(place)] if read_only else ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs"]
        for options in [what, *([["-o", "remount,bind,ro"]] if read_only else [])]:
            done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
            if options is what:
                mounted.append(place)
        return place

    try:
        yield make
    finally:
        for place in reversed(mounted):
            subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Fill a disk to the last byte, but for so many kilobytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    if leave:
        with filler.open("r+b") as file:
            file.truncate(max(filler.stat().st_size - 1024 * leave, 0))
    return filler


def tiny(package: str = "methods", name: str = "cyclegan") -> tuple[torch.nn.Module, Callable[[int], dict]]:
    from training_toy import Toy, draw_toy

    return Toy(), draw_toy


SETTINGS = LoopSettings(
    total_steps=8, device="cpu", precision="fp32", checkpoint_every_steps=2, preview_every=None, log_every=2
)


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "training"))


def test_a_disk_that_fills_up_in_training_leaves_the_last_checkpoint_and_training_goes_on(
    mount: Mount, tmp_path: Path
) -> None:
    disk = mount(kilobytes=400)
    learner, draw = tiny()
    train(learner, draw, run=tmp_path / "whole", settings=SETTINGS)

    def on_step(done: int) -> None:
        if done == 5:
            fill(disk)

    learner, draw = tiny()
    with pytest.raises(WriteError, match=r"\[W012\].*No space left on device"):
        train(learner, draw, run=disk / "run", settings=SETTINGS, on_step=on_step)
    assert load_checkpoint(disk / "run").step == 4
    assert not (disk / "run" / "lock.json").exists()
    (disk / "filler").unlink()
    learner, draw = tiny()
    assert train(learner, draw, run=disk / "run", settings=SETTINGS).resumed_from == 4
    whole, cut = (load_checkpoint(run).tensors for run in (tmp_path / "whole", disk / "run"))
    for part, tensors in whole.items():
        assert all(torch.equal(tensor, cut[part][name]) for name, tensor in tensors.items())


def test_too_little_room_for_the_checkpoints_is_said_before_training(mount: Mount) -> None:
    disk = mount(kilobytes=400)
    fill(disk, leave=4)
    learner, draw = tiny()
    steps: list[int] = []
    with pytest.raises(WriteError, match=r"\[W01[01]\]"):
        train(learner, draw, run=disk / "run", settings=SETTINGS, on_step=steps.append)
    assert not steps


def test_weights_are_there_until_new_ones_are_whole(mount: Mount) -> None:
    disk = mount(kilobytes=400)
    learner, draw = tiny()
    train(learner, draw, run=disk / "run", settings=SETTINGS)
    export_weights(disk / "run")
    before = read_weights(disk / "run")[0]
    fill(disk)
    with pytest.raises(OSError, match="No space left on device"):
        export_weights(disk / "run")
    assert read_weights(disk / "run")[0] == before
    assert not list((disk / "run").glob(".*.tmp")), "pieces are taken away: on a full disk they count"


@pytest.fixture
def study(mount: Mount, tmp_path: Path) -> tuple[Path, Path]:
    """A study whose results lie on a small disk of their own, trained and not yet translated; and that disk."""
    disk = mount(kilobytes=40_000)
    path = lesion_study(tmp_path, subjects=6, output=str(disk / "out"))
    run_here(path, until="fold0/seed0/train/cyclegan")
    return path, disk


def test_too_little_room_for_translations_is_said_before_the_first(study: tuple[Path, Path]) -> None:
    path, disk = study
    settings = read_study(path)
    job = find_job(settings, "translate", CYCLEGAN)
    filler = fill(disk, leave=100)
    with pytest.raises(WriteError, match=r"\[W013\].*GB free; expected 0\.\d+ GB"):
        run_job(settings, job, report=len)
    assert not (Workspace(settings.output).folder(job.id) / "images").exists()
    filler.unlink()
    assert run_job(settings, job, report=len)


def test_a_disk_that_fills_up_in_translating_leaves_whole_images_and_it_goes_on(
    study: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, disk = study
    settings = read_study(path)
    job = find_job(settings, "translate", CYCLEGAN)
    monkeypatch.setattr("medgan.stages.translate.require_room", lambda *_: None)
    fill(disk, leave=20)
    with pytest.raises(WriteError, match=r"\[W0(01|14)\]"):
        run_job(settings, job, report=len)
    workspace = Workspace(settings.output)
    assert workspace.done(job.id) is None
    images = workspace.folder(job.id) / "images"
    assert not [one for one in images.iterdir() if one.name.startswith(".")]
    (disk / "filler").unlink()
    kept = {one.name: one.stat().st_mtime_ns for one in images.iterdir()}
    assert run_job(settings, job, report=len)
    assert kept.items() <= {one.name: one.stat().st_mtime_ns for one in images.iterdir()}.items()


def test_a_full_disk_is_an_error_with_a_code_in_every_stage_and_old_results_stay(study: tuple[Path, Path]) -> None:
    path, disk = study
    settings = read_study(path)
    run_here(path)
    workspace = Workspace(settings.output)
    for job in _jobs(settings):
        done = workspace.folder(job.id) / "done.json"
        done.rename(done.with_name("mark"))
        files = {one: one.read_bytes() for one in settings.output.rglob("*") if one.is_file()}
        fill(disk)
        with pytest.raises(WriteError, match=r"\[W\d{3}\].*No space left on device"):
            run_job(settings, job, report=len)
        changed = [str(one) for one, content in files.items() if not one.exists() or one.read_bytes() != content]
        assert [name for name in changed if not name.endswith("progress.json")] == []
        (disk / "filler").unlink()
        done.with_name("mark").rename(done)


def _jobs(settings: object) -> list:
    from medgan.workflow.plan import plan_study

    return list(plan_study(settings))


def test_a_read_only_output_is_an_error_at_the_start_of_every_stage(mount: Mount, tmp_path: Path) -> None:
    path = lesion_study(tmp_path, subjects=6)
    run_here(path)
    settings = read_study(path)
    workspace = Workspace(settings.output)
    jobs = _jobs(settings)
    mount(read_only=settings.output)
    for job in jobs:
        # What is done needs no writing.
        assert not run_job(settings, job, report=len)
    other = settings.model_copy(update={"split_seed": 1, "primary": None})
    with pytest.raises(WriteError, match=r"\[W010\].*Read-only file system"):
        run_job(other, _jobs(other)[0], report=len)
    subprocess.run(["umount", "-l", str(settings.output)], check=True)
    for job in jobs:
        (workspace.folder(job.id) / "done.json").rename(workspace.folder(job.id) / "mark")
        mount(read_only=settings.output)
        with pytest.raises(WriteError, match=r"\[W010\].*Read-only file system"):
            run_job(settings, job, report=len)
        subprocess.run(["umount", "-l", str(settings.output)], check=True)
        (workspace.folder(job.id) / "mark").rename(workspace.folder(job.id) / "done.json")


@pytest.mark.multiprocess
def test_a_read_only_output_is_an_error_of_the_commands(mount: Mount, tmp_path: Path) -> None:
    path = write_settings(tmp_path, lesion_settings())
    from medgan.phantoms import lesion

    lesion.write_study(tmp_path / "phantoms", seed=0, subjects=6, size_px=32)
    disk = mount(kilobytes=100)
    mount(read_only=disk)
    done = medgan("run", path, "--output", disk / "out", "--quiet")
    assert done.returncode == 1
    assert "WriteError[W010]" in done.stderr
    assert "Traceback" not in done.stderr
    words = ["--manifest", tmp_path / "phantoms" / "manifest.csv", "--data-root", tmp_path / "phantoms"]
    done = medgan("downstream", "--run", tmp_path, *words, "--out", disk / "rows")
    assert done.returncode == 1
    assert "WriteError[W010]" in done.stderr


def test_two_translations_into_one_folder_are_refused(finished_lesions: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from medgan.cli import app

    folder = finished_lesions.parent
    words = ["translate", "--run", folder / "out" / "fold0/seed0/train/cyclegan", "--out", tmp_path]
    words += ["--manifest", folder / "phantoms" / "manifest.csv", "--data-root", folder / "phantoms"]
    with hold_lock(tmp_path):
        refused = CliRunner().invoke(app, [str(word) for word in words])
        assert "J001" in str(refused.exception)
        assert not (tmp_path / "images").exists()
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "lock.json").exists()
