import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from medgan.errors import GeometryError
from medgan.metrics import surface

SPACING = (3.0, 0.7, 1.1)


def blobs(seed: int, shape=(9, 14, 12)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    mask = np.zeros(shape, bool)
    for _ in range(3):
        mask |= (((grid - rng.uniform(0, shape)) / rng.uniform(1.5, 5, len(shape))) ** 2).sum(axis=-1) < 1
    mask[tuple(size // 2 for size in shape)] = True
    return mask.astype(np.uint8)


def slow_distances(a: np.ndarray, b: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of surface voxels, without crop or distance transform."""
    points = [np.argwhere(m & ~binary_erosion(m)) * np.array(spacing) for m in (a.astype(bool), b.astype(bool))]
    table = cdist(*points)
    return table.min(axis=1), table.min(axis=0)


@pytest.mark.parametrize("seed", range(6))
def test_distances_equal_those_of_all_pairs(seed):
    a, b = blobs(seed), blobs(seed + 100)
    there, back = slow_distances(a, b, SPACING)
    both = np.concatenate([there, back])
    assert surface.hd95(a, b, label=1, spacing_mm=SPACING) == pytest.approx(
        max(np.percentile(there, 95), np.percentile(back, 95))
    )
    assert surface.average_surface_distance(a, b, label=1, spacing_mm=SPACING) == pytest.approx(both.mean())
    for tolerance in (0.0, 1.0, 3.05):
        assert surface.surface_dice(a, b, label=1, spacing_mm=SPACING, tolerance_mm=tolerance) == pytest.approx(
            (both <= tolerance).mean()
        )


def test_distances_equal_monai():
    torch = pytest.importorskip("torch")
    monai_metrics = pytest.importorskip("monai.metrics")
    a, b = blobs(1), blobs(2)
    pair = [torch.nn.functional.one_hot(torch.from_numpy(m).long(), 2).movedim(-1, 0)[None].float() for m in (b, a)]
    theirs = monai_metrics.compute_hausdorff_distance(*pair, percentile=95, spacing=SPACING)
    assert surface.hd95(a, b, label=1, spacing_mm=SPACING) == pytest.approx(theirs.item(), rel=1e-5)
    theirs = monai_metrics.compute_average_surface_distance(*pair, symmetric=True, spacing=SPACING)
    assert surface.average_surface_distance(a, b, label=1, spacing_mm=SPACING) == pytest.approx(theirs.item(), rel=1e-5)


def test_a_shifted_cube_is_as_far_away_as_it_was_shifted():
    a = np.zeros((20, 20, 20), int)
    a[5:10, 5:10, 5:10] = 4
    b = np.roll(a, 3, axis=0)
    assert surface.hd95(a, b, label=4, spacing_mm=(2.0, 1.0, 1.0)) == 6.0
    assert surface.hd95_px(a, b, label=4) == 3.0


def test_a_distance_equal_to_the_tolerance_is_tolerated():
    a, b = np.array([[1, 0, 0, 0]]), np.array([[0, 0, 0, 1]])
    assert surface.surface_dice(a, b, label=1, spacing_mm=(1.0, 0.1), tolerance_mm=0.3) == 1.0
    assert surface.surface_dice(a, b, label=1, spacing_mm=(1.0, 0.1), tolerance_mm=0.29) == 0.0


def test_surroundings_and_padding_do_not_matter():
    a, b = blobs(3), blobs(4)
    wide = [np.pad(m, ((4, 2), (3, 9), (1, 7))) for m in (a, b)]
    assert surface.hd95(*wide, label=1, spacing_mm=SPACING) == surface.hd95(a, b, label=1, spacing_mm=SPACING)


def test_photographs_are_measured_in_pixels():
    a, b = blobs(5, (30, 40)), blobs(6, (30, 40))
    assert surface.hd95_px(a, b, label=1) == surface.hd95(a, b, label=1, spacing_mm=(1.0, 1.0))
    assert surface.average_surface_distance_px(a, b, label=1) == surface.average_surface_distance(
        a, b, label=1, spacing_mm=(1.0, 1.0)
    )


def test_a_missing_surface_has_no_distance_but_no_surface_agrees_either():
    empty, some = np.zeros((5, 5), int), np.eye(5, dtype=int)
    for a, b in ((empty, some), (some, empty), (empty, empty)):
        assert math.isnan(surface.hd95(a, b, label=1, spacing_mm=(1, 1)))
        assert math.isnan(surface.average_surface_distance(a, b, label=1, spacing_mm=(1, 1)))
    assert surface.surface_dice(some, empty, label=1, spacing_mm=(1, 1), tolerance_mm=99) == 0.0
    assert math.isnan(surface.surface_dice(empty, empty, label=1, spacing_mm=(1, 1), tolerance_mm=1))


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan), (1.0, math.inf)])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(GeometryError, match="G070"):
        surface.hd95(np.eye(3, dtype=int), np.eye(3, dtype=int), label=1, spacing_mm=spacing)


def test_a_photograph_without_spacing_is_sent_to_the_metric_in_pixels():
    with pytest.raises(GeometryError, match=r"G070.*_px"):
        surface.hd95(np.eye(3, dtype=int), np.eye(3, dtype=int), label=1, spacing_mm=None)


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_is_no_distance_is_refused(tolerance):
    mask = np.eye(3, dtype=int)
    with pytest.raises(GeometryError, match="G071"):
        surface.surface_dice(mask, mask, label=1, spacing_mm=(1, 1), tolerance_mm=tolerance)
