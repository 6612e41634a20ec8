"""Hands a study's jobs to Snakemake and shows how far they are."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from medgan.errors import RunError
from medgan.settings.study import Study
from medgan.stages.workspace import Workspace
from medgan.workflow.job import LAUNCHER, lock_folder
from medgan.workflow.killed import killed_error, memory_kills
from medgan.workflow.nursery import nursery
from medgan.workflow.plan import FINGERPRINT, Job, plan_study, write_plan
from medgan.workflow.resources import Resources

POLL_S = 1.5
"""Seconds between two looks at the jobs."""

CLUSTER_POLL_S = 15.0
"""The same where each look goes to a shared file system."""

State = tuple[Job, str, dict[str, object]]


def states(study: Study, jobs: Sequence[Job] | None = None) -> list[State]:
    """Each job with ``"done"``, ``"stale"``, ``"running"``, ``"begun"`` or ``"waiting"``, and its newest progress.

    Args:
        study: The study.
        jobs: Its jobs, for one who asks again and again: planning looks at every file that the manifest names.
    """
    from medgan.training.lock import is_held

    workspace = Workspace(study.output)
    found: list[State] = []
    current: dict[str, bool] = {}
    for job in plan_study(study) if jobs is None else jobs:
        current[job.id] = all(current[need] for need in job.needs) and workspace.is_current(
            job.id, digest=job.digest, needs=job.needs
        )
        folder = workspace.folder(job.id)
        if current[job.id]:
            state = "done"
        elif is_held(lock_folder(study, job)):
            state = "running"
        elif workspace.done(job.id):
            state = "stale"
        else:
            state = "begun" if folder.exists() else "waiting"
        found.append((job, state, _progress(folder)))
    return found


def launch(
    study: Study,
    *,
    resources: Resources,
    dry_run: bool,
    keep_going: bool,
    passed_on: Sequence[str],
    report: Callable[[list[State]], None],
) -> None:
    """Run what is missing or changed.

    Args:
        study: The study.
        resources: Cores, GPUs or the cluster that jobs may use.
        dry_run: Only say what would run.
        keep_going: Go on with jobs that do not need a failed one.
        passed_on: More options for Snakemake, such as ``--executor slurm``.
        report: Shown the jobs' states now and then.

    Raises:
        RunError: J020, if a job failed; the end of its log is shown. J021, if it was killed. J032, if there are too few
            GPUs.
        WriteError: W010, if the output folder cannot be written.
    """
    from medgan.training.disk import disk_refusals_told
    from medgan.training.lock import make_writable

    command = _command(study, resources.options(passed_on))
    jobs = plan_study(study)
    make_writable(study.output)
    with disk_refusals_told(study.output):
        write_plan(study, jobs)
    before = states(study, jobs)
    stale = [job for job, state, _ in before if state == "stale"]
    if dry_run:
        again = [f"{job.id}/done.json" for job in stale]
        command += ["--dry-run", "--quiet", "rules", *(["--forcerun", *again] if again else [])]
    else:
        _set_aside(study, stale)
        command += ["--quiet", "progress", "rules"]
    command += ["--keep-going"] if keep_going else []
    kills = memory_kills()
    log = study.output / "logs" / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    local = resources.is_local(passed_on)
    environment = _environment(local=local) | {FINGERPRINT: str(jobs[0].settings["files"])}
    poll_s = POLL_S if local else CLUSTER_POLL_S
    undone = [job.stage for job, state, _ in before if state != "done"]
    forked = undone if local and not resources.gpus and not dry_run else ()
    with (
        log.open("w", encoding="utf-8") as out,
        nursery(forked, environment, log=log.with_name("nursery.log")) as environment,
    ):
        process = subprocess.Popen(
            [*command, *passed_on],
            stdout=None if dry_run else out,
            stderr=subprocess.STDOUT if not dry_run else None,
            env=environment,
        )
        try:
            while not _ended(process, poll_s):
                report(states(study, jobs))
        except BaseException:
            # Snakemake would wait for its jobs; they end with this process.
            process.terminate()
            _ended(process, poll_s)
            raise
    if process.returncode:
        raise _failure(study, log, for_memory=memory_kills() > kills)
    report(states(study, jobs))


def _environment(*, local: bool) -> dict[str, str]:
    """The environment of the jobs; those of a cluster outlive this process, which may be gone long before them."""
    kept = {name: value for name, value in os.environ.items() if name != LAUNCHER}
    launcher = {LAUNCHER: f"{socket.gethostname()}:{os.getpid()}"} if local else {}
    return kept | launcher | {"OMP_WAIT_POLICY": "PASSIVE"}


def _ended(process: subprocess.Popen[bytes], poll_s: float) -> bool:
    try:
        process.wait(timeout=poll_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _command(study: Study, options: Sequence[str]) -> list[str]:
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(Path(__file__).with_name("Snakefile"))),
        *("--directory", str(study.output)),
        *("--rerun-incomplete", "--nolock", "--rerun-triggers", "mtime"),
        *options,
    ]


def _set_aside(study: Study, stale: Sequence[Job]) -> None:
    """A stale job's mark is renamed, so that Snakemake, which looks for the file, runs it again."""
    for job in stale:
        mark = study.output / job.id / "done.json"
        mark.replace(mark.with_name("done.stale.json"))


def _progress(folder: Path) -> dict[str, object]:
    try:
        content: dict[str, object] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return content


def _failure(study: Study, log: Path, *, for_memory: bool) -> RunError:
    from medgan.training.lock import left_by_the_dead

    for job, state, progress in states(study):
        own = study.output / "logs" / (job.id.replace("/", "-") + ".log")
        if state != "done" and own.exists():
            lines = own.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            vanished = bool(left_by_the_dead(lock_folder(study, job)))
            killed = killed_error(job.id, own, lines, progress=progress, vanished=vanished, for_memory=for_memory)
            if killed is not None:
                return killed
            errors = [line for line in lines if "Error[" in line]
            # Ranks that miss another one say so after the one that failed has said why.
            errors = [line for line in errors if "[J030]" not in line] or errors
            return RunError("J020", f"{job.id} failed", where=str(own), got=(errors or lines or ["no output"])[-1])
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return RunError("J020", "the workflow failed", where=str(log), got=(lines or ["no output"])[-1])
