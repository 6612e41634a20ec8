"""The shapes and textures that phantoms are made of."""

import numpy as np
import pytest

from medgan.phantoms._texture import Polyline, fractal, generator, noise, outline, plane, stroke_distance, wander


@pytest.mark.parametrize("shape", [(200, 160), (40, 50, 60)])
def test_noise_has_unit_deviation(shape: tuple[int, ...]):
    value = noise(np.random.default_rng(0), shape, cells=12)
    assert value.shape == shape
    assert value.std() == pytest.approx(1.0, abs=0.15)
    assert fractal(np.random.default_rng(0), shape, cells=6.0).std() == pytest.approx(1.0, abs=0.25)


def test_noise_does_not_depend_on_resolution():
    small, large = (noise(np.random.default_rng(1), (size, size), cells=5) for size in (50, 150))
    np.testing.assert_allclose(small, large[1::3, 1::3], atol=1e-10)


def test_generators_are_apart():
    first = generator(1, "fundus", 2).random(4)
    np.testing.assert_array_equal(first, generator(1, "fundus", 2).random(4))
    for other in (generator(1, "fundus", 3), generator(2, "fundus", 2), generator(1, "lesion", 2)):
        assert (other.random(4) != first).all()


def test_stroke_distance_is_that_of_a_capsule():
    at = plane(64)
    line = Polyline(np.array([[-0.5, 0.0], [0.5, 0.0]]), np.array([0.1, 0.1]))
    distance, radius = stroke_distance([line], at, step=0.005)
    beyond = np.maximum(np.abs(at[0]) - 0.5, 0.0)
    np.testing.assert_allclose(distance, np.hypot(beyond, at[1]) - 0.1, atol=5e-3)
    np.testing.assert_allclose(radius, 0.1)


def test_no_stroke_is_infinitely_far():
    distance, _ = stroke_distance([], plane(16), step=0.1)
    assert np.isinf(distance).all()


def test_wander_has_its_start_length_and_heading():
    path = wander(np.random.default_rng(2), (1.0, 2.0), heading=0.5, length=3.0, turn=0.0)
    np.testing.assert_allclose(path[0], [1.0, 2.0])
    np.testing.assert_allclose(path[-1] - path[0], 3.0 * 23 / 24 * np.array([np.cos(0.5), np.sin(0.5)]))


def test_outline_closes():
    ends = outline(np.random.default_rng(3), np.array([-np.pi, np.pi]), roughness=0.2)
    assert ends[0] == pytest.approx(ends[1])
