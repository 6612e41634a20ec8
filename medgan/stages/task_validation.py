"""Scores of a downstream model on held-out training subjects, by which its best checkpoint is chosen."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medgan.metrics.agreement import kappa
from medgan.metrics.overlap import dice
from medgan.samples.prepared import PreparedCase
from medgan.settings.preparation import Preparation
from medgan.settings.study import Task
from medgan.stages.scoring import TrainedModel, class_label, predict_classes, predict_label
from medgan.training.learner import Learner


class TaskScore:
    """Mean Dice of the classes, or kappa with quadratic weights; on the prepared images' grid.

    Args:
        task: The task.
        held: Held-out cases, each with the task's label.
        preparation: How they were prepared.
    """

    def __init__(self, task: Task, held: Sequence[PreparedCase], *, preparation: Preparation) -> None:
        self._task, self._held, self._preparation = task, list(held), preparation
        self._truth = [_classes(case, task) for case in held] if task.label == "mask" else []
        self.subjects = {case.case.subject_id for case in held}
        of = "Dice" if task.label == "mask" else "kappa, quadratic weights"
        self.name = f"{of} on {len(self._held)} cases of {len(self.subjects)} held-out subjects"

    def __call__(self, learner: Learner) -> float:
        """The score; NaN where it is undefined."""
        device = next(learner.parameters()).device
        model = TrainedModel(learner, self._task, self._preparation, device)
        return self._overlap(model) if self._task.label == "mask" else self._agreement(model)

    def _overlap(self, model: TrainedModel) -> float:
        """Mean over subjects of the mean over their cases and classes; what is undefined is left out."""
        values: dict[str, list[float]] = {}
        for case, truth in zip(self._held, self._truth, strict=True):
            found = predict_label(model, case)
            scores = [dice(truth, found, label=index) for index in range(1, self._task.classes)]
            values.setdefault(case.case.subject_id, []).extend(score for score in scores if np.isfinite(score))
        means = [float(np.mean(each)) for each in values.values() if each]
        return float(np.mean(means)) if means else float("nan")

    def _agreement(self, model: TrainedModel) -> float:
        truth = [int(getattr(case.case, self._task.label)) for case in self._held]
        found = [int(predict_classes(model, case).argmax()) for case in self._held]
        return kappa(truth, found, classes=tuple(range(self._task.classes)), weights="quadratic")


def _classes(case: PreparedCase, task: Task) -> npt.NDArray[np.uint8]:
    if case.label is None:
        raise AssertionError("cases without a mask are left out before")
    return class_label(case.label, task.mask_values, where=f"case {case.case.case_id}").astype(np.uint8)
