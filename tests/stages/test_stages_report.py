"""Report: the rows of the study as it is now, its tables and its page."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from tiny_studies import finished_brains, finished_lesions

from medgan.settings.study import read_study
from medgan.stages.report import row_files

__all__ = ["finished_brains", "finished_lesions"]


@pytest.fixture(params=["lesions", "brains"])
def study(request, finished_lesions, finished_brains):
    return read_study({"lesions": finished_lesions, "brains": finished_brains}[request.param])


def test_all_rows_are_joined(study):
    joined = pd.read_csv(study.output / "report" / "rows.csv")
    parts = [pd.read_csv(path) for path in row_files(study)]
    assert len(joined) == sum(map(len, parts)) > 0
    assert np.nansum(joined.value) == pytest.approx(sum(np.nansum(part.value) for part in parts))


def test_rows_of_a_job_that_the_study_has_no_more_are_left_out(finished_lesions):
    study = read_study(finished_lesions)
    task = study.task("lesion")
    fewer = study.model_copy(update={"tasks": (task.model_copy(update={"arms": task.arms[:1]}),)})
    gone = set(row_files(study)) - set(row_files(fewer))
    assert {path.parent.name for path in gone} == {"transfer", "translated"}
    assert all(path.is_file() for path in gone)


def test_tables_hold_every_comparison_once_and_one_is_primary(study):
    comparisons = pd.read_csv(study.output / "report" / "comparisons.csv")
    assert comparisons.primary.sum() == 1
    assert not comparisons.duplicated(["task", "metric", "arm", "baseline"]).any()
    assert set(comparisons.verdict) <= {"better", "worse", "equivalent", "inconclusive"}
    assert (comparisons.p_holm >= comparisons.p - 1e-12).all()


def test_scores_are_the_means_of_the_rows(finished_lesions):
    out = read_study(finished_lesions).output / "report"
    scores, rows = pd.read_csv(out / "scores.csv"), pd.read_csv(out / "rows.csv")
    own = rows[(rows.arm == "transfer") & (rows.metric == "dice")].groupby("subject_id").value.mean()
    [score] = scores[(scores.arm == "transfer") & (scores.metric == "dice")].to_dict("records")
    assert score["value"] == pytest.approx(own.mean())
    assert score["n_subjects"] == len(own)


def test_the_page_stands_alone(study):
    page = (study.output / "report" / "report.html").read_text(encoding="utf-8")
    assert study.question in page
    assert "<script src=" not in page
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    outputs = json.loads((study.output / "report" / "done.json").read_text())["outputs"]
    assert set(outputs) == {"rows.csv", "scores.csv", "comparisons.csv", "report.html"}
