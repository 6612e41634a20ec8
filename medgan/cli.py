"""One command per stage: parse, call, print."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from medgan.cli_options import (
    Fold,
    KeepGoing,
    Output,
    Profile,
    Quiet,
    Seed,
    StudyFile,
    Translator,
    all_given,
    only_with_run,
)
from medgan.cli_tools import console, say, tools
from medgan.errors import SHOW_PATHS, MedganError
from medgan.settings.threads import quiet_openmp

app = typer.Typer(
    name="medgan",
    help="Does translating medical images between domains help, and by how much?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(tools)


def main() -> None:
    """Run the command line; an error is one line on the error stream and exit status 1."""
    quiet_openmp()
    try:
        app()
    except MedganError as error:
        rank = os.environ.get("RANK", "0")  # set by torchrun
        told = str(error) if rank == "0" else f"rank {rank}: {error}"
        Console(stderr=True).print(told, style="bold red", markup=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="folder for the phantoms and the results")] = Path("demo"),
    cores: Annotated[int, typer.Option(help="cores to use")] = 2,
    quiet: Quiet = False,
) -> None:
    """Run a small study on generated fundus photographs: no data, no network, a few minutes."""
    from medgan.settings.study import read_study
    from medgan.workflow.demo import make_demo

    study = read_study(make_demo(output))
    _run(study, _resources(cores=cores), dry_run=False, keep_going=False, passed_on=[], quiet=quiet)


@app.command()
def check(
    study: StudyFile,
    profile: Profile = None,
    output: Output = None,
    domains: Annotated[bool, typer.Option("--domains", help="compare the domains, and the pairs' shifts")] = False,
    sample: Annotated[int, typer.Option(min=2, help="with --domains: cases of each domain that are read")] = 40,
    every: Annotated[bool, typer.Option("--all", help="with --domains: read every case")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="file for the findings, and for the comparison, as numbers")
    ] = None,
    show_paths: Annotated[
        bool, typer.Option("--show-paths", help="name files too, which may be named after patients")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """List every bad row and file of a study, or with --domains compare its domains; status 1 if there is an error."""
    from rich.progress import Progress

    from medgan.manifests.table import replace_text
    from medgan.settings.study import read_study
    from medgan.stages.check import check_study
    from medgan.stages.check_domains import compare_domains, compared_with_source
    from medgan.stages.hidden import hidden_findings

    if show_paths:
        os.environ[SHOW_PATHS] = "1"
    settings = read_study(study, profile=profile, output=output)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        if domains:
            comparisons = [
                compare_domains(settings, beside=name, sample=None if every else sample, over=bar.track)
                for name in compared_with_source(settings)
            ]
            found = dict.fromkeys(finding for comparison in comparisons for finding in comparison.findings)
            findings, content = hidden_findings(settings, found), comparisons[0].to_json()
            content |= {"also": [one.to_json() for one in comparisons[1:]]} if comparisons[1:] else {}
        else:
            findings = hidden_findings(settings, check_study(settings, over=bar.track))
            content = {}
    content["findings"] = [vars(finding) for finding in findings]
    for comparison in comparisons if domains else ():
        _show_comparison(comparison)
    errors = sum(finding.severity == "error" for finding in findings)
    for finding in findings:
        say(str(finding))
    say(f"{errors} errors, {len(findings) - errors} warnings")
    if json_file is not None:
        replace_text(json_file, json.dumps(content, indent=2) + "\n")
    raise typer.Exit(1 if errors else 0)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    study: StudyFile,
    profile: Profile = None,
    output: Output = None,
    cores: Annotated[int, typer.Option(help="cores to use")] = 2,
    gpus: Annotated[int, typer.Option(help="GPUs to use; each running job gets its own")] = 0,
    gpus_per_job: Annotated[int, typer.Option(min=1, help="GPUs that train one translator together")] = 1,
    cluster: Annotated[str | None, typer.Option(help="slurm, or a folder with config.yaml and stages.yaml")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would run")] = False,
    keep_going: KeepGoing = False,
    quiet: Quiet = False,
) -> None:
    """Run a study: only what is missing or changed. Further options go to Snakemake."""
    from medgan.settings.study import read_study

    settings = read_study(study, profile=profile, output=output).model_copy(update=_going_on(keep_going=keep_going))
    passed_on = list(context.args)
    resources = _resources(cores=cores, gpus=gpus, gpus_per_job=gpus_per_job, cluster=cluster)
    _run(settings, resources, dry_run=dry_run, keep_going=keep_going, passed_on=passed_on, quiet=quiet)


@app.command()
def status(study: StudyFile, profile: Profile = None, output: Output = None) -> None:
    """Show each job of a study: done, stale, running, begun or waiting."""
    from medgan.settings.study import read_study
    from medgan.workflow.launch import states

    table = Table(Column("job", overflow="fold"), "state", Column("progress", overflow="fold"))
    for job, state, progress in states(read_study(study, profile=profile, output=output)):
        shown = f"{progress['doing']} {progress['done']}/{progress['total']}" if progress and state != "done" else ""
        table.add_row(job.id, state, shown)
    console.print(table)


@app.command()
def prepare(
    study: StudyFile,
    profile: Profile = None,
    output: Output = None,
    cores: Annotated[int | None, typer.Option(min=1, help="cores to use; all by default", show_default=False)] = None,
    keep_going: KeepGoing = False,
    quiet: Quiet = False,
) -> None:
    """Split a study by subject and fill its prepared store."""
    from medgan.settings.study import read_study
    from medgan.workflow.job import LAUNCHER

    changes = _going_on(keep_going=keep_going) | ({} if cores is None else {"preparing_threads": cores})
    _one_job(study, profile, output, stage="prepare", quiet=quiet, changes=changes)
    if LAUNCHER not in os.environ:  # else whoever launched the job says it, once
        _say_left_out(read_study(study, profile=profile, output=output))


@app.command()
def train(
    study: StudyFile,
    translator: Translator,
    fold: Fold = 0,
    seed: Seed = 0,
    profile: Profile = None,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Train one translator on the training subjects of a fold; an interrupted run goes on exactly where it was."""
    _one_job(study, profile, output, stage="train", quiet=quiet, translator=translator, fold=fold, seed=seed)


@app.command()
def translate(
    study: Annotated[Path | None, typer.Argument(help="study file; or use --run", show_default=False)] = None,
    translator: Annotated[str | None, typer.Option(help="translator of the study")] = None,
    fold: Fold = 0,
    seed: Seed = 0,
    profile: Profile = None,
    output: Output = None,
    run: Annotated[Path | None, typer.Option(help="a finished run, applied to --manifest")] = None,
    manifest: Annotated[Path | None, typer.Option(help="manifest of new cases")] = None,
    data_root: Annotated[Path | None, typer.Option(help="folder that the manifest's paths are relative to")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the translated images")] = None,
    to: Annotated[
        str | None, typer.Option(help="with --run: domain wanted; cases of the run's other domains are translated")
    ] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="with --run: compute in bf16, faster and coarser")] = False,
    styles: Annotated[int | None, typer.Option(min=1, help="with --run: so many random styles, a folder each")] = None,
    style_seed: Annotated[int, typer.Option(min=0, help="with --styles: seed of the styles")] = 0,
    style_of: Annotated[Path | None, typer.Option(help="with --run: image of the target domain to look like")] = None,
    quiet: Quiet = False,
) -> None:
    """Translate a study's source images, or with --run any manifest."""
    if study is not None:
        only_with_run(
            run=run, manifest=manifest, data_root=data_root, out=out, to=to, bf16=bf16, styles=styles, style_of=style_of
        )
        _one_job(study, profile, output, stage="translate", quiet=quiet, translator=translator, fold=fold, seed=seed)
        return
    from medgan.stages.apply import WantedStyles, translate_new
    from medgan.stages.trained import open_run

    options = all_given(run=run, manifest=manifest, data_root=data_root, out=out)
    wanted = WantedStyles(random=styles, seed=style_seed, like=style_of)
    trained = open_run(options["run"], precision="bf16" if bf16 else "fp32")
    trained = trained if to is None else trained.towards(to)
    cases, root, folder = options["manifest"], options["data_root"], options["out"]
    with _results(folder):
        progress = _progress(folder, "translate")
        for line in translate_new(trained, cases, root, folder, styles=wanted, progress=progress):
            say(line)


@app.command()
def downstream(
    study: Annotated[Path | None, typer.Argument(help="study file; or use --run", show_default=False)] = None,
    task: Annotated[str | None, typer.Option(help="task of the study")] = None,
    arm: Annotated[str | None, typer.Option(help="arm of the task")] = None,
    target_cases: Annotated[str, typer.Option(help="labelled target cases")] = "all",
    fold: Fold = 0,
    seed: Seed = 0,
    profile: Profile = None,
    output: Output = None,
    run: Annotated[Path | None, typer.Option(help="a finished downstream run, applied to --manifest")] = None,
    manifest: Annotated[Path | None, typer.Option(help="manifest of new cases")] = None,
    data_root: Annotated[Path | None, typer.Option(help="folder that the manifest's paths are relative to")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the rows")] = None,
    quiet: Quiet = False,
) -> None:
    """Train and score one arm of a task, or with --run score a trained model on any manifest."""
    if study is not None:
        only_with_run(run=run, manifest=manifest, data_root=data_root, out=out)
        names: dict[str, Any] = {"task": task, "arm": arm, "target_cases": target_cases}
        _one_job(study, profile, output, stage="downstream", quiet=quiet, fold=fold, seed=seed, **names)
        return
    from medgan.stages.apply import score_new

    options = all_given(run=run, manifest=manifest, data_root=data_root, out=out)
    with _results(options["out"]):
        progress = _progress(options["out"], "downstream")
        for line in score_new(options["run"], options["manifest"], options["data_root"], options["out"], progress):
            say(line)


@app.command()
def judge(
    study: StudyFile,
    task: Annotated[str, typer.Option(help="task of the study")],
    target_cases: Annotated[str, typer.Option(help="labelled target cases")] = "all",
    fold: Fold = 0,
    seed: Seed = 0,
    profile: Profile = None,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Let a task's trained model judge source images before and after translation."""
    names: dict[str, Any] = {"task": task, "target_cases": target_cases}
    _one_job(study, profile, output, stage="judge", quiet=quiet, fold=fold, seed=seed, **names)


@app.command()
def measure(
    study: Annotated[Path | None, typer.Argument(help="study file; or use --run", show_default=False)] = None,
    fold: Fold = 0,
    seed: Seed = 0,
    profile: Profile = None,
    output: Output = None,
    run: Annotated[Path | None, typer.Option(help="the run that made --manifest")] = None,
    manifest: Annotated[Path | None, typer.Option(help="translated manifest")] = None,
    reference: Annotated[Path | None, typer.Option(help="manifest with the true images")] = None,
    data_root: Annotated[Path | None, typer.Option(help="folder of the true images")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the rows")] = None,
    quiet: Quiet = False,
) -> None:
    """Compare translated with true images of a study, or with --run of any translated manifest."""
    if study is not None:
        only_with_run(run=run, manifest=manifest, reference=reference, data_root=data_root, out=out)
        _one_job(study, profile, output, stage="measure", quiet=quiet, fold=fold, seed=seed)
        return
    from medgan.stages.apply import measure_new

    options = all_given(run=run, manifest=manifest, reference=reference, data_root=data_root, out=out)
    with _results(options["out"]):
        for line in measure_new(*options.values()):
            say(line)


@app.command()
def report(study: StudyFile, profile: Profile = None, output: Output = None, quiet: Quiet = False) -> None:
    """Write the report of a study whose jobs are done."""
    _one_job(study, profile, output, stage="report", quiet=quiet)


def _show_comparison(comparison: Any) -> None:
    """Two domains side by side, with what was read of them."""
    names = (comparison.source.name, comparison.target.name)
    table = Table(Column("", overflow="fold"), *(Column(name, overflow="fold") for name in names))
    for row in comparison.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for line in filter(None, (comparison.sample, comparison.pairs_line)):
        say(line)


def _resources(*, cores: int, gpus: int = 0, gpus_per_job: int = 1, cluster: str | None = None) -> Any:
    from medgan.workflow.resources import Resources, find_cluster

    folder = None if cluster is None else find_cluster(cluster)
    return Resources(cores=cores, gpus=gpus, gpus_per_job=gpus_per_job, cluster=folder)


def _run(study: Any, resources: Any, *, dry_run: bool, keep_going: bool, passed_on: list[str], quiet: bool) -> None:
    from medgan.workflow.display import watch
    from medgan.workflow.launch import launch

    with watch(console, plain=quiet or not console.is_terminal) as show:
        launch(study, resources=resources, dry_run=dry_run, keep_going=keep_going, passed_on=passed_on, report=show)
    if not dry_run:
        say(f"The report: {study.output / 'report' / 'report.html'}")
        _say_left_out(study)


def _one_job(
    path: Path,
    profile: str | None,
    output: Path | None,
    *,
    stage: str,
    quiet: bool,
    changes: dict[str, Any] | None = None,
    **arguments: Any,
) -> None:
    from medgan.settings.study import read_study
    from medgan.stages.arguments import JobArguments
    from medgan.workflow.job import end_with_launcher, find_job, run_job

    end_with_launcher()
    study = read_study(path, profile=profile, output=output).model_copy(update=changes or {})
    job = find_job(study, stage, JobArguments(**arguments))
    run_job(study, job, report=say)


def _going_on(*, keep_going: bool) -> dict[str, Any]:
    """Changes of a study: the option can only add to what the study file says."""
    return {"keep_going": True} if keep_going else {}


def _say_left_out(study: Any) -> None:
    """List the cases that a study went on without; they make the exit status 1."""
    from medgan.stages.left_out import FILE, read_left_out
    from medgan.stages.workspace import Workspace

    path = Workspace(study.output).prepared / FILE
    left_out = read_left_out(path)
    for one in left_out:
        say(f"left out [{one.code}] {one.where}: {one.message}; {one.remedy}")
    if left_out:
        say(f"{len(left_out)} cases left out: {path}")
        raise typer.Exit(1)


@contextmanager
def _results(folder: Path) -> Iterator[None]:
    """A folder of results that can be written to, and by nobody else meanwhile."""
    from medgan.training.disk import disk_refusals_told
    from medgan.training.lock import hold_lock, make_writable

    make_writable(folder)
    with hold_lock(folder), disk_refusals_told(folder):
        yield


def _progress(folder: Path, what: str) -> Any:
    from medgan.stages.progress import Progress

    return Progress(folder / "progress.json", what=what, report=say)
