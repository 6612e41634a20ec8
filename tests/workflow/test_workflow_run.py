"""``medgan run``: killed at any point and started again it gives the same numbers; when done it does nothing."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tiny_studies import TINY_CYCLEGAN, lesion_settings, lesion_study, medgan
from workflow_kills import started

from medgan.workflow.handover import NURSERY

pytestmark = pytest.mark.multiprocess

PLACE = "fold0/seed0"
TRAIN = f"{PLACE}/train/cyclegan"
ARM = f"{PLACE}/downstream/lesion/all/target-only"
STEPS = {TRAIN: 200, ARM: 200}
NUMBERS = ("rows.csv", "scores.csv", "comparisons.csv")


def make_study(folder: Path) -> Path:
    """One learned translator and one arm that judges it, with a checkpoint at every line of the log."""
    task = lesion_settings()["tasks"][0] | {"arms": [{"name": "target-only"}]}
    task["recipe"] = task["recipe"] | {"total_steps": STEPS[ARM]}
    plan = {"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN | {"total_steps": STEPS[TRAIN]}}
    return lesion_study(
        folder,
        subjects=12,
        translators=[plan],
        tasks=[task],
        primary="lesion/cyclegan/dice",
        checkpoint_every_s=0.001,
        preview_every=100,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run without a kill."""
    path = make_study(tmp_path_factory.mktemp("whole"))
    done = medgan("run", path, "--cores", "1", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def run_and_kill(path: Path, when: Callable[[], bool], *, limit_s: float = 120.0) -> bool:
    """Start the study, kill ``medgan run`` alone once ``when`` holds, and wait for what it had started to end.

    Returns:
        Whether it was killed; False where it ended by itself before.
    """
    with started(path) as process:
        until = time.monotonic() + limit_s
        while not when():
            if process.poll() is not None:
                assert process.returncode == 0, (path.parent / "run.log").read_text()
                return False
            assert time.monotonic() < until, "what the test waits for never came"
            time.sleep(0.01)
        family = descendants(process.pid)
        process.kill()
        process.wait()
        wait_for_end(family)
    before = snapshot(path.parent / "out")
    time.sleep(0.3)
    assert snapshot(path.parent / "out") == before, "something goes on writing after the kill"
    return True


def descendants(pid: int) -> set[tuple[int, str]]:
    """Processes below one, each with when it started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(fields[1]), fields[19])
    found, fresh = set(), {pid}
    while fresh:
        fresh = {child for child, (parent, _) in parents.items() if parent in fresh}
        found |= {(child, parents[child][1]) for child in fresh}
    return found


def is_alive(pid: int, start: str) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == start and fields[0] != "Z"


def wait_for_end(family: set[tuple[int, str]], *, limit_s: float = 30.0) -> None:
    until = time.monotonic() + limit_s
    while left := [pid for pid, start in family if is_alive(pid, start)]:
        assert time.monotonic() < until, f"processes {left} outlive the one that launched them"
        time.sleep(0.05)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in folder.rglob("*"):
        if ".snakemake" not in path.parts:
            stat = path.stat()
            found[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return found


def in_mid_training(path: Path, job: str) -> Callable[[], bool]:
    """Whether a job has a checkpoint of this attempt and is not at its end."""
    folder = path.parent / "out" / job / "checkpoints"
    last = f"step_{STEPS[job]:08d}"
    known = {entry.name for entry in folder.glob("step_*")}

    def holds() -> bool:
        names = {entry.name for entry in folder.glob("step_*")}
        return bool(names - known) and last not in names

    return holds


def results(path: Path) -> dict[str, object]:
    """Final numbers as bytes, and the SHA-256 of whatever came out of each job but the page, which is dated."""
    out = path.parent / "out"
    found: dict[str, object] = {name: (out / "report" / name).read_bytes() for name in NUMBERS}
    for mark in sorted(out.rglob("done.json")):
        if "replaced" not in mark.parts:
            outputs = json.loads(mark.read_text())["outputs"]
            found[str(mark.parent.relative_to(out))] = {n: d for n, d in outputs.items() if n != "report.html"}
    return found


def resumed_from(path: Path, job: str) -> list[int]:
    """Step at which each attempt of a job began."""
    lines = (path.parent / "out" / job / "starts.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_killed_and_started_again_gives_the_same_numbers(whole, tmp_path):
    path = make_study(tmp_path)
    left = [ARM, TRAIN]
    while left:  # in whichever order the workflow takes them
        holds = {job: in_mid_training(path, job) for job in left}
        caught: list[str] = []

        def any_holds(holds=holds, caught=caught) -> bool:
            caught[:] = [job for job, is_held in holds.items() if is_held()]
            return bool(caught)

        assert run_and_kill(path, any_holds), f"{left} were over before they could be killed"
        assert not any((path.parent / "out" / job / "done.json").exists() for job in caught)
        left = [job for job in left if job not in caught]
    image = path.parent / "out" / PLACE / "translate" / "cyclegan" / "images"
    run_and_kill(path, lambda: image.is_dir() and any(image.iterdir()))
    done = medgan("run", path, "--cores", "1", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    for job in (ARM, TRAIN):
        starts = resumed_from(path, job)
        assert starts[0] == 0
        assert any(step > 0 for step in starts[1:]), "the job began anew and did not go on"
    assert results(path) == results(whole)
    assert {TRAIN, ARM, "prepare", "report"} <= set(results(whole))
    assert not (path.parent / "out" / "replaced").exists()


@pytest.mark.slow
def test_jobs_that_import_for_themselves_give_the_same_numbers(whole, tmp_path):
    path = make_study(tmp_path)
    done = medgan("run", path, "--cores", "1", "--quiet", **{NURSERY: ""})
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(path) == results(whole)
    forked = (whole.parent / "out/logs/nursery.log").read_text().split()
    assert forked.count("process") == len(list((whole.parent / "out").rglob("done.json")))
    assert not (path.parent / "out/logs/nursery.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_times_it_gives_the_same_numbers(whole, tmp_path, seed):
    path, rng = make_study(tmp_path), random.Random(seed)  # noqa: S311
    kills = 0
    for _ in range(12):
        end = time.monotonic() + rng.uniform(0.3, 12.0)
        kills += run_and_kill(path, lambda end=end: time.monotonic() > end)
    done = medgan("run", path, "--cores", "1", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert kills >= 4
    assert results(path) == results(whole)


def test_a_finished_study_is_left_alone(whole):
    before = snapshot(whole.parent / "out")
    done = medgan("run", whole, "--cores", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    changed = {name for name, facts in snapshot(whole.parent / "out").items() if before.get(name) != facts}
    jobs = {name for name in changed if "/logs" not in name}
    assert not jobs
    told = medgan("status", whole)
    lines = [line for line in told.stdout.splitlines() if PLACE in line or "prepare" in line or "report" in line]
    assert len(lines) == 6
    assert all("done" in line for line in lines)


def test_a_dry_run_says_what_would_run_and_changes_nothing(whole, tmp_path):
    nothing = medgan("run", whole, "--dry-run")
    assert nothing.returncode == 0
    assert "Nothing to be done" in nothing.stdout + nothing.stderr
    path = whole.with_name("changed.yaml")
    settings = yaml.safe_load(whole.read_text())
    settings["translators"][0]["recipe"]["total_steps"] += 1
    path.write_text(yaml.safe_dump(settings))
    out = whole.parent / "out"
    marks = {mark: mark.read_bytes() for mark in out.rglob("done.json")}
    told = medgan("run", path, "--dry-run")
    output = told.stdout + told.stderr
    assert told.returncode == 0, output
    for stage in ("train", "translate", "judge", "report"):
        assert stage in output
    assert "downstream" not in output
    assert {mark: mark.read_bytes() for mark in out.rglob("done.json")} == marks


def test_further_options_go_to_snakemake(whole):
    refused = medgan("run", whole, "--dry-run", "--executor", "nosuchexecutor")
    assert refused.returncode == 1
    assert "nosuchexecutor" in refused.stdout + refused.stderr
    taken = medgan("run", whole, "--dry-run", "--executor", "local", "--jobs", "1")
    assert taken.returncode == 0, taken.stdout + taken.stderr


def test_a_failed_job_is_named_with_its_error(tmp_path):
    path = lesion_study(tmp_path / "it's a {study}", subjects=8)
    image = next((path.parent / "phantoms" / "clinical").glob("*.png"))
    image.write_bytes(image.read_bytes()[:100])
    done = medgan("run", path, "--cores", "1", "--quiet")
    assert done.returncode == 1
    assert "RunError[J020]" in done.stderr
    assert "prepare failed" in done.stderr
    assert "ReadError[" in done.stderr
    assert "Traceback" not in done.stderr
