"""Kill a study again and again, at seeded random moments, and hold what comes of it against an uninterrupted run.

    python benchmarks/kill_study.py --kills 200 --folder /tmp/killed

Each round starts ``medgan run`` and sends SIGKILL to it and to every process that it started, all at once. After each
kill, whatever counts as whole must be whole: the outputs of every ``done.json``, every checkpoint, all weights, every
case of the prepared store. When a study comes to its end, its rows, scores, comparisons, weights, translated images
and logs (but for their clocks) must equal the uninterrupted run's byte by byte; then another is begun, until there were
enough kills. With ``--limit`` a call ends earlier, and the next one with the same folder goes on. Needs Linux: the
processes are found in ``/proc``.
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from medgan.errors import MedganError

NUMBERS = ("rows.csv", "scores.csv", "comparisons.csv")
CLOCKS = ("seconds", "images_per_s")
STEPS = 30


@dataclass
class Outcome:
    """What was seen.

    Args:
        kills: By what was going on: a stage, or ``"between"`` where no job was running.
        studies: Studies that came to their end.
        resumed: Attempts of a training that went on from a checkpoint.
        checked: Things looked at after the kills, by kind.
        wrong: What was not as it must be.
    """

    kills: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    resumed: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Kills in all."""
        return sum(self.kills.values())

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """What earlier calls have seen; nothing, where there is no file."""
        told = json.loads(path.read_text()) if path.is_file() else {}
        counted = {name: Counter(told.pop(name, {})) for name in ("kills", "checked")}
        return cls(**told, **counted)

    def write(self, path: Path) -> None:
        """Keep it for a later call."""
        path.write_text(json.dumps(vars(self)))


def make_study(folder: Path) -> Path:
    """A study of generated photographs with every kind of job that trains, translates, judges and reports."""
    from medgan.phantoms import lesion

    lesion.write_study(folder / "phantoms", seed=0, subjects=8, size_px=32)
    small = {"crop_px": 32, "generator_width": 4, "blocks": 1, "discriminator_width": 4, "patch": 16, "pool_size": 4}
    task = {
        "name": "lesion",
        "task": "segmentation",
        "label": "mask",
        "mask_values": [1],
        "recipe": {"total_steps": STEPS, "batch_size": 2, "width": 8},
        "tested_on": ["cyclegan"],
        "metrics": ["dice"],
        "arms": [{"name": "target-only"}, {"name": "translated", "images": "cyclegan", "use": "beside"}],
    }
    settings = {
        "name": "killed",
        "question": "Is it the same?",
        "manifest": "phantoms/manifest.csv",
        "data_root": "phantoms",
        "output": "out",
        "preparation": {"preset": "photograph"},
        "direction": {"source": "dermoscopy", "target": "clinical"},
        "folds": 2,
        "run_folds": [0],
        "seeds": [0],
        "device": "cpu",
        "precision": "fp32",
        "primary": "lesion/translated/dice",
        "checkpoint_every_s": 0.001,
        "preview_every": 10,
        "translators": [{"name": "cyclegan", "method": "cyclegan", "recipe": {**small, "total_steps": STEPS}}],
        "tasks": [task],
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def kill_often(folder: Path, *, kills: int, seed: int, longest_s: float, limit_s: float = math.inf) -> Outcome:
    """Kill studies until there were so many kills, and see what comes of each.

    Args:
        folder: Where the studies are made; one that an earlier call has left is gone on with.
        kills: How many kills in all.
        seed: Of the moments.
        longest_s: The latest moment of a kill, in seconds after a job's begin, or after the start.
        limit_s: After this time no other kill is begun.
    """
    began, outcome = time.monotonic(), Outcome.read(folder / "outcome.json")
    before_s = outcome.seconds
    whole = folder / "whole" / "study.yaml"
    if not (whole.parent / "out" / "report" / "done.json").exists():
        finish(whole if whole.exists() else make_study(whole.parent))
    while outcome.total < kills and time.monotonic() - began < limit_s:
        path = _study(folder, outcome.studies)
        rng = random.Random(f"{seed}/{outcome.total}/{outcome.studies}")  # noqa: S311
        if run_and_kill(path, _moment(rng, path.parent / "out", longest_s), outcome):
            outcome.wrong += [f"{path.parent.name}: {text}" for text in not_whole(path.parent / "out", outcome.checked)]
        else:
            compare(path, whole, outcome)
        outcome.seconds = before_s + time.monotonic() - began
        outcome.write(folder / "outcome.json")
    if outcome.total >= kills:
        finish(path := _study(folder, outcome.studies))
        compare(path, whole, outcome)
    return outcome


def _study(folder: Path, number: int) -> Path:
    path = folder / f"killed{number}" / "study.yaml"
    return path if path.exists() else make_study(path.parent)


def _moment(rng: random.Random, out: Path, longest_s: float) -> Iterator[bool]:
    """Whether the moment has come, asked again and again: one in five counts from the start, the others from a job's.

    How long it takes to start hangs on the machine; a job's begin is where there is most to break.
    """
    from_start, delay_s = rng.random() < 0.2, rng.uniform(0.0, longest_s)
    before, began = _locks(out), time.monotonic()
    while not from_start and not _locks(out) - before:
        began = time.monotonic()
        yield False
    while time.monotonic() - began < delay_s:
        yield False
    yield True


def _locks(out: Path) -> set[str]:
    """Contents of the jobs' locks, which name process and time."""
    found = set()
    for path in (out / ".locks").rglob("lock.json"):
        with suppress(OSError):
            found.add(path.read_text())
    return found


def run_and_kill(path: Path, moment: Iterator[bool], outcome: Outcome) -> bool:
    """Start a study and kill all of it when the moment has come; False where it ended by itself before."""
    with start(path) as process:
        while process.poll() is None:
            if next(moment):
                outcome.kills[doing(path.parent / "out")] += 1
                kill_all(path.parent)
                return True
            time.sleep(0.02)
    if process.returncode:
        outcome.wrong.append(f"{path.parent.name}: medgan run ended with status {process.returncode}")
    return False


def start(path: Path) -> subprocess.Popen[bytes]:
    """``medgan run`` in the background, after an end to what a call that was ended itself has left running."""
    kill_all(path.parent)
    command = [sys.executable, "-m", "medgan", "run", str(path), "--cores", "2", "--quiet"]
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    with (path.parent / "run.log").open("ab") as log:
        return subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True)


def finish(path: Path) -> None:
    """Run a study to its end."""
    with start(path) as process:
        status = process.wait()
    if status:
        raise SystemExit(f"the study could not be finished: {(path.parent / 'run.log').read_text()[-2000:]}")


def kill_all(folder: Path) -> None:
    """SIGKILL to every process of a study, until none is left."""
    while found := list(_processes(folder)):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes(folder: Path) -> Iterator[int]:
    """Processes that work below a folder or were told its path, but this one and what has ended."""
    place = str(folder.resolve())
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = f"{(entry / 'cwd').readlink()}/\0{(entry / 'cmdline').read_text()}"
            dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if f"{place}/" in told and not dead and int(entry.name) != os.getpid():
            yield int(entry.name)


def doing(out: Path) -> str:
    """Stage of the job that holds a lock."""
    held = sorted((out / ".locks").rglob("lock.json"))
    parts = held[-1].relative_to(out / ".locks").parts if held else ()
    return "between" if not parts else parts[2] if parts[0].startswith("fold") else parts[0]


def not_whole(out: Path, checked: Counter[str]) -> Iterator[str]:
    """What counts as whole and is not."""
    looks = {"done.json": _job, "weights.json": _weights, "checkpoint.json": _checkpoint, "meta.json": _prepared}
    for name, look in looks.items():
        for path in sorted(out.rglob(name)):
            # Hidden folders are those that are being written or taken away: nobody reads them.
            if any(part.startswith(".") for part in path.relative_to(out).parts):
                continue
            checked[name] += 1
            try:
                look(path)
            except (MedganError, AssertionError, OSError, ValueError, KeyError) as error:
                yield f"{path.relative_to(out)}: {type(error).__name__}: {error}"
    for folder in out.rglob("checkpoints"):
        yield from _last_checkpoint(folder.parent, out)


def _job(path: Path) -> None:
    from medgan.stages.workspace import file_digest

    for name, digest in json.loads(path.read_text())["outputs"].items():
        if file_digest(path.parent / name) != digest:
            raise AssertionError(f"{name} has another digest")


def _weights(path: Path) -> None:
    from medgan.training.weights import read_weights

    read_weights(path.parent)


def _checkpoint(path: Path) -> None:
    from medgan.training.checkpoint import load_checkpoint

    load_checkpoint(path.parents[2], name=path.parent.name)


def _last_checkpoint(run: Path, out: Path) -> Iterator[str]:
    from medgan.training.checkpoint import find_checkpoint, load_checkpoint

    for name in ("last", "best"):
        if find_checkpoint(run, name=name) is not None:
            try:
                load_checkpoint(run, name=name)
            except MedganError as error:
                yield f"{run.relative_to(out)}: {error}"


def _prepared(path: Path) -> None:
    from medgan.manifests.manifest import Case
    from medgan.samples.prepared import open_prepared

    case = Case(case_id="x", subject_id="x", domain="x", image="x")
    open_prepared(case, path.parent.name, path.parent, verify=True)


def compare(path: Path, whole: Path, outcome: Outcome) -> None:
    """Hold a finished study against the uninterrupted one."""
    out = path.parent / "out"
    outcome.studies += 1
    outcome.wrong += [f"{path.parent.name}: {text}" for text in not_whole(out, outcome.checked)]
    one, other = results(out), results(whole.parent / "out")
    differing = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    outcome.wrong += [f"{path.parent.name}: {name} differs from the uninterrupted run's" for name in differing]
    for starts in out.rglob("starts.jsonl"):
        outcome.resumed += sum(json.loads(line)["step"] > 0 for line in starts.read_text().splitlines())


def results(out: Path) -> dict[str, Any]:
    """All that a study gives, by name: tables, the SHA-256 of each job's outputs but the dated page, and logs."""
    found: dict[str, Any] = {name: (out / "report" / name).read_bytes() for name in NUMBERS}
    for mark in sorted(out.rglob("done.json")):
        for name, digest in json.loads(mark.read_text())["outputs"].items():
            if name != "report.html":
                found[str(mark.parent.relative_to(out) / name)] = digest
    for log in sorted(out.rglob("log.jsonl")):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        found[str(log.relative_to(out))] = [{k: v for k, v in line.items() if k not in CLOCKS} for line in lines]
    return found


def told(outcome: Outcome) -> list[str]:
    """The outcome in words."""
    stages = ", ".join(f"{stage} {count}" for stage, count in outcome.kills.most_common())
    checked = ", ".join(f"{count} {name}" for name, count in outcome.checked.most_common())
    return [
        f"{outcome.total} kills in {outcome.seconds:.0f} s ({stages})",
        f"{outcome.studies} studies came to their end, {outcome.resumed} trainings went on from a checkpoint",
        f"looked at: {checked}",
        f"{len(outcome.wrong)} differences or half-written files",
        *outcome.wrong[:50],
    ]


def main(words: list[str] | None = None) -> None:
    """Kill, print what came of it, and end with status 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=8.0, help="latest moment of a kill, seconds after a begin")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds after which this call kills no more")
    parser.add_argument("--folder", type=Path, required=True, help="for the studies; an earlier call's is gone on with")
    options = parser.parse_args(words)
    outcome = kill_often(
        options.folder, kills=options.kills, seed=options.seed, longest_s=options.longest, limit_s=options.limit
    )
    for line in told(outcome):
        print(line)
    if outcome.wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
