import math

import numpy as np
import pytest
from sklearn import metrics as sk

from medgan.errors import StatisticsError
from medgan.metrics import agreement

GRADES = (0, 1, 2, 3, 4)


@pytest.fixture(params=range(4))
def graded(request):
    rng = np.random.default_rng(request.param)
    reference = np.concatenate([GRADES, rng.integers(5, size=60)])
    predicted = np.clip(reference + rng.integers(-1, 2, size=65), 0, 4)
    return reference, predicted, rng


def test_scores_equal_scikit_learn(graded):
    reference, predicted, _ = graded
    pairs = {
        agreement.accuracy: sk.accuracy_score(reference, predicted),
        agreement.balanced_accuracy: sk.balanced_accuracy_score(reference, predicted),
        agreement.f1_macro: sk.f1_score(reference, predicted, average="macro", labels=GRADES),
    }
    for function, value in pairs.items():
        assert function(reference, predicted, classes=GRADES) == pytest.approx(value, abs=1e-12), function.__name__
    np.testing.assert_array_equal(
        agreement.confusion_matrix(reference, predicted, classes=GRADES),
        sk.confusion_matrix(reference, predicted, labels=GRADES),
    )


@pytest.mark.parametrize(("weights", "theirs"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")])
def test_kappa_equals_scikit_learn(graded, weights, theirs):
    reference, predicted, _ = graded
    expected = sk.cohen_kappa_score(reference, predicted, labels=GRADES, weights=theirs)
    assert agreement.kappa(reference, predicted, classes=GRADES, weights=weights) == pytest.approx(expected, abs=1e-12)


def test_weighted_kappa_counts_the_steps_of_the_declared_classes_not_of_those_that_occur():
    reference, predicted = [0, 0, 4, 4, 1, 1], [0, 1, 4, 1, 1, 4]
    expected = sk.cohen_kappa_score(reference, predicted, labels=GRADES, weights="linear")
    without_gaps = sk.cohen_kappa_score(reference, predicted, weights="linear")
    found = agreement.kappa(reference, predicted, classes=GRADES, weights="linear")
    assert found == pytest.approx(expected)
    assert abs(found - without_gaps) > 0.01


def test_area_under_the_curve_equals_scikit_learn_with_ties(graded):
    reference, _, rng = graded
    scores = rng.integers(1, 6, size=(65, 5)).astype(float)
    scores /= scores.sum(axis=1, keepdims=True)
    expected = sk.roc_auc_score(reference, scores, multi_class="ovr", average="macro", labels=GRADES)
    assert agreement.auroc_macro(reference, scores, classes=GRADES) == pytest.approx(expected, abs=1e-12)
    ill = reference > 1
    coarse = scores[:, 0].round(1)
    expected = sk.roc_auc_score(ill, coarse)
    assert agreement.auroc_binary(ill, coarse, classes=(False, True)) == pytest.approx(expected, abs=1e-12)


def test_binary_f1_is_that_of_the_second_class():
    reference, predicted = ["good", "bad", "bad", "good"], ["good", "bad", "good", "good"]
    for positive, negative in (("bad", "good"), ("good", "bad")):
        expected = sk.f1_score(reference, predicted, pos_label=positive)
        assert agreement.f1_binary(reference, predicted, classes=(negative, positive)) == pytest.approx(expected)


def test_a_class_that_does_not_occur_makes_its_score_undefined():
    reference, predicted = [0, 0, 1], [0, 1, 1]
    assert math.isnan(agreement.balanced_accuracy(reference, predicted, classes=(0, 1, 2)))
    assert math.isnan(agreement.f1_macro(reference, predicted, classes=(0, 1, 2)))
    assert math.isnan(agreement.auroc_macro(reference, np.eye(3)[predicted], classes=(0, 1, 2)))
    assert agreement.accuracy(reference, predicted, classes=(0, 1, 2)) == pytest.approx(2 / 3)


def test_a_single_class_leaves_nothing_to_agree_on():
    assert math.isnan(agreement.kappa([1, 1], [1, 1], classes=(0, 1)))
    assert math.isnan(agreement.f1_binary([0, 0], [0, 0], classes=(0, 1)))
    assert math.isnan(agreement.auroc_binary([1, 1], [0.2, 0.3], classes=(0, 1)))
    assert agreement.kappa([1, 1], [0, 1], classes=(0, 1)) == 0.0


def test_an_unknown_label_is_refused():
    with pytest.raises(StatisticsError, match=r"N003.*7"):
        agreement.accuracy([0, 7], [0, 1], classes=(0, 1))
    with pytest.raises(StatisticsError, match="N003"):
        agreement.accuracy(np.array([0.5, 1]), np.array([0, 1]), classes=(0, 1))


def test_binary_scores_want_two_classes():
    with pytest.raises(StatisticsError, match="N004"):
        agreement.f1_binary([0, 1], [0, 1], classes=(0, 1, 2))
    with pytest.raises(StatisticsError, match="N004"):
        agreement.auroc_binary([0, 1], [0.0, 1.0], classes=(0, 1, 2))


def test_unknown_weights_are_refused():
    with pytest.raises(StatisticsError, match="N005"):
        agreement.kappa([0, 1], [0, 1], classes=(0, 1), weights="cubic")


@pytest.mark.parametrize("scores", [np.array([0.1, math.nan]), np.array([[0.1, 0.9], [0.2, 0.8]])])
def test_scores_that_do_not_fit_are_refused(scores):
    with pytest.raises(StatisticsError, match="N006"):
        agreement.auroc_binary([0, 1], scores, classes=(0, 1))
