"""Rows 64 and 65: a GPU that is not there, one bad case of many."""

import json
from pathlib import Path
from unittest import mock

from bad_inputs.making import command, picture, study
from bad_inputs.trial import HANDLED, bad_input, require


@bad_input(64, gives="T003")
def no_cuda(folder: Path) -> None:
    """`device: cuda` on a machine without CUDA."""
    from medgan.training.device import pick_device

    with mock.patch("torch.cuda.is_available", return_value=False):
        pick_device("cuda")


@bad_input(64, gives=HANDLED)
def auto_without_cuda(folder: Path) -> str:
    """`device: auto` on a machine without CUDA."""
    from medgan.settings.study import read_study
    from medgan.workflow.job import run_job
    from medgan.workflow.plan import plan_study

    settings = read_study(study(folder, device="auto"))
    with mock.patch("torch.cuda.is_available", return_value=False):
        for job in plan_study(settings)[:2]:
            run_job(settings, job, report=len)
    runs = sorted((folder / "out").rglob("starts.jsonl"))
    require(runs, "a run was begun")
    start = json.loads(runs[0].read_text().splitlines()[0])
    require(start["device"] and "torch" in start, "the device and the version of torch are recorded")
    return "trained on the CPU; device and versions stand in the run's starts.jsonl"


def _thirty(folder: Path) -> Path:
    rows = [
        {"case_id": f"{domain}{index}", "subject_id": f"P{index}", "domain": domain, "image": f"{domain}{index}.png"}
        for domain in ("day", "dusk")
        for index in range(15)
    ]
    path = study(folder, rows)
    bad = picture(folder / "day7.png", seed=8)
    bad.write_bytes(bad.read_bytes()[:300])
    return path


@bad_input(65, gives="R004")
def one_bad_case(folder: Path) -> None:
    """One damaged image among 30, prepared as it is."""
    command("prepare", _thirty(folder))


@bad_input(65, gives=HANDLED)
def one_bad_case_left_out(folder: Path) -> str:
    """One damaged image among 30, prepared with `--keep-going`."""
    status, said = command("prepare", "--keep-going", _thirty(folder))
    require(status == 1, f"the exit status is not zero; it is {status}: {said}")
    listed = (folder / "out" / "prepare" / "left_out.csv").read_text().splitlines()
    require(len(listed) == 2 and listed[1].startswith("day7,") and "R004" in listed[1], f"one is listed; {listed}")
    require("day7" in said, "and printed")
    done = json.loads((folder / "out" / "prepare" / "summary.json").read_text())
    require(sum(done["cases"].values()) == 29, "29 are prepared")
    return "29 prepared; the other is printed, listed in left_out.csv, and the exit status is 1"
