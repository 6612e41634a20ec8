"""Choices: the methods, recipes and metrics that a study names, checked before hours are spent on them."""

import difflib
import re
from collections.abc import Callable, Collection
from functools import partial

from medgan.errors import MedganError, SettingsError
from medgan.metrics.catalogue import metrics_of
from medgan.metrics.semantic import OF_SHARES
from medgan.settings.study import SIMILARITY, Study, Task
from medgan.stages.compare import EXPECTED_CLASS
from medgan.stages.downstream import read_task_recipe
from medgan.stages.scoring import OVERLAPS
from medgan.stages.train import check_domains_taken, read_recipe


def wrong_choices(study: Study) -> list[MedganError]:
    """Every method, task, recipe and metric that cannot be, as the error it would end in."""
    checks: list[Callable[[], object]] = [
        *(partial(read_recipe, plan) for plan in study.translators),
        *(partial(check_domains_taken, plan) for plan in study.translators),
        *(partial(read_task_recipe, task) for task in study.tasks),
        *(partial(_check_metrics, f"task {task.name}", task.metrics, scored_in(task)) for task in study.tasks),
        partial(_check_metrics, SIMILARITY, study.similarity, [found.name for found in metrics_of("paired-image")]),
    ]
    errors = []
    for check in checks:
        try:
            check()
        except MedganError as error:
            errors.append(error)
    return errors


def scored_in(task: Task) -> list[str]:
    """Names of the metrics that a task gives; with several classes of a mask, one per class."""
    if task.label != "mask":
        return [*(found.name for found in metrics_of("classification")), EXPECTED_CLASS]
    names = (*OVERLAPS, "hd95", "hd95_px")
    if task.classes == 2:
        return [*names, *OF_SHARES]
    return [*(f"{name}_{index}" for name in names for index in range(1, task.classes)), *OF_SHARES]


def _check_metrics(where: str, names: Collection[str], choices: Collection[str]) -> None:
    wrong = [name for name in names if name not in choices]
    if wrong:
        bare = {re.sub(r"_\d+$", "", name): name for name in reversed(list(choices))}
        near = difflib.get_close_matches(wrong[0], [*choices, *bare], n=1)
        raise SettingsError(
            "S007",
            "no such metric here",
            where=where,
            got=", ".join(wrong),
            expected="some of " + ", ".join(choices),
            remedy=f"did you mean {bare.get(near[0], near[0])!r}?" if near else "",
        )
