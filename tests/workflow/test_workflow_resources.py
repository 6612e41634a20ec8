"""What jobs run on: devices of their own, several for one training, a cluster."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_slurm
import pytest
from tiny_studies import TINY_CYCLEGAN, clean_environment, lesion_study, medgan

from medgan.errors import RunError, SettingsError
from medgan.workflow.devices import FOLDER, VISIBLE, pool_of
from medgan.workflow.job import LAUNCHER
from medgan.workflow.resources import Resources, command_of, find_cluster, gpus_of, read_stages, resources_of

TRAIN = {"id": "t", "stage": "train", "arguments": ["--fold", "0"], "gpus": 1}
REPORT = {"id": "r", "stage": "report", "arguments": [], "gpus": 0}


def test_the_pool_is_what_is_visible():
    assert pool_of(3, {}) == ["0", "1", "2"]
    assert pool_of(1, {VISIBLE: "GPU-8f, GPU-91"}) == ["GPU-8f"]
    with pytest.raises(RunError, match=r"J032.*got 4; expected --gpus 2; ask for 1"):
        pool_of(2, {VISIBLE: "4"})


def test_a_training_gets_as_many_gpus_and_processes_as_asked_for():
    config = {"gpus": "4", "gpus_per_job": "2", "devices": "4+5+6+7"}
    assert (gpus_of(TRAIN, config), gpus_of(REPORT, config), gpus_of(TRAIN, {"gpus": "0"})) == (2, 0, 0)
    words = " ".join(command_of(TRAIN, config))
    assert f"-m medgan.workflow.devices --pool 4,5,6,7 --count 2 -- {sys.executable} -m torch.distributed.run" in words
    assert "--nproc-per-node 2 -m medgan train study.json --fold 0 --quiet" in words
    assert command_of(REPORT, config)[1:] == ["-m", "medgan", "report", "study.json", "--quiet"]
    assert command_of(TRAIN, {"gpus": "1", "devices": 0})[4:8] == ["0", "--count", "1", "--"]  # as Snakemake reads 0


def test_more_gpus_for_a_job_than_there_are_is_refused():
    with pytest.raises(RunError, match=r"J032.*got 2; expected at most 1"):
        Resources(cores=1, gpus=1, gpus_per_job=2).options([])


def test_jobs_elsewhere_get_no_devices_and_no_launcher_of_this_machine(monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    here, there = Resources(cores=2, gpus=2), Resources(cores=2, gpus=2, cluster=find_cluster("slurm"))
    assert any(word.startswith("devices=") for word in here.options([]))
    assert not any(word.startswith("devices=") for word in there.options([]))
    assert here.is_local(["--executor", "local"])
    assert not here.is_local(["--executor", "slurm"])
    assert not here.is_local(["--executor=slurm"])
    assert not there.is_local([])


def test_resources_by_stage_are_those_of_the_cluster(tmp_path):
    with pytest.raises(SettingsError, match=r"S008.*got nowhere; expected slurm"):
        find_cluster("nowhere")
    shutil.copytree(find_cluster("slurm"), tmp_path / "mine")
    (tmp_path / "mine" / "stages.yaml").write_text("train: {mem_mb: 5, gpu_model: a100}\n")
    config = {"gpus": "8", "stages": str(tmp_path / "mine")}
    assert resources_of(TRAIN, config) == {"mem_mb": 5, "gpu_model": "a100", "gpu": 1}
    assert resources_of(REPORT, config) == {}
    assert resources_of(REPORT, {"gpus": "8"}) == {"gpu": 0}
    shutil.copytree(find_cluster("slurm"), tmp_path / "wrong")
    (tmp_path / "wrong" / "stages.yaml").write_text("trian: {mem_mb: 5}\n")
    with pytest.raises(SettingsError, match=r"S008.*got trian; expected resources by stage: prepare"):
        read_stages(tmp_path / "wrong")


@pytest.mark.multiprocess
def test_running_jobs_hold_devices_of_their_own(tmp_path):
    def job(name: str) -> subprocess.Popen[bytes]:
        wait = f"echo ${VISIBLE} > {tmp_path / name}.part && mv {tmp_path / name}.part {tmp_path / name} && sleep 60"
        words = ["-m", "medgan.workflow.devices", "--pool", "4,MIG-1/2", "--count", "1", "--", "bash", "-c", wait]
        return subprocess.Popen([sys.executable, *words], env=clean_environment() | {FOLDER: str(tmp_path / "locks")})

    def seen(name: str) -> str:
        until = time.monotonic() + 60
        while not (tmp_path / name).exists():
            assert time.monotonic() < until, f"{name} got no device"
            time.sleep(0.02)
        return (tmp_path / name).read_text().strip()

    jobs = [job("one"), job("two")]
    try:
        assert {seen("one"), seen("two")} == {"4", "MIG-1/2"}
        jobs.append(job("three"))
        time.sleep(2)
        assert not (tmp_path / "three").exists(), "a device was given twice"
        jobs[0].send_signal(signal.SIGKILL)
        jobs[0].wait()
        assert seen("three") == seen("one")
    finally:
        for one in jobs:
            one.kill()
            one.wait()


@pytest.fixture
def study(tmp_path) -> Path:
    plan = {"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN}
    return lesion_study(tmp_path, subjects=6, translators=[plan])


@pytest.mark.multiprocess
def test_run_gives_a_training_two_devices_and_two_processes(study):
    done = medgan(
        *("run", study, "--quiet", "--gpus", "2", "--gpus-per-job", "2"),
        *("--until", "fold0__seed0__train__cyclegan__1"),
        **{VISIBLE: "3,5,6", FOLDER: str(study.parent / "locks")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    start = json.loads((study.parent / "out/fold0/seed0/train/cyclegan/starts.jsonl").read_text())
    assert start["ranks"] == 2
    assert sorted(path.name for path in (study.parent / "locks").iterdir()) == ["3.lock", "5.lock"]


@pytest.mark.multiprocess
def test_a_study_goes_to_slurm_with_what_each_stage_needs(study):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason='needs pip install "medgan[slurm]"')
    commands, jobs = fake_slurm.make(study.parent / "slurm")
    until = ("--until", "fold0__seed0__train__cyclegan__1")
    options = ("run", study, "--quiet", "--cluster", "slurm", "--gpus", "8", *until)
    options += ("--default-resources", "slurm_account=mine", "slurm_partition=gpu")
    options += ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    path = {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}

    dry = medgan(*options, "--dry-run", **path)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "fold0__seed0__train__cyclegan__1" in dry.stdout + dry.stderr
    assert not list(jobs.glob("*.asked")), "a dry run submitted something"

    done = medgan(*options, **path, **{LAUNCHER: "elsewhere:1"})
    log = study.parent / "out" / "logs" / "snakemake.log"
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()
    asked = [(jobs / f"{number}.asked").read_text().splitlines() for number in (1, 2)]
    assert not (jobs / "3.asked").exists()
    prepare, train = asked
    assert values(prepare, "--mem", "-t", "-A", "-p") == ["32000", "1440", "mine", "gpu"]
    assert values(train, "--mem", "-t", "-A", "-p") == ["32000", "2880", "mine", "gpu"]
    assert "--cpus-per-task=16" in prepare
    assert "--cpus-per-task=4" in train
    assert "--gpus=1" in train
    assert not any(word.startswith(("--gpus", "--gres")) for word in prepare)
    assert (study.parent / "out/fold0/seed0/train/cyclegan/done.json").exists()
    # They outlive the process that asked for them.
    assert not any(f"{LAUNCHER}=" in (jobs / f"{number}.environment").read_text() for number in (1, 2))


def values(words: list[str], *options: str) -> list[str]:
    return [words[words.index(option) + 1] for option in options]
