"""Where a study's results lie, and when a job counts as done."""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.errors import RunError
from medgan.manifests.table import replace_text
from medgan.settings.changes import Change, changes, in_words


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

    def begin(
        self,
        job: str,
        *,
        digest: str,
        needs: Iterable[str],
        asked: Mapping[str, Any] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> Path:
        """Make a job's folder ready.

        One begun with other settings, or from other results of what it needs, is put aside and not mixed with the new.
        Whoever calls this holds the job's lock.

        Args:
            job: Its id.
            digest: Of its settings.
            needs: Ids of the jobs whose results it reads.
            asked: The settings themselves, so that a later call can tell what has changed.
            report: Told what was put aside, where to, and what has changed.
        """
        folder = self.folder(job)
        mark = folder / "begun.json"
        begun: dict[str, Any] = {"settings": digest, "inputs": self.inputs(needs)}
        before = self._begun(job)
        if folder.exists() and {key: before.get(key) for key in begun} != begun:
            changed = self.changes(job, asked or {}) + changes(before.get("inputs") or {}, begun["inputs"])
            aside = self._put_aside(job)
            if report is not None and aside is not None:
                told = in_words(changed) or "it is not known with what"
                report(f"{job}: begun otherwise before ({told}); what was there is in {aside.relative_to(self.root)}")
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            replace_text(mark, json.dumps(begun | {"asked": asked}, sort_keys=True, default=str))
        (folder / "done.json").unlink(missing_ok=True)
        return folder

    def changes(self, job: str, asked: Mapping[str, Any]) -> list[Change]:
        """What differs between the settings that a job was begun with and those asked for now."""
        before = self._begun(job).get("asked")
        return changes(before, json.loads(json.dumps(asked, default=str))) if before else []

    def finish(
        self,
        job: str,
        *,
        digest: str,
        needs: Iterable[str],
        outputs: Iterable[Path],
        seconds: float,
        cpu_seconds: float,
    ) -> None:
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
            "cpu_seconds": round(cpu_seconds, 1),
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

    def _begun(self, job: str) -> dict[str, Any]:
        try:
            content = json.loads((self.folder(job) / "begun.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return content if isinstance(content, dict) else {}

    def _put_aside(self, job: str) -> Path | None:
        """Move a job's folder to ``replaced``; one that holds nothing yet, as the workflow makes it, is no result."""
        folder = self.folder(job)
        if not any(folder.iterdir()):
            return None
        names = (f"{job.replace('/', '-')}.{number}" for number in itertools.count(1))
        aside = next(path for name in names if not (path := self.root / "replaced" / name).exists())
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        return aside


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
