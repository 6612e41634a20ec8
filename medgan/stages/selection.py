"""Holds training subjects out, so that a checkpoint can be chosen by a score on them; never test subjects."""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from medgan.errors import TrainingError
from medgan.samples.prepared import PreparedCase
from medgan.settings.selection import Selection
from medgan.training.checkpoint import find_checkpoint
from medgan.training.weights import export_weights

_log = logging.getLogger(__name__)


def hold_out(
    cases: Sequence[PreparedCase],
    selection: Selection,
    *,
    seed: int,
    stratum: Callable[[PreparedCase], object] = lambda case: case.case.domain,
) -> tuple[list[PreparedCase], list[PreparedCase]]:
    """Part cases of the training subjects by subject.

    The choice goes by the subjects and the seed alone, so that translators of one fold hold out the same ones.

    Args:
        cases: Of training subjects.
        selection: What share is held out.
        seed: Seed of the choice.
        stratum: What every part gets its share of, such as domains.

    Returns:
        Cases to train on and cases to score, in the order given.

    Raises:
        TrainingError: T013, if some stratum would be left without a case on either side.
    """
    kinds: dict[str, set[object]] = defaultdict(set)
    for case in cases:
        kinds[case.case.subject_id].add(stratum(case))
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for subject in sorted(kinds):
        groups[tuple(sorted(map(str, kinds[subject])))].append(subject)
    held: set[str] = set()
    for key in sorted(groups):
        subjects = groups[key]
        Random(seed).shuffle(subjects)  # noqa: S311
        held.update(subjects[: max(1, round(selection.share * len(subjects)))] if len(subjects) > 1 else [])
    parts = [[case for case in cases if (case.case.subject_id in held) == wanted] for wanted in (False, True)]
    return parts[0], parts[1]


def require_both(train: Sequence[PreparedCase], held: Sequence[PreparedCase], *, what: str) -> None:
    """Refuse a part without cases.

    Raises:
        TrainingError: T013.
    """
    if not train or not held:
        raise TrainingError(
            "T013",
            f"too few training subjects to hold some out ({what})",
            got=f"{len(train)} cases to train on and {len(held)} to choose a checkpoint by",
            expected="at least two subjects of that kind in the training part of the fold",
            remedy="take: last, or a study of more subjects",
        )


def export_chosen(folder: Path, selection: Selection, *, scored_by: str) -> Path:
    """Export the weights of the chosen checkpoint; the last one's where no score was ever defined."""
    is_scored = selection.holds_out and find_checkpoint(folder, name="best") is not None
    if selection.holds_out and not is_scored:
        _log.warning("no checkpoint has a score: the last one's weights are exported")
    return export_weights(folder, name="best", scored_by=scored_by) if is_scored else export_weights(folder)
