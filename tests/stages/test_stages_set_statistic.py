"""Scores of a whole set from rows: FCN scores with intervals over subjects, and what is said where rows lack them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import jaccard_score
from tiny_studies import lesion_settings, write_settings

from medgan.metrics.semantic import class_shares
from medgan.settings.study import read_study
from medgan.stages.compare import estimate_of, summarise
from medgan.stages.set_statistic import is_of_set, set_statistic, share_names

SUBJECTS = [f"S{number}" for number in range(10)]
METRICS = ["fcn_pixel_accuracy", "fcn_class_accuracy", "fcn_class_iou"]


def masks(error, seed=0):
    """A true mask a subject, and one found with a share of errors."""
    rng = np.random.default_rng(seed)
    truth = rng.random((len(SUBJECTS), 12, 12)) < 0.3
    return truth.astype(int), np.where(rng.random(truth.shape) < error, ~truth, truth).astype(int)


def rows_of(error, *, tested_on):
    return [
        {
            "task": "lesion",
            "arm": "target-only",
            "tested_on": tested_on,
            "target_cases": "all",
            "fold": 0,
            "seed": 0,
            "case_id": f"{subject}_{tested_on}" if tested_on == "target" else subject,
            "subject_id": subject,
            "metric": name,
            "value": value,
        }
        for subject, truth, found in zip(SUBJECTS, *masks(error), strict=True)
        for name, value in zip(
            share_names(2), np.concatenate(class_shares(truth, found, classes=(0, 1))).tolist(), strict=True
        )
    ]


@pytest.fixture
def table():
    sets = {"target": 0.05, "source": 0.4, "cyclegan": 0.1}
    return pd.DataFrame([row for name, error in sets.items() for row in rows_of(error, tested_on=name)])


def test_translators_are_ranked_by_what_a_segmenter_of_real_images_makes_of_them(tmp_path, table):
    task = lesion_settings()["tasks"][0] | {"metrics": METRICS, "tested_on": ["cyclegan"]}
    task |= {"arms": [{"name": "target-only"}]}
    study = read_study(
        write_settings(tmp_path, lesion_settings(), tasks=[task], primary="lesion/cyclegan/fcn_class_iou")
    )
    scored, compared = summarise(study, table)
    values = {(one.tested_on, one.metric): one.estimate for one in scored}
    assert set(values) == {(name, metric) for name in ("target", "source", "cyclegan") for metric in METRICS}
    for name, error in (("target", 0.05), ("source", 0.4), ("cyclegan", 0.1)):
        truth, found = masks(error)
        estimate = values[name, "fcn_class_iou"]
        assert estimate.value == pytest.approx(jaccard_score(truth.ravel(), found.ravel(), average="macro"))
        assert estimate.low < estimate.value < estimate.high
        assert estimate.n_subjects == len(SUBJECTS)
    [primary] = [one for one in compared if one.primary]
    assert (primary.comparison.arm, primary.comparison.baseline) == ("cyclegan", "source")
    assert primary.comparison.difference.low > 0


def test_rows_without_the_shares_give_no_score(table):
    bare = table[table.metric != "agreed_share_1"]
    assert set_statistic(bare, "fcn_class_iou", 2) is None
    assert estimate_of(bare, "fcn_class_iou", 2, key="k") is None


def test_they_are_scores_of_a_set():
    assert all(is_of_set(name) for name in [*METRICS, "kappa"])
    assert not is_of_set("dice")
