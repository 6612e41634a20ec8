"""A job that was killed: the launcher says which, what it was doing, why most likely, and what to do."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from tiny_studies import TINY_CYCLEGAN, lesion_study
from workflow_kills import started

from medgan.stages.progress import Progress
from medgan.workflow.killed import killed_error, memory_kills

DOING = {"doing": "translating", "done": 3, "total": 20, "at": "row 5 (case BR005)"}
LOG = Path("logs/job.log")


def error(*lines, progress=DOING, vanished=False, for_memory=False):
    return killed_error("job", LOG, lines, progress=progress, vanished=vanished, for_memory=for_memory)


def test_a_killed_job_is_told_with_what_it_was_doing_and_the_case():
    told = str(error("job: translating 2/20", "exit status 137"))
    assert told.startswith("RunError[J021]: logs/job.log: job was killed by the system, most likely for its memory; ")
    assert "got exit status 137, SIGKILL while translating 3/20, at row 5 (case BR005)" in told
    assert "fewer --cores" in told
    assert "killed by the system, for its memory" in str(error("exit status 137", for_memory=True))


def test_one_that_vanished_without_a_word_is_told_too():
    assert "got no exit status" in str(error("job: steps 2/20", vanished=True, progress={}))


@pytest.mark.parametrize(
    ("lines", "vanished"),
    [
        (["TrainingError[T001]: not finite", "exit status 137"], False),
        (["exit status 139"], False),
        (["Killed"], False),
        ([], False),
        (["ReadError[R001]: zero bytes"], True),
    ],
)
def test_other_ends_are_not_called_so(lines, vanished):
    assert error(*lines, vanished=vanished) is None


def test_kills_for_memory_are_counted_where_the_system_does():
    assert memory_kills() >= 0


def test_progress_always_names_the_case_that_is_begun(tmp_path):
    from medgan.manifests.case import Case

    progress = Progress(tmp_path / "progress.json", what="job", report=len)
    cases = [Case(case_id=f"C{n}", subject_id="P", domain="d", image="x.png") for n in range(3)]
    for case in progress.over(cases, doing="scoring"):
        state = json.loads((tmp_path / "progress.json").read_text())
        assert state["at"] == case.where
        assert case.case_id in state["at"]
    assert "at" not in json.loads((tmp_path / "progress.json").read_text())


@pytest.mark.multiprocess
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc, which is not here")
def test_medgan_run_says_which_job_was_killed(tmp_path):
    plan = {"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN | {"total_steps": 100_000}}
    path = lesion_study(tmp_path, subjects=6, translators=[plan], tasks=[], primary=None)
    mark = path.parent / "out" / "fold0/seed0/train/cyclegan/progress.json"
    with started(path) as process:
        until = time.monotonic() + 600
        while not mark.exists():
            assert process.poll() is None, (path.parent / "run.log").read_text()
            assert time.monotonic() < until, "training never began"
            time.sleep(0.05)
        lock = path.parent / "out/.locks/fold0/seed0/train/cyclegan/lock.json"
        os.kill(json.loads(lock.read_text())["pid"], signal.SIGKILL)
        assert process.wait(timeout=600) == 1
    told = (path.parent / "run.log").read_text()
    wanted = r"RunError\[J021\].*fold0/seed0/train/cyclegan was killed by the system, most likely for its memory"
    assert re.search(wanted + r".*exit status 137, SIGKILL while steps \d+/100000", told), told
    assert "Traceback" not in told
