"""Leaves a plot of the losses where training fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medgan.errors import TrainingError
from medgan.stages.losses import curve_set
from medgan.stages.room import put_whole
from medgan.training.log import read_log
from medgan.training.parallel import rank

FILE = "losses.png"


@contextmanager
def losses_drawn(folder: Path, name: str) -> Iterator[None]:
    """Draw what the log holds of the losses into ``losses.png`` if training ends in an error, and name it there.

    Args:
        folder: The run's folder.
        name: Of the run, for the plot's heading.
    """
    if rank() == 0:
        (folder / FILE).unlink(missing_ok=True)
    try:
        yield
    except TrainingError as error:
        if rank() != 0 or not _draw(folder, name):
            raise
        raise TrainingError(
            error.code,
            error.what,
            where=error.where,
            got=error.got,
            expected=error.expected,
            remedy="; ".join(part for part in (error.remedy, f"{FILE} there shows the losses up to then") if part),
        ) from error


def _draw(folder: Path, name: str) -> bool:
    """Whether there was something to draw and a disk to take it."""
    from medgan.reports.failed_run import draw_losses

    curves = curve_set(name, read_log(folder))
    if curves is None:
        return False
    try:
        put_whole(folder / FILE, lambda beside: draw_losses(curves, beside))
    except OSError:
        return False  # the error that ended the run is the one to tell
    return True
