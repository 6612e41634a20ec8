"""A job in several processes: started by torchrun, ended by the death of one, and gone on with to the same weights."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tiny_studies import TINY_CYCLEGAN, clean_environment, lesion_study, medgan, run_here, start_ranks

from medgan.training.checkpoint import load_checkpoint
from medgan.training.weights import read_weights

pytestmark = pytest.mark.multiprocess

TRAIN = ("--translator", "cyclegan", "--fold", "0", "--quiet")
JOB = "fold0/seed0/train/cyclegan"
STEPS = 150


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study file of a study that is prepared and has nothing trained; to be copied."""
    plan = {"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN | {"total_steps": STEPS}}
    path = lesion_study(
        tmp_path_factory.mktemp("ranks") / "study",
        subjects=6,
        translators=[plan],
        checkpoint_every_s=0.001,
        ranks_timeout_s=60,
    )
    run_here(path, until="prepare")
    return path


def best_of_the_task(path: Path) -> Path:
    """The same study with the task's checkpoint chosen by held-out subjects, which each rank scores."""
    settings = yaml.safe_load(path.read_text())
    settings["tasks"][0]["selection"] = {"take": "best", "share": 0.4, "every": 1}
    settings["tasks"][0]["recipe"] |= {"total_steps": 3, "batch_size": 1}
    changed = path.with_name("best.yaml")
    changed.write_text(yaml.safe_dump(settings))
    return changed


def copy(prepared: Path, folder: Path) -> Path:
    shutil.copytree(prepared.parent / "out", folder)
    return folder


def torchrun(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "medgan"]
    return subprocess.run(
        [*command, *map(str, words)], env=clean_environment(), capture_output=True, text=True, check=False, timeout=300
    )


def ranks(*words: str | Path) -> list[subprocess.Popen[str]]:
    return start_ranks("-m", "medgan", *words)


@pytest.fixture(scope="module")
def whole(prepared: Path) -> Path:
    """The output of a training by torchrun that nothing disturbed."""
    out = copy(prepared, prepared.parent / "whole")
    done = torchrun("train", prepared, "--output", out, *TRAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("done in") == 1, "one rank alone speaks"
    return out


def test_torchrun_trains_a_job_once(whole: Path, prepared: Path) -> None:
    record = json.loads((whole / JOB / "done.json").read_text())
    assert "weights.safetensors" in record["outputs"]
    starts = [json.loads(line) for line in (whole / JOB / "starts.jsonl").read_text().splitlines()]
    assert [start["ranks"] for start in starts] == [2]
    assert not list((whole / ".locks").rglob("lock.json"))
    again = torchrun("train", prepared, "--output", whole, *TRAIN)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("nothing to do") == 1
    assert json.loads((whole / JOB / "done.json").read_text()) == record


def test_a_killed_rank_ends_the_other_with_a_reason_and_the_run_goes_on_to_the_same_weights(
    prepared: Path, whole: Path, tmp_path: Path
) -> None:
    out = copy(prepared, tmp_path / "killed")
    first, second = ranks("train", prepared, "--output", out, *TRAIN)
    try:
        until = time.monotonic() + 120
        while not list(out.glob(f"{JOB}/checkpoints/step_*")):
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < until, "no checkpoint came"
            time.sleep(0.02)
        second.send_signal(signal.SIGKILL)
        _, said = first.communicate(timeout=60)  # the bound that the study states
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert first.returncode == 1, said
    assert "RunError[J030]" in said
    assert f"rank 1 (process {second.pid} on {socket.gethostname()}) is gone" in said
    assert not list((out / ".locks").rglob("lock.json"))
    assert not (out / JOB / "done.json").exists()
    assert 0 < load_checkpoint(out / JOB).step < STEPS

    alone = medgan("train", prepared, "--output", out, *TRAIN)
    assert alone.returncode == 1
    assert "CheckpointError[C005]" in alone.stderr
    assert "settings.ranks 2" in alone.stderr
    assert "settings.ranks 1" in alone.stderr

    resumed = torchrun("train", prepared, "--output", out, *TRAIN)
    assert resumed.returncode == 0, resumed.stderr
    starts = [json.loads(line) for line in (out / JOB / "starts.jsonl").read_text().splitlines()]
    assert starts[-1]["step"] > 0
    files = [json.loads((one / JOB / "done.json").read_text())["outputs"] for one in (whole, out)]
    assert files[0] == files[1]


def test_a_downstream_arm_is_trained_by_both_and_scored_by_one(prepared: Path, tmp_path: Path) -> None:
    path, out = best_of_the_task(prepared), copy(prepared, tmp_path / "downstream")
    words = ("downstream", path, "--output", out, "--task", "lesion", "--arm", "target-only", "--fold", "0", "--quiet")
    done = torchrun(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("done in") == 1, "one rank alone speaks"
    (folder,) = (path.parent for path in out.glob("fold0/**/downstream/**/done.json"))
    assert {"rows.csv", "weights.json", "weights.safetensors"} <= set(
        json.loads((folder / "done.json").read_text())["outputs"]
    )
    starts = [json.loads(line) for line in (folder / "starts.jsonl").read_text().splitlines()]
    assert [start["ranks"] for start in starts] == [2]
    assert read_weights(folder)[0].checkpoint == "best"
    rows = (folder / "rows.csv").read_text().splitlines()
    assert len(rows) == len(set(rows)) > 1
    assert not list((out / ".locks").rglob("lock.json"))


def test_every_rank_hears_what_stops_the_first(prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "not_prepared"
    processes = ranks("train", prepared, "--output", out, *TRAIN)
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1], said
    assert all("RunError[J010]: " in text for text in said)
    assert said[1].startswith("rank 1: ")


def test_a_job_of_one_process_is_not_done_by_several(prepared: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medgan", "prepare", str(prepared), "--output", str(tmp_path / "out"), "--quiet"],
        env=clean_environment() | {"WORLD_SIZE": "2", "RANK": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "RunError[J031]: prepare is done by one process; got 2 processes" in done.stderr
    assert not (tmp_path / "out" / "prepare").exists()
    assert os.listdir(tmp_path) == []  # noqa: PTH208
