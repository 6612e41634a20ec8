"""FCN scores against scikit-learn over the pixels of a whole set, and by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, jaccard_score

from medgan.errors import StatisticsError
from medgan.metrics.semantic import (
    OF_SHARES,
    ClassShares,
    class_shares,
    fcn_class_accuracy,
    fcn_class_iou,
    fcn_pixel_accuracy,
)

CLASSES = (0, 1, 2)


def images(seed, *, shape=(4, 9, 11)):
    """True and found labels, which agree on more than chance."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=shape)
    return truth, np.where(rng.random(shape) < 0.6, truth, rng.integers(3, size=shape))


@pytest.mark.parametrize("seed", range(3))
def test_pixels_against_scikit_learn(seed):
    truth, found = images(seed)
    one, other = truth.ravel(), found.ravel()
    assert fcn_pixel_accuracy(truth, found, classes=CLASSES) == pytest.approx(accuracy_score(one, other))
    assert fcn_class_accuracy(truth, found, classes=CLASSES) == pytest.approx(balanced_accuracy_score(one, other))
    expected = jaccard_score(one, other, average="macro")
    assert fcn_class_iou(truth, found, classes=CLASSES) == pytest.approx(expected)


def test_a_set_of_equal_images_is_the_count_of_its_pixels():
    """As published: all pixels of the set in one table. It is not the mean of the images' scores."""
    truth, found = images(0)
    shares = [class_shares(one, other, classes=CLASSES) for one, other in zip(truth, found, strict=True)]
    pooled = ClassShares(*np.mean(shares, axis=0))
    for name, function in (("fcn_class_accuracy", fcn_class_accuracy), ("fcn_class_iou", fcn_class_iou)):
        whole = function(truth, found, classes=CLASSES)
        assert OF_SHARES[name](pooled) == pytest.approx(whole)
        each = np.mean([function(one, other, classes=CLASSES) for one, other in zip(truth, found, strict=True)])
        assert each != pytest.approx(whole)


def test_a_large_image_counts_no_more_than_a_small_one():
    small = class_shares(np.array([[0, 1]]), np.array([[0, 1]]), classes=(0, 1))
    large = class_shares(np.tile([0, 1], (50, 1)), np.tile([1, 0], (50, 1)), classes=(0, 1))
    assert OF_SHARES["fcn_pixel_accuracy"](ClassShares(*np.mean([small, large], axis=0))) == 0.5


def test_by_hand():
    truth, found = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert fcn_pixel_accuracy(truth, found, classes=(0, 1)) == 3 / 4
    assert fcn_class_accuracy(truth, found, classes=(0, 1)) == pytest.approx((2 / 3 + 1) / 2)
    assert fcn_class_iou(truth, found, classes=(0, 1)) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_always_background_scores_high_by_pixels_alone():
    """The caveat of the page: where lesions are small, per-pixel accuracy says little."""
    truth = np.zeros(100, int)
    truth[:5] = 1
    nothing = np.zeros(100, int)
    assert fcn_pixel_accuracy(truth, nothing, classes=(0, 1)) == 0.95
    assert fcn_class_accuracy(truth, nothing, classes=(0, 1)) == 0.5
    assert fcn_class_iou(truth, nothing, classes=(0, 1)) == pytest.approx(0.475)


def test_a_class_that_does_not_occur_leaves_the_mean_undefined():
    truth = np.array([0, 0, 1])
    assert math.isnan(fcn_class_accuracy(truth, truth, classes=CLASSES))
    assert math.isnan(fcn_class_iou(truth, truth, classes=CLASSES))
    # Found but nowhere true: that is an intersection of 0, and no recall.
    assert fcn_class_iou(truth, np.array([0, 2, 1]), classes=CLASSES) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert fcn_pixel_accuracy(truth, truth, classes=CLASSES) == 1


def test_strange_labels_are_refused():
    with pytest.raises(StatisticsError, match=r"N003.*got 3"):
        fcn_pixel_accuracy(np.array([0, 3]), np.array([0, 1]), classes=CLASSES)
