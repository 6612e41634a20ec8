"""Report: all rows of a study become scores, comparisons and one page."""

import csv
import io
import json
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from medgan.manifests.manifest import Manifest
from medgan.manifests.table import replace_text
from medgan.reports.content import (
    ArmPlan,
    ComparisonRow,
    CurveSet,
    DataSource,
    DomainCount,
    Experiment,
    Fact,
    MissingCount,
    Provenance,
    QualityShift,
    ReportContent,
    ScoreRow,
    SimilarityRow,
)
from medgan.reports.page import write_report
from medgan.reports.rows import ClassCounts
from medgan.settings.study import Study, Task
from medgan.stages.arguments import JobArguments
from medgan.stages.compare import TRIVIAL_METHODS, Compared, Scored, summarise
from medgan.stages.downstream import read_task_recipe
from medgan.stages.exhibits import PICTURE_SEED, before_after
from medgan.stages.left_out import FILE as LEFT_OUT
from medgan.stages.left_out import read_left_out
from medgan.stages.losses import curve_set
from medgan.stages.materials import Materials, open_materials, used_translators
from medgan.stages.measure import SIMILARITY
from medgan.stages.progress import Progress
from medgan.stages.rows import read_rows
from medgan.stages.runs import runs_of
from medgan.stages.workspace import Workspace, arm_job, judge_job, measure_job, train_job
from medgan.training.device import pick_device, pick_precision
from medgan.training.log import read_log

PACKAGES = ("medgan", "torch", "monai", "numpy", "scipy", "scikit-image", "nibabel", "pydicom", "snakemake")


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Join all rows, compare, and write ``rows.csv``, ``scores.csv``, ``comparisons.csv`` and ``report.html``."""
    materials = open_materials(study)
    rows = read_rows(row_files(study))
    progress(1, 3, doing="comparing")
    scored, compared = summarise(study, rows)
    replace_text(folder / "rows.csv", rows.to_csv(index=False))
    scores, comparisons = score_rows(scored), comparison_rows(compared, study)
    _write_table(folder / "scores.csv", [asdict(one) | asdict(one.estimate) for one in scored], drop="estimate")
    tests = [{"p_wilcoxon": one.comparison.p_wilcoxon} for one in compared]
    _write_table(
        folder / "comparisons.csv", [asdict(one) | beside for one, beside in zip(comparisons, tests, strict=True)]
    )
    progress(2, 3, doing="drawing")
    content = ReportContent(
        title=study.name,
        question=study.question,
        experiment=_experiment(study, materials, rows),
        provenance=_provenance(study),
        comparisons=tuple(comparisons),
        scores=tuple(scores),
        pictures=before_after(study, materials, rows),
        picture_seed=PICTURE_SEED,
        pictures_from=_translated_cases(study, materials),
        quality=tuple(_shifts(study, rows)),
        similarity=tuple(_similarity(study, scored)),
        curves=tuple(_curves(study)),
        runs=tuple(runs_of(study)),
    )
    write_report(content, folder / "report.html")
    progress(3, 3, doing="written")
    names = ("rows.csv", "scores.csv", "comparisons.csv", "report.html")
    return [folder / name for name in names]


def row_files(study: Study) -> list[Path]:
    """``rows.csv`` of every job that the study has now; what an earlier version of it left is not among them."""
    jobs = []
    for fold in study.folds_to_run:
        for seed in study.seeds:
            for task in study.tasks:
                for count in task.target_cases:
                    arms = [arm.name for arm in task.arms if task.trains(arm, count)]
                    jobs += [arm_job(task.name, count, name, fold, seed) for name in arms]
                    jobs += [judge_job(task.name, count, fold, seed)] if task.tested_on else []
            jobs += [measure_job(fold, seed)] if study.similarity else []
    return [study.output / job / "rows.csv" for job in jobs]


def _left_out(study: Study, materials: Materials) -> list[MissingCount]:
    """Cases that the study went on without, by what was wrong with them."""
    gone = read_left_out(Workspace(study.output).prepared / LEFT_OUT)
    total = len(materials.manifest) + len(gone)
    return [
        MissingCount(
            what="cases left out",
            count=sum(one.code == code for one in gone),
            total=total,
            reason=f"{code}, such as {next(one.message for one in gone if one.code == code)}; see prepare/{LEFT_OUT}",
        )
        for code in sorted({one.code for one in gone})
    ]


def score_rows(scored: Iterable[Scored]) -> list[ScoreRow]:
    """Scores of the downstream tasks, as the report shows them."""
    return [
        ScoreRow(
            task=one.task,
            arm=one.arm,
            metric=one.metric,
            value=one.estimate.value,
            low=one.estimate.low,
            high=one.estimate.high,
            n_subjects=one.estimate.n_subjects,
            n_images=one.n_images,
            undefined=one.estimate.n_undefined,
            method=one.estimate.method,
            tested_on=_tested_on(one.tested_on),
            target_cases=int(one.target_cases) if one.target_cases.isdigit() else None,
        )
        for one in scored
        if one.task != SIMILARITY
    ]


def comparison_rows(compared: Iterable[Compared], study: Study) -> list[ComparisonRow]:
    """Comparisons, as the report shows them."""
    return [
        ComparisonRow(
            task=one.task,
            metric=one.comparison.metric,
            arm=_tested_on(one.comparison.arm) if one.tested_on == "source" else one.comparison.arm,
            baseline=_tested_on(one.comparison.baseline) if one.tested_on == "source" else one.comparison.baseline,
            difference=one.comparison.difference.value,
            low=one.comparison.difference.low,
            high=one.comparison.difference.high,
            p=one.comparison.p,
            p_holm=one.comparison.p_holm,
            margin=float("nan") if one.comparison.margin is None else one.comparison.margin,
            verdict=one.comparison.verdict,
            n_subjects=one.comparison.difference.n_subjects,
            method=one.comparison.difference.method,
            target_cases=int(one.target_cases) if one.target_cases.isdigit() else None,
            primary=one.primary,
            higher_is_better=one.comparison.higher_is_better,
            trivial_baseline=one.trivial_baseline,
        )
        for one in compared
    ]


def _tested_on(label: str) -> str:
    names = {"source": "original source images", "target": "original images of the task's domains"}
    return names.get(label, f"source images translated by {label}")


def _similarity(study: Study, scored: Iterable[Scored]) -> Iterable[SimilarityRow]:
    trivial = {plan.name for plan in study.translators if plan.method in TRIVIAL_METHODS} | {"identity"}
    for one in scored:
        if one.task == SIMILARITY:
            yield SimilarityRow(
                translator=one.arm,
                metric=f"{one.metric} (data range 1, inside the true image's field)",
                value=one.estimate.value,
                low=one.estimate.low,
                high=one.estimate.high,
                n_subjects=one.estimate.n_subjects,
                n_images=one.n_images,
                undefined=one.estimate.n_undefined,
                method=one.estimate.method,
                higher_is_better=one.higher_is_better,
                trivial=one.arm in trivial,
            )


def _shifts(study: Study, rows: pd.DataFrame) -> Iterable[QualityShift]:
    """How a classifier's answers on the source images move with translation."""
    for task in study.tasks:
        own = rows[(rows.task == task.name) & (rows.metric == "predicted") & (rows.arm == task.baseline)]
        # One model's answers: seeds and the sweep would count every image more than once.
        one_model = (own.seed == study.seeds[0]) & (own.target_cases == str(task.target_cases[-1]))
        inputs = own[one_model & (own.tested_on != "target")]
        if task.label == "mask" or inputs.empty:
            continue
        sets = [
            ClassCounts(_tested_on(str(name)), _counts(part, task), int(part.subject_id.nunique()))
            for name, part in inputs.groupby("tested_on", sort=False)
        ]
        yield QualityShift(
            name=task.name,
            classes=tuple(str(index) for index in range(task.classes)),
            sets=tuple(sets),
            judged_by=f"the {task.task} model of the arm {task.baseline}, trained on original images",
        )


def _counts(part: pd.DataFrame, task: Task) -> tuple[int, ...]:
    return tuple(int((part.value == index).sum()) for index in range(task.classes))


def _curves(study: Study) -> Iterable[CurveSet]:
    fold, seed = study.folds_to_run[0], study.seeds[0]
    for name in used_translators(study):
        curves = curve_set(f"{name}, fold {fold}, seed {seed}", read_log(study.output / train_job(name, fold, seed)))
        if curves is not None:
            yield curves


def _translated_cases(study: Study, materials: Materials) -> int:
    subjects = materials.folds.test(study.folds_to_run[0])
    return len(materials.cases([study.direction.source], subjects))


def _experiment(study: Study, materials: Materials, rows: pd.DataFrame) -> Experiment:
    planned = len(study.folds_to_run) * len(study.seeds)
    undefined = rows[rows.value.isna()]
    missing = [
        MissingCount(what=f"{task} {metric}", count=len(part), total=_total(rows, task, metric), reason="undefined")
        for (task, metric), part in undefined.groupby(["task", "metric"])
    ]
    missing += _left_out(study, materials)
    return Experiment(
        folds=len(study.folds_to_run),
        seeds=len(study.seeds),
        split=f"{study.folds} folds by subject, stratified by {study.stratify}; {planned} fold-seed pairs were run",
        arms=tuple(
            ArmPlan(
                name=f"{task.name}: {arm.name}", steps=int(read_task_recipe(task).total_steps), trained_on=trained_on
            )
            for task in study.tasks
            for arm in task.arms
            for trained_on in [_trained_on(study, task, arm)]
        ),
        domains=tuple(_domain(study, materials.manifest, name) for name in materials.manifest.domains),
        missing=tuple(missing),
    )


def _total(rows: pd.DataFrame, task: object, metric: object) -> int:
    return int(((rows.task == task) & (rows.metric == metric)).sum())


def _trained_on(study: Study, task: Task, arm: Any) -> str:
    own = " and ".join(task.domains or (study.direction.target,))
    if arm.images is None:
        return own
    extra = study.direction.source if arm.images == "identity" else f"{study.direction.source} through {arm.images}"
    how = {"alone": extra, "before": f"{extra}, then {own}", "beside": f"{own} with {extra} ({arm.fraction:.0%})"}
    return how[arm.use]


def _domain(study: Study, manifest: Manifest, name: str) -> DomainCount:
    cases = manifest.of_domain(name)
    roles = {study.direction.source: "source", study.direction.target: "target"}
    return DomainCount(
        domain=name,
        role=roles.get(name, "other"),
        n_subjects=len({case.subject_id for case in cases}),
        n_images=len(cases),
        n_labelled=sum(any(v is not None for v in (case.mask, case.grade, case.quality)) for case in cases),
        manifest_digest=manifest.digest,
    )


def _provenance(study: Study) -> Provenance:
    device = pick_device(study.device)
    return Provenance(
        date=time.strftime("%Y-%m-%d %H:%M"),
        # Folder names may tell who the patients are.
        command=shlex.join(["medgan", *(Path(word).name for word in sys.argv[1:])]),
        device=f"{device.type} ({platform.processor() or platform.machine()})",
        precision=f"{pick_precision(study.precision, device)}, in translation {study.translation_precision}",
        versions=tuple(Fact(name, version(name)) for name in PACKAGES),
        run_ids=tuple(_run_ids(study)),
        settings=(Fact("study", json.dumps(study.model_dump(mode="json", exclude=_PATHS), indent=2)),),
        data=tuple(DataSource(name=text.split(":")[0], licence="", citation=text) for text in study.citations),
    )


_PATHS = {"manifest", "data_root", "output"}


def _run_ids(study: Study) -> Iterable[str]:
    for path in sorted(study.output.glob("fold*/seed*/train/*/weights.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        yield f"{path.parent.relative_to(study.output)}: {record['weights'][:12]}"


def _write_table(path: Path, records: Sequence[dict[str, Any]], *, drop: str = "") -> None:
    out = io.StringIO()
    columns = [name for name in (records[0] if records else {}) if name != drop]
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    replace_text(path, out.getvalue())
