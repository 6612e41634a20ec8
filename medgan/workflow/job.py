"""One job of a study, run in this process: the same code by hand and under Snakemake."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from medgan import discover
from medgan.errors import RunError
from medgan.settings.changes import in_words
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.hidden import study_files_hidden
from medgan.stages.progress import Progress
from medgan.stages.workspace import Workspace
from medgan.training.processes import has_ended
from medgan.workflow.plan import Job, plan_study

LOCKS = ".locks"
"""Folder of the jobs' locks, outside their own folders, which are put aside whole. Training holds one besides."""

LAUNCHER = "MEDGAN_LAUNCHER"
"""Set by `medgan run` to its host and process; jobs on that host end with it, so that none goes on behind its back."""


TOGETHER = ("train", "downstream")
"""Stages that several processes can do together."""


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

    Where ``torchrun`` started several processes, each calls this: rank 0 looks after locks, marks and messages, and all
    train together.

    Args:
        study: The study.
        job: One of its jobs.
        report: Takes a line of progress.

    Returns:
        Whether anything was done.

    Raises:
        RunError: J001, if another process runs the job; J010, if a job that it needs is not finished, or was made
            with other settings; J030, if another rank does not answer; J031, if several processes were started for a
            job that one does.
    """
    from medgan.training.memory import job_memory_told

    with ExitStack() as stack:
        stack.enter_context(_joined(study, job))
        began, computed = time.monotonic(), _cpu_seconds()
        folder = _led(lambda: _begin(study, job, stack, report))
        if folder is None:
            return False
        leads = _rank() == 0
        progress = Progress(folder / "progress.json" if leads else None, what=job.id, report=report if leads else _mute)
        with study_files_hidden(study), job_memory_told(job.id, lambda: progress.told):
            outputs = discover.load("medgan.stages", job.stage).run(study, job.arguments, folder, progress)
        if leads:
            seconds = time.monotonic() - began
            workspace = Workspace(study.output)
            workspace.finish(
                job.id,
                digest=job.digest,
                needs=job.needs,
                outputs=outputs,
                seconds=seconds,
                cpu_seconds=_cpu_seconds() - computed,
            )
            report(f"{job.id}: done in {seconds:.0f} s")
    return True


def _begin(study: Study, job: Job, stack: ExitStack, report: Callable[[str], None]) -> Path | None:
    """Lock a job and make its folder ready, or None where there is nothing to do; the stack gives the lock back."""
    from medgan.training.disk import disk_refusals_told
    from medgan.training.lock import hold_lock, make_writable

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
        return None
    lock = lock_folder(study, job)
    make_writable(lock)
    stack.enter_context(hold_lock(lock))
    stack.enter_context(disk_refusals_told(workspace.folder(job.id)))
    if workspace.is_current(job.id, digest=job.digest, needs=job.needs):
        return None  # another process was quicker
    folder = workspace.begin(job.id, digest=job.digest, needs=job.needs, asked=dict(job.settings), report=report)
    make_writable(folder)
    return folder


def _joined(study: Study, job: Job) -> AbstractContextManager[None]:
    """Join the processes that were started for a job, where there are several."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        return nullcontext()  # without torch, which most jobs do not need yet
    if job.stage not in TOGETHER:
        raise RunError(
            "J031",
            f"{job.stage} is done by one process",
            got=f"{processes} processes",
            remedy=f"start it without torchrun, which is for {' and '.join(TOGETHER)}",
        )
    from medgan.training.device import pick_device
    from medgan.training.parallel import joined

    return joined(pick_device(study.device), timeout_s=study.ranks_timeout_s)


def _led(act: Callable[[], Path | None]) -> Path | None:
    """Let rank 0 act, where there are several."""
    if "torch" not in sys.modules:
        return act()
    from medgan.training.parallel import led

    return led(act)


def _rank() -> int:
    if "torch" not in sys.modules:
        return 0
    from medgan.training.parallel import rank

    return rank()


def _cpu_seconds() -> float:
    """Of this process and of the children that it has waited for, those that read images among them."""
    if "medgan.imaging.limits" in sys.modules:
        from medgan.imaging.limits import end_idle_readers

        end_idle_readers()
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _mute(line: str) -> None:
    """Say nothing: rank 0 does."""


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
        if has_ended(pid):
            os._exit(70)
        time.sleep(0.5)
