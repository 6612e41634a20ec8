"""A study becomes jobs: fold x seed x translator x arm, each with what it needs and what would make it stale."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medgan.errors import MedganError
from medgan.manifests.file_checks import files_of
from medgan.manifests.manifest import parse_manifest
from medgan.metrics.semantic import OF_SHARES
from medgan.settings.cores import usable_cores
from medgan.settings.study import IDENTITY, Arm, Study, Task, TranslatorPlan
from medgan.stages.arguments import JobArguments
from medgan.stages.materials import used_translators
from medgan.stages.workspace import Workspace, arm_job, judge_job, measure_job, train_job, translate_job

FINGERPRINT = "MEDGAN_FINGERPRINT"
"""Set by `medgan run` to the digest of the study's files, so that not every job looks at all of them again."""

CODE_VERSION = 1
"""Raised when a stage's results change for the same settings, so that old results are made again."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One command of a study.

    Args:
        id: Folder below the study's output, such as ``"fold0/seed0/train/cyclegan"``.
        stage: Name of the command.
        arguments: What the command is told beside the study.
        needs: Ids of the jobs whose results it reads.
        settings: What its result depends on; another value makes the result stale.
        threads: Cores it is given.
        gpus: GPUs it is given.
    """

    id: str
    stage: str
    arguments: JobArguments
    needs: tuple[str, ...]
    settings: dict[str, Any]
    threads: int = 1
    gpus: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the settings."""
        text = json.dumps(
            [CODE_VERSION, self.stage, self.arguments.flags(), self.settings], sort_keys=True, default=str
        )
        return hashlib.sha256(text.encode()).hexdigest()


def plan_study(study: Study) -> tuple[Job, ...]:
    """List the jobs of a study; a job comes after what it needs."""
    prepare = Job(
        id="prepare",
        stage="prepare",
        arguments=JobArguments(),
        needs=(),
        settings=_common(study)
        | {
            "manifest": _file_digest(study.manifest),
            "files": _fingerprint(study),
            "allow_duplicates": study.allow_duplicates,
            **_also(study),
        },
        threads=study.preparing_threads or usable_cores(),
    )
    jobs = [prepare]
    for fold in study.folds_to_run:
        for seed in study.seeds:
            jobs.extend(_fold_jobs(study, fold, seed))
    jobs.append(
        Job(
            id="report",
            stage="report",
            arguments=JobArguments(),
            needs=tuple(job.id for job in jobs),
            settings=study.model_dump(
                mode="json",
                exclude={
                    *("manifest", "output", "data_root", "device", "keep_going"),
                    *("threads", "preparing_threads", "ranks_timeout_s"),
                },
            ),
        )
    )
    return tuple(jobs)


def write_plan(study: Study, jobs: tuple[Job, ...]) -> Path:
    """Write the resolved study and its jobs into the output folder, for Snakemake and for the reader."""
    workspace = Workspace(study.output)
    workspace.write_json("study.json", study.model_dump(mode="json"))
    entries = [asdict(job) | {"arguments": job.arguments.flags(), "digest": job.digest} for job in jobs]
    return workspace.write_json("plan.json", {"jobs": entries})


def _fold_jobs(study: Study, fold: int, seed: int) -> list[Job]:
    jobs: list[Job] = []
    for name in used_translators(study):
        jobs.extend(_translator_jobs(study, study.translator(name), fold, seed))
    for task in study.tasks:
        for count in task.target_cases:
            arms = [arm for arm in task.arms if task.trains(arm, count)]
            jobs.extend(_arm(study, task, arm, count, fold, seed) for arm in arms)
            if task.tested_on:
                jobs.append(_judge(study, task, count, fold, seed))
    if study.similarity:
        names = used_translators(study)
        jobs.append(
            Job(
                id=measure_job(fold, seed),
                stage="measure",
                arguments=JobArguments(fold=fold, seed=seed),
                needs=tuple(translate_job(name, fold, seed) for name in names),
                settings={
                    "similarity": study.similarity,
                    "reference_column": study.reference_column,
                    "translators": names,
                },
            )
        )
    return jobs


def _translator_jobs(study: Study, plan: TranslatorPlan, fold: int, seed: int) -> list[Job]:
    where = JobArguments(translator=plan.name, fold=fold, seed=seed)
    train = Job(
        id=train_job(plan.name, fold, seed),
        stage="train",
        arguments=where,
        needs=("prepare",),
        settings=_common(study)
        | {
            "plan": plan.model_dump(mode="json", exclude=_left_out(plan)),
            "direction": study.direction.model_dump(),
            "precision": study.precision,
        },
        threads=study.threads,
        gpus=1,
    )
    translate = Job(
        id=translate_job(plan.name, fold, seed),
        stage="translate",
        arguments=where,
        needs=(train.id,),
        settings={"all": needs_training_cases(study, plan.name), "precision": study.translation_precision},
        threads=study.threads,
        gpus=1,
    )
    return [train, translate]


def needs_training_cases(study: Study, translator: str) -> bool:
    """Whether some arm trains on the translator's output, so that more than the test subjects are translated."""
    return any(arm.images == translator for task in study.tasks for arm in task.arms)


def _arm(study: Study, task: Task, arm: Arm, count: int | str, fold: int, seed: int) -> Job:
    translated = [] if arm.images in {None, IDENTITY} else [translate_job(str(arm.images), fold, seed)]
    return Job(
        id=arm_job(task.name, count, arm.name, fold, seed),
        stage="downstream",
        arguments=JobArguments(task=task.name, arm=arm.name, target_cases=str(count), fold=fold, seed=seed),
        needs=("prepare", *translated),
        settings=_common(study)
        | {
            "task": task.model_dump(mode="json", exclude={*_OF_OTHER_JOBS, *_left_out(task)}),
            "arm": arm.model_dump(mode="json"),
            "direction": study.direction.model_dump(),
            "precision": study.precision,
            **_pixels_counted(task),
        },
        gpus=1,
    )


def _judge(study: Study, task: Task, count: int | str, fold: int, seed: int) -> Job:
    translators = [name for name in task.tested_on if name != IDENTITY]
    return Job(
        id=judge_job(task.name, count, fold, seed),
        stage="judge",
        arguments=JobArguments(task=task.name, target_cases=str(count), fold=fold, seed=seed),
        needs=(
            arm_job(task.name, count, task.baseline, fold, seed),
            *(translate_job(name, fold, seed) for name in translators),
        ),
        settings={
            "tested_on": task.tested_on,
            "baseline": task.baseline,
            "direction": study.direction.model_dump(),
            **_pixels_counted(task),
        },
        gpus=1,
    )


def _pixels_counted(task: Task) -> dict[str, bool]:
    """That FCN scores are asked for: rows from before there were any are made again, and no others."""
    return {"pixels_counted": True} if set(task.metrics) & set(OF_SHARES) else {}


def _common(study: Study) -> dict[str, Any]:
    return {
        "preparation": study.preparation.model_dump(mode="json"),
        "folds": study.folds,
        "split_seed": study.split_seed,
        "stratify": study.stratify,
    }


_OF_OTHER_JOBS = ("arms", "baseline", "target_cases", "tested_on", "metrics")


def _left_out(entry: TranslatorPlan | Task) -> set[str]:
    """Selection and further domains where nothing is asked for, so that results from before stay current."""
    nothing = set() if entry.selection.holds_out else {"selection"}
    return nothing | ({"also"} if isinstance(entry, TranslatorPlan) and not entry.also else set())


def _also(study: Study) -> dict[str, list[str]]:
    """Further domains of the translators, whose cases are prepared and whose subjects are dealt out to folds."""
    names = sorted({name for plan in study.translators for name in plan.also})
    return {"also": names} if names else {}


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"


def _fingerprint(study: Study) -> str:
    """Digest of path, size and time of every file that the manifest names: it changes when an image is replaced."""
    looked = os.environ.get(FINGERPRINT)
    if looked is not None:
        return looked
    try:
        cases, _ = parse_manifest(study.manifest)
    except MedganError:
        return "unreadable"  # the prepare job says what is wrong
    columns = (study.reference_column,) if study.reference_column else ()
    named = {name for case in cases for name in (case.image, case.mask, *(case.extra.get(c) for c in columns)) if name}
    digest = hashlib.sha256(str(study.data_root).encode())
    for name in sorted(named):
        for path in files_of(study.data_root / name):
            state = path.stat() if path.exists() else None
            told = None if state is None else (state.st_size, state.st_mtime_ns)
            digest.update(f"{path.relative_to(study.data_root)}\n{told}\n".encode())
    return digest.hexdigest()
