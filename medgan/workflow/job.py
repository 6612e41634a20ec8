"""One job of a study, run in this process: the same code by hand and under Snakemake."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from medgan import discover
from medgan.errors import RunError
from medgan.settings.changes import in_words
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.hidden import study_files_hidden
from medgan.stages.progress import Progress
from medgan.stages.workspace import Workspace
from medgan.workflow.plan import Job, plan_study

LOCKS = ".locks"
"""Folder of the jobs' locks, outside their own folders, which are put aside whole. Training holds one besides."""

LAUNCHER = "MEDGAN_LAUNCHER"
"""Set by `medgan run` to its host and process; jobs on that host end with it, so that none goes on behind its back."""


def find_job(study: Study, stage: str, arguments: JobArguments) -> Job:
    """The job of a study that a command names.

    Raises:
        RunError: J011, if the study has no such job; the message lists those of the stage.
    """
    jobs = [job for job in plan_study(study) if job.stage == stage]
    for job in jobs:
        if job.arguments == arguments:
            return job
    raise RunError(
        "J011",
        f"the study has no such {stage} job",
        got=" ".join(arguments.flags()) or "no options",
        expected=" | ".join(" ".join(job.arguments.flags()) for job in jobs[:12]) or f"a study with {stage} jobs",
    )


def run_job(study: Study, job: Job, *, report: Callable[[str], None]) -> bool:
    """Run one job unless its result is current.

    Args:
        study: The study.
        job: One of its jobs.
        report: Takes a line of progress.

    Returns:
        Whether anything was done.

    Raises:
        RunError: J001, if another process runs the job; J010, if a job that it needs is not finished, or was made
            with other settings.
    """
    from medgan.training.disk import disk_refusals_told
    from medgan.training.lock import hold_lock, make_writable
    from medgan.training.memory import job_memory_told

    workspace = Workspace(study.output)
    plan = {one.id: one for one in plan_study(study)}
    for need in job.needs:
        if not _is_current(plan[need], plan, workspace):
            raise RunError(
                "J010",
                f"{need} is not finished with the present settings",
                where=str(study.output),
                got=in_words(workspace.changes(need, plan[need].settings)),
                remedy="run `medgan run` on the study, or that command first",
            )
    if workspace.is_current(job.id, digest=job.digest, needs=job.needs):
        report(f"{job.id}: nothing to do")
        return False
    lock = lock_folder(study, job)
    make_writable(lock)
    began = time.monotonic()
    stage = discover.load("medgan.stages", job.stage)
    with hold_lock(lock), disk_refusals_told(workspace.folder(job.id)):
        if workspace.is_current(job.id, digest=job.digest, needs=job.needs):
            return False  # another process was quicker
        folder = workspace.begin(job.id, digest=job.digest, needs=job.needs, asked=dict(job.settings), report=report)
        make_writable(folder)
        progress = Progress(folder / "progress.json", what=job.id, report=report)
        with study_files_hidden(study), job_memory_told(job.id, lambda: progress.told):
            outputs = stage.run(study, job.arguments, folder, progress)
        workspace.finish(job.id, digest=job.digest, needs=job.needs, outputs=outputs, seconds=time.monotonic() - began)
    report(f"{job.id}: done in {time.monotonic() - began:.0f} s")
    return True


def _is_current(job: Job, plan: Mapping[str, Job], workspace: Workspace) -> bool:
    needs = all(_is_current(plan[need], plan, workspace) for need in job.needs)
    return needs and workspace.is_current(job.id, digest=job.digest, needs=job.needs)


def lock_folder(study: Study, job: Job) -> Path:
    """Where the lock of a job lies."""
    return study.output / LOCKS / job.id


def end_with_launcher() -> None:
    """Watch the process that launched this job and end when it is gone."""
    host, _, pid = os.environ.get(LAUNCHER, "").rpartition(":")
    if host == socket.gethostname():
        threading.Thread(target=_watch, args=(int(pid),), daemon=True).start()


def _watch(pid: int) -> None:
    while True:
        if _is_gone(pid):
            os._exit(70)
        time.sleep(0.5)


def _is_gone(pid: int) -> bool:
    """Whether a process has ended, also where its parent has not asked for its exit status yet."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's, or a system without /proc
    return stat.rpartition(")")[2].split()[0] == "Z"
