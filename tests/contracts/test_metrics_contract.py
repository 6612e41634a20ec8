"""Laws that every metric of the catalogue keeps."""

import inspect
import math
from functools import partial

import numpy as np
import pytest

from medgan.errors import DiscoverError, GeometryError, StatisticsError
from medgan.metrics.catalogue import CATALOGUE, Metric, metric, metrics_of

CLASSES = (0, 1)
KNOWN = {
    "label": 1,
    "spacing_mm": (2.0, 1.0, 0.5),
    "tolerance_mm": 1.0,
    "data_range": 255.0,
    "mask": None,
    "channel_axis": None,
    "classes": CLASSES,
}
every_metric = pytest.mark.parametrize("found", CATALOGUE.values(), ids=CATALOGUE)


def sample(found: Metric, rng: np.random.Generator):
    """A reference, something else of the same sort, and the perfect prediction of the reference."""
    if found.kind in {"segmentation", "semantic"}:
        reference, other = (rng.random((2, 5, 7, 6)) < 0.4).astype(np.uint8)
        return reference, other, reference.copy()
    if found.kind == "paired-image":
        reference, other = rng.uniform(0, 255, (2, 16, 15))
        return reference, other, reference.copy()
    reference = np.concatenate([[0, 1], rng.integers(2, size=20)])
    if not found.takes_scores:
        return reference, np.concatenate([[0, 1], rng.integers(2, size=20)]), reference.copy()
    shape = (22,) if found.name == "auroc_binary" else (22, 2)
    perfect = reference if found.name == "auroc_binary" else np.eye(2)[reference]
    return reference, rng.random(shape), perfect.astype(float)


@every_metric
def test_a_perfect_prediction_gets_the_best_value_and_another_a_worse_one(found):
    reference, other, perfect = sample(found, np.random.default_rng(0))
    assert found.score(reference, perfect, known=KNOWN) == pytest.approx(found.best, abs=1e-12)
    worse = found.score(reference, other, known=KNOWN)
    assert worse < found.best if found.higher_is_better else worse > found.best


@every_metric
@pytest.mark.parametrize("seed", range(5))
def test_scores_are_plain_floats_within_the_range(found, seed):
    reference, other, _ = sample(found, np.random.default_rng(seed))
    score = found.score(reference, other, known=KNOWN)
    assert type(score) is float
    assert found.range[0] <= score <= found.range[1]


@pytest.mark.parametrize("found", [m for m in CATALOGUE.values() if not m.takes_scores], ids=lambda m: m.name)
def test_reference_and_prediction_change_places_exactly_where_it_is_said(found):
    pairs = [sample(found, np.random.default_rng(seed))[:2] for seed in range(5)]
    there = [found.score(a, b, known=KNOWN) for a, b in pairs]
    back = [found.score(b, a, known=KNOWN) for a, b in pairs]
    assert (there == pytest.approx(back, abs=1e-12)) == found.symmetric


@every_metric
def test_the_inputs_are_left_as_they_were(found):
    reference, other, _ = sample(found, np.random.default_rng(0))
    before = reference.copy(), other.copy()
    found.score(reference, other, known=KNOWN)
    np.testing.assert_array_equal(reference, before[0])
    np.testing.assert_array_equal(other, before[1])


@every_metric
def test_what_is_undefined_is_nan(found):
    if found.kind in {"segmentation", "semantic"}:
        pairs = [(a, a) for a in (np.zeros((3, 3, 3), int), np.ones((3, 3, 3), int), np.zeros((0, 3, 3), int))]
        assert math.isnan(found.score(*pairs[2], known=KNOWN))
        undefined = any(math.isnan(found.score(*pair, known=KNOWN)) for pair in pairs[:2])
        assert undefined or "pixel_accuracy" in found.name
    elif found.kind == "paired-image":
        image = np.ones((16, 16))
        assert math.isnan(found.score(image, image, known=KNOWN | {"mask": np.zeros((16, 16), bool)}))
    else:
        nothing = np.empty((0, 2)) if found.name == "auroc_macro" else np.empty(0)
        assert math.isnan(found.score(np.empty(0, int), nothing, known=KNOWN))


@every_metric
def test_other_shapes_are_refused(found):
    reference, other, _ = sample(found, np.random.default_rng(0))
    if found.kind == "classification":
        with pytest.raises(StatisticsError, match="N001"):
            found.score(reference, other[:-1], known=KNOWN)
    else:
        with pytest.raises(GeometryError, match="G003"):
            found.score(reference, other[..., :-1], known=KNOWN)


@every_metric
def test_the_docstring_says_what_a_reader_must_know(found):
    function = found.function.func if isinstance(found.function, partial) else found.function
    documentation = inspect.getdoc(function) or ""
    for block in ("Args:", "Returns:", "Raises:", "Source:", "Example:", "NaN"):
        assert block in documentation, f"{found.name} lacks {block}"


@every_metric
def test_what_is_needed_is_refused_when_unknown(found):
    reference, other, _ = sample(found, np.random.default_rng(0))
    if not found.needs:
        assert math.isfinite(found.score(reference, other, known={}))
        return
    with pytest.raises(StatisticsError, match=f"N017.*{found.needs[0]}"):
        found.score(reference, other, known={})


def test_a_metric_is_found_by_name_and_near_names_are_offered():
    assert metric("dice").name == "dice"
    with pytest.raises(DiscoverError, match=r"D002.*did you mean 'kappa_quadratic'"):
        metric("kapa_quadratic")
    with pytest.raises(DiscoverError, match=r"D002.*choose one of these"):
        metric("qqqqqq")


def test_each_metric_belongs_to_one_kind_and_is_named_as_it_is_found():
    kinds = ("segmentation", "semantic", "paired-image", "classification")
    listed = [found.name for kind in kinds for found in metrics_of(kind)]
    assert sorted(listed) == sorted(CATALOGUE)
    assert all(name == found.name for name, found in CATALOGUE.items())
