"""One job in one process: what it needs, its lock, and its end with the process that launched it."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_studies import clean_environment, lesion_study

from medgan.errors import RunError, TrainingError
from medgan.settings.study import read_study
from medgan.stages.workspace import Workspace
from medgan.training.lock import hold_lock, make_writable
from medgan.workflow.job import LAUNCHER, lock_folder, run_job
from medgan.workflow.launch import states
from medgan.workflow.plan import plan_study


@pytest.fixture
def study(tmp_path):
    return read_study(lesion_study(tmp_path, subjects=6))


def test_a_job_waits_for_what_it_needs(study):
    train = plan_study(study)[1]
    with pytest.raises(RunError, match=r"J010.*prepare is not finished"):
        run_job(study, train, report=print)
    assert not Workspace(study.output).folder(train.id).exists()


def test_a_job_does_not_take_results_of_other_settings(study):
    run_job(study, plan_study(study)[0], report=print)
    other = study.model_copy(update={"split_seed": 1})
    train = plan_study(other)[1]
    changed = "prepare is not finished with the present settings; got split_seed 20240101 -> 1"
    with pytest.raises(RunError, match=rf"J010.*{changed}"):
        run_job(other, train, report=print)
    assert run_job(study, plan_study(study)[1], report=print)


def test_a_job_begun_with_other_settings_is_put_aside_and_told(study):
    prepare, lines = plan_study(study)[0], []
    run_job(study, prepare, report=lines.append)
    other = study.model_copy(update={"split_seed": 1})
    run_job(other, plan_study(other)[0], report=lines.append)
    told = "prepare: begun otherwise before (split_seed 20240101 -> 1); what was there is in replaced/prepare.1"
    assert told in lines
    assert (study.output / "replaced" / "prepare.1" / "splits.csv").exists()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried")])
def test_memory_that_does_not_suffice_names_the_job_and_the_case(study, monkeypatch, error):
    for job in plan_study(study)[:2]:
        run_job(study, job, report=len)

    def full(*args, **kwargs):
        raise error

    monkeypatch.setattr("medgan.stages.translate.write_image", full)
    with pytest.raises(TrainingError, match=r"T008.*row \d+ \(case \w+.*out of memory in .*translate/histogram"):
        run_job(study, plan_study(study)[2], report=len)


def test_a_job_is_run_once(study):
    prepare, lines = plan_study(study)[0], []
    assert run_job(study, prepare, report=lines.append)
    mark = Workspace(study.output).folder("prepare") / "done.json"
    before = mark.read_bytes()
    assert not run_job(study, prepare, report=lines.append)
    assert mark.read_bytes() == before
    assert lines[-1] == "prepare: nothing to do"
    assert "prepare: done" in lines[-2]


def test_two_processes_do_not_run_one_job(study):
    prepare = plan_study(study)[0]
    folder = Workspace(study.output).folder("prepare")
    folder.mkdir(parents=True)
    (folder / "half.txt").write_text("of the other process, begun with other settings")
    lock = lock_folder(study, prepare)
    make_writable(lock)
    with hold_lock(lock):
        assert states(study)[0][1] == "running"
        with pytest.raises(RunError, match=r"J001"):
            run_job(study, prepare, report=print)
    assert (folder / "half.txt").exists(), "a running job's folder was taken away"
    assert states(study)[0][1] == "begun"


def test_locks_of_a_node_that_died_are_named_in_turn_and_removed_by_hand(study):
    """On a shared file system nobody can tell from here: a training's two locks, the job's and the run's."""
    run_job(study, plan_study(study)[0], report=len)
    job = next(job for job in plan_study(study) if job.stage == "train")
    begun = {"digest": job.digest, "needs": job.needs, "asked": dict(job.settings)}
    folder = Workspace(study.output).begin(job.id, **begun, report=len)
    for place in (lock_folder(study, job), folder):
        make_writable(place)
        with hold_lock(place):
            left = json.loads((place / "lock.json").read_text())
        (place / "lock.json").write_text(json.dumps(left | {"host": "node-7", "boot": "another"}))
    removed = []
    for _ in range(2):
        with pytest.raises(RunError, match=r"J001.*on node-7 since .*cannot be asked from here.*remove ") as error:
            run_job(study, job, report=len)
        removed.append(Path(error.value.remedy.partition("remove ")[2]))
        removed[-1].unlink()
    assert [lock.parent for lock in removed] == [lock_folder(study, job), folder]
    assert run_job(study, job, report=len)


def test_a_failed_job_leaves_no_mark_and_no_lock(study):
    next((study.data_root / "clinical").glob("*.png")).write_bytes(b"no picture")
    prepare = plan_study(study)[0]
    with pytest.raises(Exception, match=r"\[R\d{3}\]"):
        run_job(study, prepare, report=print)
    assert Workspace(study.output).done("prepare") is None
    assert states(study)[0][1] == "begun"


@pytest.mark.multiprocess
class TestLauncher:
    CODE = "import time, medgan.workflow.job as job; job.end_with_launcher(); time.sleep({seconds}); print('on')"

    def job(self, launcher, *, seconds=30.0):
        environment = clean_environment() | ({LAUNCHER: launcher} if launcher else {})
        return subprocess.Popen(
            [sys.executable, "-c", self.CODE.format(seconds=seconds)], env=environment, stdout=subprocess.PIPE
        )

    def test_a_job_ends_with_its_launcher(self):
        launcher = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        job = self.job(f"{socket.gethostname()}:{launcher.pid}")
        try:
            time.sleep(0.5)
            assert job.poll() is None
            launcher.kill()
            launcher.wait()
            began = time.monotonic()
            assert job.wait(timeout=20) == 70
            assert time.monotonic() - began < 10
        finally:
            for process in (launcher, job):
                process.kill()
                process.wait()
            job.stdout.close()

    @pytest.mark.parametrize("launcher", [None, f"elsewhere-{socket.gethostname()}:1", f"{socket.gethostname()}:self"])
    def test_a_job_by_hand_or_on_another_host_goes_on(self, launcher):
        if launcher and launcher.endswith("self"):
            launcher = f"{socket.gethostname()}:{os.getpid()}"
        job = self.job(launcher, seconds=1.2)
        out, _ = job.communicate(timeout=30)
        assert (job.returncode, out.strip()) == (0, b"on")
