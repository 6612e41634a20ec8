"""The study's training runs, as the report tells of them."""

import math
from collections.abc import Iterator
from typing import Any

from medgan.reports.runs import RunRow
from medgan.settings.study import Study
from medgan.stages.losses import alarms_of
from medgan.stages.materials import used_translators
from medgan.stages.workspace import arm_job, train_job
from medgan.training.checkpoint import find_checkpoint
from medgan.training.log import read_log
from medgan.training.tensor_files import read_record


def runs_of(study: Study) -> Iterator[RunRow]:
    """A row for every translator and downstream model that was trained; those that learn nothing have none."""
    for job in _jobs(study):
        folder = study.output / job
        record: dict[str, Any] = read_record(folder / "weights.json")
        last = find_checkpoint(folder)
        total = int(last.name.removeprefix("step_")) if last else int(record["step"])
        if not total:
            continue
        score = record.get("score")
        yield RunRow(
            name=job,
            checkpoint=record.get("checkpoint", "last"),
            step=int(record["step"]),
            total_steps=total,
            score=math.nan if score is None else float(score),
            scored_by=record.get("scored_by", ""),
            alarms=alarms_of(read_log(folder)),
        )


def _jobs(study: Study) -> Iterator[str]:
    for fold in study.folds_to_run:
        for seed in study.seeds:
            for name in used_translators(study):
                yield train_job(name, fold, seed)
            for task in study.tasks:
                for count in task.target_cases:
                    for arm in task.arms:
                        if task.trains(arm, count):
                            yield arm_job(task.name, count, arm.name, fold, seed)
