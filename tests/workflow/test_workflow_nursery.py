"""Jobs forked from a process that has imported what they need: the same result, and nothing outlives its owner."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tiny_studies import TINY_CYCLEGAN, clean_environment, lesion_study, run_here

from medgan.training.processes import has_ended
from medgan.workflow.handover import NURSERY, handed_over
from medgan.workflow.nursery import nursery

pytestmark = [
    pytest.mark.multiprocess,
    pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux only"),
]

NO_IMPORTS = ("none", "none", "none")
"""Stages that import nothing, so that the nursery is there at once."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "nursery.log"


@pytest.fixture
def environment(log: Path) -> Iterator[dict[str, str]]:
    with nursery(NO_IMPORTS, clean_environment(), log=log) as found:
        yield found


def command(*words: str | Path, environment: dict[str, str], folder: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "medgan", *map(str, words)],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def forked(log: Path) -> list[int]:
    """Processes that the nursery says it forked."""
    return [int(line.split()[1].rstrip(":")) for line in log.read_text().splitlines() if line.startswith("process")]


def until(holds, *, limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "what the test waits for never came"
        time.sleep(0.02)


def long_training(folder: Path) -> tuple[Path, list[str | Path]]:
    """A prepared study, and the command of a training that would go on for hours; its folder comes first."""
    plan = {"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN | {"total_steps": 10_000_000}}
    path = lesion_study(folder, translators=[plan], tasks=[], primary=None, margin=None)
    run_here(path, until="prepare")
    return path.parent / "out" / "fold0/seed0/train/cyclegan", ["train", path, "--translator", "cyclegan", "--quiet"]


@pytest.mark.parametrize("words", [("tasks",), ("check", "absent.yaml"), ("nonsense",)], ids=["good", "error", "usage"])
def test_a_command_says_and_returns_the_same(environment, log, tmp_path, words):
    alone = finished(command(*words, environment=clean_environment(), folder=tmp_path))
    assert finished(command(*words, environment=environment, folder=tmp_path)) == alone
    assert len(forked(log)) == 1


def test_several_are_done_at_a_time(environment, log):
    running = [command("tasks", environment=environment) for _ in range(4)]
    assert [finished(one)[0] for one in running] == [0] * 4
    assert len(set(forked(log))) == 4


def test_a_job_ends_with_its_command(environment, log, tmp_path):
    folder, words = long_training(tmp_path)
    job = command(*words, environment=environment)
    until(lambda: (folder / "log.jsonl").exists())
    [pid] = forked(log)
    assert not has_ended(pid)
    job.kill()
    until(lambda: has_ended(pid), limit_s=10)
    finished(job)
    assert finished(command("tasks", environment=environment))[0] == 0, "the nursery went down with it"


def test_a_job_ends_with_its_nursery_and_says_so(log, tmp_path):
    folder, words = long_training(tmp_path)
    with nursery(NO_IMPORTS, clean_environment(), log=log) as environment:
        job = command(*words, environment=environment)
        until(lambda: (folder / "log.jsonl").exists())
        [pid] = forked(log)
        assert not has_ended(pid)
    assert finished(job)[0] == 137
    until(lambda: has_ended(pid), limit_s=10)


def test_a_killed_job_is_told_as_killed(environment, log, tmp_path):
    folder, words = long_training(tmp_path)
    job = command(*words, environment=environment)
    until(lambda: (folder / "log.jsonl").exists())
    [pid] = forked(log)
    os.kill(pid, 9)
    assert finished(job)[0] == 137


@pytest.mark.parametrize("address", ["", "gone"])
def test_without_one_a_command_works_by_itself(tmp_path, address):
    found = clean_environment() | {NURSERY: str(tmp_path / address) if address else ""}
    code, out, _ = finished(command("tasks", environment=found))
    assert code == 0
    assert "segmentation" in out


def test_who_asks_a_nursery_that_goes_away_works_by_itself(tmp_path, monkeypatch):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "nursery"))
        listener.listen(1)
        monkeypatch.setenv(NURSERY, str(tmp_path / "nursery"))
        child = os.fork()
        if child == 0:
            link, _ = listener.accept()
            link.close()
            os._exit(0)
        assert handed_over(["tasks"]) is None
        os.waitpid(child, 0)


def test_ranks_of_torchrun_work_by_themselves(environment, monkeypatch):
    monkeypatch.setenv(NURSERY, environment[NURSERY])
    monkeypatch.setenv("RANK", "0")
    assert handed_over(["tasks"]) is None


@pytest.mark.parametrize(
    ("stages", "given"), [(("train", "train"), {}), (("train",) * 9, {NURSERY: ""})], ids=["few jobs", "not wanted"]
)
def test_there_is_none_where_it_is_not_worth_it_or_not_wanted(log, stages, given):
    before = clean_environment() | given
    with nursery(stages, before, log=log) as environment:
        assert environment == before
    assert not log.exists()


def test_there_is_none_where_the_system_cannot_wait_for_it(log, monkeypatch):
    def refuse(pid):
        raise OSError("not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with nursery(("train",) * 9, clean_environment(), log=log) as environment:
        assert NURSERY not in environment
    assert not log.exists()


def test_there_is_none_where_the_temporary_folder_is_too_deep_for_a_socket(log, tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    before = clean_environment()
    with nursery(NO_IMPORTS, before, log=log) as environment:
        assert environment == before
    assert "too long" in log.read_text()
    assert not list(deep.iterdir())


def test_where_no_job_can_be_forked_the_command_works_by_itself(log, tmp_path, monkeypatch):
    """And the nursery, with the jobs that it has, goes on."""
    code = (
        "import os, sys; from medgan.workflow import nursery\n"
        "def refuse(): raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "os.fork = refuse; nursery.main(sys.argv[1:])"
    )
    real = subprocess.Popen

    def started(command, **kind):
        return real([command[0], "-c", code, *command[3:]], **kind)

    monkeypatch.setattr("medgan.workflow.nursery.subprocess.Popen", started)
    with nursery(NO_IMPORTS, clean_environment(), log=log) as environment:
        monkeypatch.undo()
        for _ in range(2):
            code, out, _ = finished(command("tasks", environment=environment))
            assert code == 0
            assert "segmentation" in out
    assert log.read_text().count("not forked") == 2


def test_threads_are_those_that_the_command_was_given():
    code = (
        "import torch; from medgan.workflow.nursery import _use_threads; torch.set_num_threads(2);"
        "_use_threads(''); print(torch.get_num_threads()); _use_threads('1'); print(torch.get_num_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2", "1"]


def test_it_ends_with_its_launcher(log):
    code = (
        "import sys, time; from pathlib import Path; from medgan.workflow.nursery import nursery; import os\n"
        "with nursery(('none',) * 3, dict(os.environ), log=Path(sys.argv[1])) as found:\n"
        "    print(open(f'/proc/self/task/{os.getpid()}/children').read().split()[0], flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, str(log)], env=clean_environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert launcher.stdout is not None
        pid = int(launcher.stdout.readline())
        launcher.kill()
        launcher.communicate()
        until(lambda: has_ended(pid), limit_s=20)
    finally:
        with suppress(ProcessLookupError):
            launcher.kill()
