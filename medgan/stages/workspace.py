"""Where a study's results lie, and when a job counts as done."""

import hashlib
import itertools
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.errors import RunError
from medgan.manifests.table import replace_text


def train_job(translator: str, fold: int, seed: int) -> str:
    """Id of a translator's training."""
    return f"fold{fold}/seed{seed}/train/{translator}"


def translate_job(translator: str, fold: int, seed: int) -> str:
    """Id of a translation of the study's source images."""
    return f"fold{fold}/seed{seed}/translate/{translator}"


def arm_job(task: str, target_cases: int | str, arm: str, fold: int, seed: int) -> str:
    """Id of one arm of a downstream task."""
    return f"fold{fold}/seed{seed}/downstream/{task}/{target_cases}/{arm}"


def judge_job(task: str, target_cases: int | str, fold: int, seed: int) -> str:
    """Id of what a task's model makes of translated images."""
    return f"fold{fold}/seed{seed}/judge/{task}/{target_cases}"


def measure_job(fold: int, seed: int) -> str:
    """Id of the similarity measures of one fold and seed."""
    return f"fold{fold}/seed{seed}/measure"


KEPT = "kept.json"
"""Ids of the cases that remain, in the folder of ``prepare``; only where some are left out."""


@dataclass(frozen=True)
class Workspace:
    """The output folder of a study.

    Each job has a folder below it, named by the job's id; ``done.json`` in it, written last, says what went in and
    what came out. A folder without it is unfinished.
    """

    root: Path

    @property
    def store(self) -> Path:
        """Folder of the prepared arrays."""
        return self.root / "store"

    @property
    def splits(self) -> Path:
        """Table of subject and fold."""
        return self.root / "prepare" / "splits.csv"

    @property
    def prepared(self) -> Path:
        """Folder of the ``prepare`` job."""
        return self.root / "prepare"

    def folder(self, job: str) -> Path:
        """Folder of a job."""
        return self.root / job

    def write_json(self, name: str, content: Any) -> Path:
        """Write a JSON file of the study, atomically, and only where it changed."""
        path = self.root / name
        text = json.dumps(content, indent=2, default=str) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            replace_text(path, text)
        return path

    def done(self, job: str) -> dict[str, Any] | None:
        """What a finished job left, or None where it is not finished."""
        path = self.folder(job) / "done.json"
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return content

    def is_current(self, job: str, *, digest: str, needs: Iterable[str]) -> bool:
        """Whether a job is finished, with these settings and from what its needs hold now."""
        done = self.done(job)
        return done is not None and done["settings"] == digest and done["inputs"] == self.inputs(needs)

    def inputs(self, needs: Iterable[str]) -> dict[str, str | None]:
        """Digest of each needed job's results."""
        return {name: (self.done(name) or {}).get("result") for name in needs}

    def begin(self, job: str, *, digest: str, needs: Iterable[str]) -> Path:
        """Make a job's folder ready.

        One begun with other settings, or from other results of what it needs, is put aside and not mixed with the new.
        Whoever calls this holds the job's lock.
        """
        folder = self.folder(job)
        mark = folder / "begun.json"
        begun = json.dumps({"settings": digest, "inputs": self.inputs(needs)}, sort_keys=True)
        if folder.exists() and (not mark.exists() or mark.read_text(encoding="utf-8") != begun):
            self._put_aside(job)
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            replace_text(mark, begun)
        (folder / "done.json").unlink(missing_ok=True)
        return folder

    def finish(self, job: str, *, digest: str, needs: Iterable[str], outputs: Iterable[Path], seconds: float) -> None:
        """Write ``done.json``: the job's settings, what went in, and the SHA-256 of what came out."""
        folder = self.folder(job)
        files = {str(path.relative_to(folder)): file_digest(path) for path in sorted(outputs)}
        result = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
        content = {
            "settings": digest,
            "inputs": self.inputs(needs),
            "outputs": files,
            "result": result,
            "seconds": round(seconds, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        replace_text(folder / "done.json", json.dumps(content, indent=2) + "\n")

    def require(self, job: str) -> Path:
        """Folder of a job that must be finished.

        Raises:
            RunError: J010, if it is not.
        """
        if self.done(job) is None:
            raise RunError(
                "J010", f"{job} is not finished", where=str(self.root), remedy="run `medgan run` on the study"
            )
        return self.folder(job)

    def _put_aside(self, job: str) -> None:
        """Move a job's folder to ``replaced``; one that holds nothing yet, as the workflow makes it, is no result."""
        folder = self.folder(job)
        if not any(folder.iterdir()):
            return
        names = (f"{job.replace('/', '-')}.{number}" for number in itertools.count(1))
        aside = next(path for name in names if not (path := self.root / "replaced" / name).exists())
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
