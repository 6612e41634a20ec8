"""Compare: rows become scores, families of comparisons and verdicts."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from tiny_studies import brain_settings, lesion_settings, write_settings

from medgan.settings.study import read_study
from medgan.stages.compare import higher_is_better, summarise
from medgan.stages.set_statistic import is_agreement

SUBJECTS = [f"S{number}" for number in range(12)]
ARMS = [
    {"name": "target-only"},
    {"name": "transfer", "images": "identity", "use": "before"},
    {"name": "translated", "images": "cyclegan", "use": "before"},
    {"name": "beside", "images": "cyclegan", "use": "beside"},
    {"name": "matched", "images": "histogram", "use": "before"},
]


def rows_of(values, *, task="lesion", arm="target-only", tested_on="target", metric="dice", count="all", seed=0):
    """One case for each subject."""
    return [
        {
            "task": task,
            "arm": arm,
            "tested_on": tested_on,
            "target_cases": count,
            "fold": 0,
            "seed": seed,
            "case_id": f"{subject}_{tested_on}" if tested_on == "target" else subject,
            "subject_id": subject,
            "metric": metric,
            "value": float(value),
        }
        for subject, value in zip(SUBJECTS, values, strict=True)
    ]


def lesions(tmp_path, **changes):
    task = lesion_settings()["tasks"][0] | {"arms": ARMS, "tested_on": ["histogram", "cyclegan"]}
    tasks = [task | changes.pop("task", {})]
    return read_study(write_settings(tmp_path, lesion_settings(), **{"tasks": tasks} | changes))


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.01, size=len(SUBJECTS))


@pytest.fixture
def table(noise):
    base = 0.7 + 5 * noise
    parts = [
        rows_of(base),
        rows_of(base + 0.1 * noise, arm="transfer"),
        rows_of(base + 0.1 + noise, arm="translated"),
        rows_of(base + noise[::-1], arm="beside"),
        rows_of(base - 0.1 + noise, arm="matched"),
        rows_of(base - 0.2, tested_on="source"),
        rows_of(base - 0.2 + noise, tested_on="histogram"),
        rows_of(base - 0.05 + noise, tested_on="cyclegan"),
    ]
    return pd.DataFrame([row for part in parts for row in part])


def named(compared):
    return {(one.tested_on, one.comparison.arm, one.comparison.baseline): one for one in compared}


def holm(p_values):
    """Holm 1979, written out."""
    order, adjusted, largest = np.argsort(p_values, kind="stable"), [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


class TestFamily:
    def test_who_is_compared_with_whom(self, tmp_path, table):
        _, compared = summarise(lesions(tmp_path), table)
        assert set(named(compared)) == {
            ("target", "transfer", "target-only"),
            ("target", "translated", "target-only"),
            ("target", "beside", "target-only"),
            ("target", "matched", "target-only"),
            # learned against trivial, where both are used alike
            ("target", "translated", "transfer"),
            ("target", "translated", "matched"),
            ("source", "histogram", "source"),
            ("source", "cyclegan", "source"),
            ("source", "cyclegan", "histogram"),
        }

    def test_holm_goes_over_all_of_a_task_and_metric(self, tmp_path, table):
        _, compared = summarise(lesions(tmp_path), table)
        assert [one.comparison.p_holm for one in compared] == pytest.approx(
            holm([one.comparison.p for one in compared])
        )
        assert max(one.comparison.p_holm / one.comparison.p for one in compared) > 5

    def test_trivial_baselines_are_marked(self, tmp_path, table):
        _, compared = summarise(lesions(tmp_path), table)
        trivial = {key for key, one in named(compared).items() if one.trivial_baseline}
        assert trivial == {key for key in named(compared) if key[2] in {"transfer", "matched", "source", "histogram"}}

    @pytest.mark.parametrize(
        ("primary", "key"),
        [
            ("lesion/translated/dice", ("target", "translated", "target-only")),
            ("lesion/translated/dice/all", ("target", "translated", "target-only")),
            ("lesion/cyclegan/dice", ("source", "cyclegan", "source")),
            (None, None),
        ],
    )
    def test_one_comparison_is_primary(self, tmp_path, table, primary, key):
        _, compared = summarise(lesions(tmp_path, primary=primary), table)
        assert [found for found, one in named(compared).items() if one.primary] == ([key] if key else [])

    def test_the_margin_is_the_primary_metrics_own(self, tmp_path, table):
        both = {"metrics": ["dice", "jaccard"]}
        rows = pd.concat([table, table.assign(metric="jaccard")])
        _, compared = summarise(lesions(tmp_path, task=both), rows)
        assert {one.comparison.margin for one in compared if one.comparison.metric == "dice"} == {0.02}
        assert {one.comparison.margin for one in compared if one.comparison.metric == "jaccard"} == {None}


class TestVerdict:
    def test_of_known_differences(self, tmp_path, table, noise):
        _, compared = summarise(lesions(tmp_path), table)
        found = named(compared)
        better = found["target", "translated", "target-only"].comparison
        assert better.verdict == "better"
        assert better.difference.value == pytest.approx(0.1 + noise.mean())
        assert better.difference.n_subjects == len(SUBJECTS)
        assert better.difference.low < 0.1 + noise.mean() < better.difference.high
        assert found["target", "matched", "target-only"].comparison.verdict == "worse"
        assert found["target", "transfer", "target-only"].comparison.verdict == "equivalent"
        assert found["source", "cyclegan", "source"].comparison.verdict == "better"

    def test_without_enough_subjects_nothing_is_said(self, tmp_path, table):
        few = table[table.subject_id.isin(SUBJECTS[:2])]
        _, compared = summarise(lesions(tmp_path, margin=None), few)
        assert {one.comparison.verdict for one in compared} == {"inconclusive"}

    def test_undefined_values_are_counted_and_not_dropped_in_silence(self, tmp_path, table):
        holed = table.copy()
        holed.loc[(holed.arm == "translated") & (holed.subject_id == "S3"), "value"] = math.nan
        scored, compared = summarise(lesions(tmp_path), holed)
        comparison = named(compared)["target", "translated", "target-only"].comparison
        assert comparison.undefined_arm == 1
        [score] = [one for one in scored if one.arm == "translated"]
        assert score.estimate.n_undefined == 1
        assert score.n_images == len(SUBJECTS)

    def test_seeds_are_averaged_within_a_subject_and_do_not_count_as_people(self, tmp_path, table):
        twice = pd.concat([table, table.assign(seed=1)])
        study = lesions(tmp_path, seeds=[0, 1])
        one, two = (named(summarise(study, rows)[1]) for rows in (table, twice))
        for key, comparison in one.items():
            assert two[key].comparison.difference.low == pytest.approx(comparison.comparison.difference.low)
            assert two[key].comparison.difference.n_subjects == len(SUBJECTS)

    def test_the_same_rows_give_the_same_numbers(self, tmp_path, table):
        assert summarise(lesions(tmp_path), table) == summarise(lesions(tmp_path), table)


def test_an_arm_without_target_cases_stands_in_every_step_of_the_sweep(tmp_path, noise):
    arms = [{"name": "target-only"}, {"name": "source-only", "images": "identity"}]
    study = lesions(
        tmp_path,
        task={"arms": arms, "tested_on": [], "target_cases": [4, "all"]},
        primary="lesion/source-only/dice/4",
    )
    rows = (
        rows_of(0.5 + noise, count="4")
        + rows_of(0.8 + noise)
        + rows_of(0.6 + noise[::-1], arm="source-only", count="4")
    )
    _, compared = summarise(study, pd.DataFrame(rows))
    found = {(one.target_cases, one.comparison.verdict, one.primary) for one in compared}
    assert found == {("4", "better", True), ("all", "worse", False)}


class TestClassifier:
    """A score of a whole test set, not a mean over cases."""

    @pytest.fixture
    def judged(self):
        rng = np.random.default_rng(1)
        reference = rng.integers(0, 3, len(SUBJECTS))
        rows = []
        for tested_on, error in (("target", 0.2), ("source", 0.5), ("cyclegan", 0.3)):
            shares = rng.dirichlet([1, 1, 1], len(SUBJECTS)) * error
            shares[np.arange(len(SUBJECTS)), reference] += 1 - error
            numbers = {
                "reference": reference,
                "predicted": shares.argmax(axis=1),
                "expected_class": shares @ np.arange(3),
                **{f"p{index}": shares[:, index] for index in range(3)},
            }
            for metric, values in numbers.items():
                rows += rows_of(values, task="g", tested_on=tested_on, metric=metric)
        return pd.DataFrame(rows)

    def study(self, tmp_path, label):
        task = {
            "name": "g",
            "task": "classification",
            "label": label,
            "classes": 3,
            "tested_on": ["cyclegan"],
            "metrics": ["kappa_quadratic", "accuracy", "expected_class"],
        }
        return read_study(write_settings(tmp_path, lesion_settings(), tasks=[task], primary=None))

    def test_scores_are_those_of_the_table(self, tmp_path, judged):
        scored, _ = summarise(self.study(tmp_path, "grade"), judged)
        [kappa] = [one for one in scored if one.metric == "kappa_quadratic" and one.tested_on == "target"]
        own = judged[judged.tested_on == "target"].pivot_table(index="case_id", columns="metric", values="value")
        truth = cohen_kappa_score(own.reference, own.predicted, weights="quadratic")
        assert kappa.estimate.value == pytest.approx(truth)
        assert kappa.estimate.n_subjects == len(SUBJECTS)

    def test_a_grade_is_still_true_of_the_translated_image(self, tmp_path, judged):
        _, compared = summarise(self.study(tmp_path, "grade"), judged)
        assert {one.comparison.metric for one in compared} == {"kappa_quadratic", "accuracy", "expected_class"}

    def test_a_quality_label_is_not(self, tmp_path, judged):
        scored, compared = summarise(self.study(tmp_path, "quality"), judged)
        assert {one.comparison.metric for one in compared} == {"expected_class"}
        assert {one.metric for one in scored if one.tested_on == "target"} >= {"kappa_quadratic", "accuracy"}
        assert {one.metric for one in scored if one.tested_on != "target"} == {"expected_class"}


class TestSimilarity:
    @pytest.fixture
    def compared(self, tmp_path, noise):
        plans = [{"name": "histogram", "method": "histogram_matching"}, {"name": "cyclegan", "method": "cyclegan"}]
        study = read_study(
            write_settings(tmp_path, brain_settings(), translators=plans, primary="similarity/cyclegan/mae")
        )
        rows = []
        for arm, gain in (("identity", 0.0), ("histogram", 0.02), ("cyclegan", 0.1)):
            rows += rows_of(0.6 + gain + noise * (1 + gain), task="similarity", arm=arm, metric="ssim")
            rows += rows_of(0.3 - gain - noise * (1 + gain), task="similarity", arm=arm, metric="mae")
        return summarise(study, pd.DataFrame(rows))[1]

    def test_against_identity_and_trivial_translators(self, compared):
        assert set(named(compared)) == {
            ("target", "histogram", "identity"),
            ("target", "cyclegan", "identity"),
            ("target", "cyclegan", "histogram"),
        }
        assert all(one.trivial_baseline for one in compared)

    def test_a_smaller_error_is_better(self, compared):
        [primary] = [one for one in compared if one.primary]
        assert primary.comparison.metric == "mae"
        assert primary.comparison.difference.value < 0
        assert primary.comparison.verdict == "better"


def test_direction_and_kind_of_metrics():
    assert higher_is_better("dice_2")
    assert higher_is_better("expected_class")
    assert not higher_is_better("hd95_1")
    assert is_agreement("kappa")
    assert not is_agreement("expected_class")
    assert not is_agreement("dice")
