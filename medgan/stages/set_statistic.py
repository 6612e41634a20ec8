"""Scores of a whole test set as functions of its rows, so that subjects can be drawn with all their cases."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from medgan.metrics.bootstrap import Statistic
from medgan.metrics.catalogue import CATALOGUE, metric
from medgan.metrics.semantic import OF_SHARES, ClassShares

_CASE = ["case_id", "subject_id", "seed"]


def is_of_set(name: str) -> bool:
    """Whether a metric is a score of a whole test set, such as kappa, and not a mean over cases."""
    return is_agreement(name) or name in OF_SHARES


def is_agreement(name: str) -> bool:
    """Whether a metric says how well grades agree, such as kappa."""
    return name in CATALOGUE and CATALOGUE[name].kind == "classification"


def set_statistic(table: pd.DataFrame, name: str, classes: int) -> tuple[Statistic, list[str]] | None:
    """A score as a function of row numbers, and the subject of each row; a row is one case under one seed.

    Args:
        table: Rows of one arm on one set of images.
        name: The metric.
        classes: How many there are, the background's among them.

    Returns:
        None where the rows do not hold what the metric is made of.
    """
    wide = table.pivot_table(index=_CASE, columns="metric", values="value", sort=True)
    needed = share_names(classes) if name in OF_SHARES else ["reference", "predicted"]
    if not set(needed) <= set(wide.columns):
        return None
    statistic = _of_pixels(wide, name, classes) if name in OF_SHARES else _of_grades(wide, name, classes)
    return statistic, [str(subject) for _, subject, _ in wide.index]


def share_names(classes: int) -> list[str]:
    """Names of a case's rows with the shares of its pixels: true, found and agreed, class by class."""
    return [f"{kind}_share_{index}" for kind in ClassShares._fields for index in range(classes)]


def _of_pixels(wide: pd.DataFrame, name: str, classes: int) -> Statistic:
    shares = wide[share_names(classes)].to_numpy(dtype=np.float64).reshape(len(wide), len(ClassShares._fields), classes)
    score = OF_SHARES[name]

    def statistic(rows: npt.NDArray[np.intp]) -> float:
        return score(ClassShares(*shares[rows].mean(axis=0)))

    return statistic


def _of_grades(wide: pd.DataFrame, name: str, classes: int) -> Statistic:
    reference, predicted = (wide[column].to_numpy().astype(np.int64) for column in ("reference", "predicted"))
    probabilities = wide[[f"p{index}" for index in range(classes)]].to_numpy(dtype=np.float64)
    found, known = metric(name), {"classes": tuple(range(classes))}
    scores = probabilities[:, 1] if name == "auroc_binary" else probabilities
    judged = scores if found.takes_scores else predicted

    def statistic(rows: npt.NDArray[np.intp]) -> float:
        return found.score(reference[rows], judged[rows], known=known)

    return statistic
