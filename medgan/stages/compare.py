"""Compare: rows become scores with intervals, paired differences and verdicts."""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from medgan.metrics.bootstrap import bootstrap_statistic
from medgan.metrics.catalogue import metric
from medgan.metrics.comparison import Comparison, adjusted, compare, compare_statistic
from medgan.metrics.interval import Estimate, mean_estimate
from medgan.samples.seeds import rng_for
from medgan.settings.study import IDENTITY, Study, Task
from medgan.stages.measure import SIMILARITY
from medgan.stages.set_statistic import is_agreement, is_of_set, set_statistic

TRIVIAL_METHODS = frozenset({"identity", "histogram_matching"})
RESAMPLES = 1000
EXPECTED_CLASS = "expected_class"
"""Sum of class times probability: P(good) of a quality classifier. Higher is taken as better."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One arm's score with its interval."""

    task: str
    arm: str
    tested_on: str
    target_cases: str
    metric: str
    higher_is_better: bool
    estimate: Estimate
    n_images: int


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One comparison, and where in the study it belongs."""

    task: str
    target_cases: str
    tested_on: str
    comparison: Comparison
    trivial_baseline: bool
    primary: bool


@dataclass(frozen=True, kw_only=True)
class Sets:
    """What is compared within one task and number of target cases: label -> rows of one arm on one set of images.

    ``model`` names the one arm whose model judged several sets of images.
    """

    task: str
    target_cases: str
    tested_on: str
    tables: dict[str, pd.DataFrame]
    model: str = ""


def summarise(study: Study, rows: pd.DataFrame) -> tuple[list[Scored], list[Compared]]:
    """Score every arm and compare what the study compares.

    Differences are paired by case and seed and averaged within each subject; Holm's procedure goes over all
    comparisons of a task in one metric, the sweep and the trivial baselines included.
    """
    scored: list[Scored] = []
    compared: list[Compared] = []
    for task in study.tasks:
        sets = list(_sets_of_task(task, rows[rows.task == task.name]))
        names = task.metrics or _default_metrics(task)
        for name in names:
            fitting = [one for one in sets if is_meaningful(name, task, one)]
            scored.extend(_scores(fitting, name, task.classes))
            compared.extend(_comparisons(study, fitting, name, task))
    if study.similarity:
        table = rows[rows.task == SIMILARITY]
        arms = {str(arm): part for arm, part in table.groupby("arm")}
        sets = [Sets(task=SIMILARITY, target_cases="all", tested_on="target", tables=arms)]
        for name in study.similarity:
            scored.extend(_scores(sets, name, 0))
            compared.extend(_comparisons(study, sets, name, None))
    return scored, compared


def is_meaningful(name: str, task: Task, sets: Sets) -> bool:
    """Whether a metric says something about a set of images.

    Translation is meant to change the quality of an image, so that its old quality label is no truth for the
    translated image: there the model's expected class counts, not its agreement with the label.
    """
    return not (task.label == "quality" and sets.tested_on == "source" and is_agreement(name))


def _default_metrics(task: Task) -> tuple[str, ...]:
    return ("dice", "jaccard") if task.label == "mask" else ("kappa_quadratic", "accuracy")


def _sets_of_task(task: Task, rows: pd.DataFrame) -> Iterator[Sets]:
    for count in task.target_cases:
        here = rows[rows.target_cases == str(count)]
        own = here[here.tested_on == "target"]
        arms = {arm.name: own[own.arm == arm.name] for arm in task.arms if task.trains(arm, count)}
        for arm in task.arms:
            if arm.name not in arms:  # it sees no target case, and was trained once
                arms[arm.name] = rows[(rows.arm == arm.name) & (rows.tested_on == "target")]
        yield Sets(task=task.name, target_cases=str(count), tested_on="target", tables=_present(arms))
        if task.tested_on:
            model = here[here.arm == task.baseline]
            names = ["source", *(name for name in task.tested_on if name != IDENTITY)]
            inputs = {name: model[model.tested_on == name] for name in names}
            yield Sets(
                task=task.name,
                target_cases=str(count),
                tested_on="source",
                tables=_present(inputs),
                model=task.baseline,
            )


def _present(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {name: table for name, table in tables.items() if len(table)}


def _scores(sets: list[Sets], name: str, classes: int) -> Iterator[Scored]:
    for one in sets:
        for label, table in one.tables.items():
            estimate = estimate_of(table, name, classes, key=f"{one.task}/{label}/{one.target_cases}/{one.tested_on}")
            if estimate is not None:
                tested_on = label if one.tested_on == "source" else "target"
                yield Scored(
                    task=one.task,
                    arm=label if one.tested_on == "target" else one.model,
                    tested_on=tested_on,
                    target_cases=one.target_cases,
                    metric=name,
                    higher_is_better=higher_is_better(name),
                    estimate=estimate,
                    n_images=int(table.case_id.nunique()),
                )


def estimate_of(table: pd.DataFrame, name: str, classes: int, *, key: str) -> Estimate | None:
    """Score of one arm with its interval; None where the rows do not hold the metric."""
    if is_of_set(name):
        found = set_statistic(table, name, classes)
        return found and bootstrap_statistic(*found, rng=rng_for(0, key, name), resamples=RESAMPLES)
    own = table[table.metric == name]
    return mean_estimate(own.value.to_numpy(), own.subject_id.tolist()) if len(own) else None


def _comparisons(study: Study, sets: list[Sets], name: str, task: Task | None) -> list[Compared]:
    found: list[Compared] = []
    for one in sets:
        for arm, baseline in _pairs(study, one, task):
            if arm not in one.tables or baseline not in one.tables:
                continue
            margin = study.margin if _has_margin(study, one.task, name) else None
            comparison = _compare(one, arm, baseline, name, margin, task.classes if task else 0)
            if comparison is not None:
                trivial = _is_trivial(study, baseline, task)
                found.append(
                    Compared(
                        task=one.task,
                        target_cases=one.target_cases,
                        tested_on=one.tested_on,
                        comparison=comparison,
                        trivial_baseline=trivial,
                        primary=_is_primary(study, one, comparison, task),
                    )
                )
    family = adjusted([one.comparison for one in found])
    return [replace(one, comparison=comparison) for one, comparison in zip(found, family, strict=True)]


def _pairs(study: Study, sets: Sets, task: Task | None) -> Iterator[tuple[str, str]]:
    """Which arm is compared with which: all with the baseline, and translators with the trivial ones used alike."""
    if task is None or sets.tested_on == "source":
        base = IDENTITY if task is None else "source"
        trivial = [p.name for p in study.translators if p.method in TRIVIAL_METHODS and p.name != IDENTITY]
        yield from ((name, base) for name in sets.tables if name != base)
        yield from ((name, other) for name in sets.tables if name not in {base, *trivial} for other in trivial)
        return
    yield from ((arm.name, task.baseline) for arm in task.arms if arm.name != task.baseline)
    # Arms that see no target case are compared with each other once, not at every point of the sweep.
    here = [arm for arm in task.arms if arm.use != "alone" or sets.target_cases == str(task.target_cases[0])]
    learned = [arm for arm in here if arm.images and not _is_trivial(study, arm.name, task)]
    for arm in learned:
        for other in task.arms:
            alike = (other.use, other.fraction) == (arm.use, arm.fraction)
            if other.images and alike and other.name != task.baseline and _is_trivial(study, other.name, task):
                yield arm.name, other.name


def _is_trivial(study: Study, label: str, task: Task | None) -> bool:
    """Whether an arm's extra images, or a set of test images, come from something that learns nothing."""
    images = next((arm.images for arm in task.arms if arm.name == label), label) if task else label
    if images in {None, IDENTITY, "source"}:
        return images is not None
    plans = {plan.name: plan.method for plan in study.translators}
    return plans.get(str(images)) in TRIVIAL_METHODS


def _has_margin(study: Study, task: str, name: str) -> bool:
    """Whether a metric of a task is the primary comparison's: the margin is declared for no other."""
    parts = (study.primary or "").split("/")
    return len(parts) >= 3 and (parts[0], parts[2]) == (task, name)


def _is_primary(study: Study, sets: Sets, comparison: Comparison, task: Task | None) -> bool:
    base = IDENTITY if task is None else ("source" if sets.tested_on == "source" else task.baseline)
    if comparison.baseline != base:
        return False
    names = [sets.task, comparison.arm, comparison.metric]
    # Without a number of target cases the last of the sweep is meant.
    is_last = task is None or sets.target_cases == str(task.target_cases[-1])
    return study.primary in {"/".join(names) if is_last else None, "/".join([*names, sets.target_cases])} - {None}


def _compare(sets: Sets, arm: str, baseline: str, name: str, margin: float | None, classes: int) -> Comparison | None:
    rng = rng_for(0, sets.task, sets.target_cases, arm, baseline, name)
    tables = {label: sets.tables[label] for label in (arm, baseline)}
    if is_of_set(name):
        tables = _same_cases(tables)
        found = {label: set_statistic(table, name, classes) for label, table in tables.items()}
        statistics = {label: one[0] for label, one in found.items() if one}
        subjects_of = found[arm]
        if subjects_of is None or len(statistics) < len(tables):
            return None
        [comparison] = compare_statistic(
            statistics,
            subjects_of[1],
            baseline=baseline,
            metric=name,
            higher_is_better=True,
            margin=margin,
            rng=rng,
            resamples=RESAMPLES,
        )
        return comparison
    values = {label: _values(table, name) for label, table in tables.items()}
    if not all(values.values()):
        return None
    own = tables[arm][tables[arm].metric == name]
    subjects: dict[Hashable, Hashable] = dict(zip(zip(own.case_id, own.seed, strict=True), own.subject_id, strict=True))
    [comparison] = compare(
        values,
        baseline=baseline,
        subjects=subjects,
        metric=name,
        higher_is_better=higher_is_better(name),
        margin=margin,
        rng=rng,
    )
    return comparison


def higher_is_better(name: str) -> bool:
    """Direction of a metric; that of class k is named ``dice_k``."""
    return name == EXPECTED_CLASS or metric(re.sub(r"_\d+$", "", name)).higher_is_better


def _values(table: pd.DataFrame, name: str) -> dict[Hashable, float]:
    own = table[table.metric == name]
    return dict(zip(zip(own.case_id, own.seed, strict=True), own.value, strict=True))


def _same_cases(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {label: table.sort_values(["case_id", "seed", "metric"], kind="stable") for label, table in tables.items()}
