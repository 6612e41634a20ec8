"""Diversity: the mean over pairs of a distance that knows directions of features alone."""

import math
from itertools import combinations

import numpy as np
import pytest

from medgan.errors import StatisticsError
from medgan.metrics.diversity import feature_diversity


def features(count: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"fine": rng.normal(size=(count, 4, 6, 5)), "coarse": rng.normal(size=(count, 8, 3, 2))}


def test_it_equals_twice_one_minus_the_cosine_averaged_over_pixels_and_pairs() -> None:
    layers, expected = features(4), []
    for one, other in combinations(range(4), 2):
        distance = 0.0
        for layer in layers.values():
            a, b = layer[one].reshape(layer.shape[1], -1), layer[other].reshape(layer.shape[1], -1)
            cosine = (a * b).sum(0) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)
            distance += (2 - 2 * cosine).mean()
        expected.append(distance)
    assert feature_diversity(layers) == pytest.approx(np.mean(expected))


def test_equal_translations_have_none_and_opposite_ones_the_most() -> None:
    same = {name: np.repeat(layer, 3, axis=0) for name, layer in features(1).items()}
    assert feature_diversity(same) == 0
    opposite = {name: np.concatenate([layer, -layer]) for name, layer in features(1).items()}
    assert feature_diversity(opposite) == pytest.approx(4 * 2)


def test_neither_order_nor_strength_of_the_features_matters() -> None:
    layers = features(3)
    turned = {name: 7 * layer[::-1] for name, layer in layers.items()}
    assert feature_diversity(turned) == pytest.approx(feature_diversity(layers))


def test_where_nothing_is_seen_nothing_differs() -> None:
    dead = np.zeros((2, 3, 2, 2))
    assert feature_diversity({"dead": dead}) == 0


def test_one_translation_has_no_diversity() -> None:
    assert math.isnan(feature_diversity(features(1)))


@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"flat": np.ones((2, 3))},
        {"one": np.full((2, 1, 2, 2), np.nan)},
        {"one": np.ones((2, 1, 2, 2)), "other": np.ones((3, 1, 2, 2))},
    ],
)
def test_features_that_do_not_fit_are_refused(layers) -> None:
    with pytest.raises(StatisticsError, match="N007"):
        feature_diversity(layers)
