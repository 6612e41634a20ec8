import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from medgan.errors import GeometryError, StatisticsError
from medgan.metrics import overlap

masks = hnp.arrays(np.int64, (4, 5), elements=st.integers(0, 2))


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    return rng.integers(3, size=(2, 6, 7, 8))


@pytest.mark.parametrize("label", [0, 1, 2])
def test_scores_equal_scikit_learn(pair, label):
    truth, found = (array.ravel() == label for array in pair)
    expected = {
        overlap.dice: sk.f1_score(truth, found),
        overlap.jaccard: sk.jaccard_score(truth, found),
        overlap.pixel_accuracy: sk.accuracy_score(truth, found),
        overlap.sensitivity: sk.recall_score(truth, found),
        overlap.specificity: sk.recall_score(~truth, ~found),
        overlap.precision: sk.precision_score(truth, found),
    }
    for function, value in expected.items():
        assert function(*pair, label=label) == pytest.approx(value, abs=1e-12), function.__name__


@given(masks, masks)
def test_dice_and_jaccard_are_tied_by_their_formula(reference, predicted):
    j, d = (f(reference, predicted, label=1) for f in (overlap.jaccard, overlap.dice))
    assert d == pytest.approx(2 * j / (1 + j), nan_ok=True)


@given(masks, masks)
def test_counts_add_up_to_the_image(reference, predicted):
    assert sum(overlap.counts(reference, predicted, label=1)) == reference.size


@pytest.mark.parametrize(
    ("hits", "expected"), [(64, 0.0), (65, 0.65), (66, 0.66)], ids=["below", "at the threshold", "above"]
)
def test_a_jaccard_below_the_threshold_counts_as_zero(hits, expected):
    reference, predicted = np.ones(100, int), np.arange(100) < hits
    assert overlap.thresholded_jaccard(reference, predicted.astype(int), label=1) == expected


def test_an_absent_label_is_undefined_and_a_missed_one_is_zero():
    empty, full = np.zeros((3, 3), int), np.ones((3, 3), int)
    for function in (overlap.dice, overlap.jaccard, overlap.thresholded_jaccard):
        assert math.isnan(function(empty, empty, label=1))
        assert function(full, empty, label=1) == function(empty, full, label=1) == 0.0
    assert math.isnan(overlap.sensitivity(empty, full, label=1))
    assert math.isnan(overlap.precision(full, empty, label=1))
    assert math.isnan(overlap.specificity(full, empty, label=1))


def test_large_masks_of_small_integers_do_not_overflow():
    mask = np.ones((300, 300), np.uint8)
    assert overlap.dice(mask, mask, label=1) == 1.0
    assert overlap.counts(mask, mask, label=1).true_positive == 90_000


def test_broadcastable_shapes_are_still_refused():
    with pytest.raises(GeometryError, match="G003"):
        overlap.dice(np.ones((3, 3), int), np.ones((1, 3), int), label=1)


def test_probabilities_are_refused():
    with pytest.raises(StatisticsError, match=r"N002.*float64"):
        overlap.dice(np.ones((3, 3), int), np.full((3, 3), 0.7), label=1)
