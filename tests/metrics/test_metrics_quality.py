import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medgan.errors import GeometryError, IntensityError
from medgan.metrics import quality

SIZE = 96
GRID = np.hypot(*np.meshgrid(np.arange(SIZE) - 47.5, np.arange(SIZE) - 47.5))
FIELD = GRID < 42
MEASURES = (quality.sharpness, quality.contrast, quality.evenness)


def photograph(seed: int = 0) -> np.ndarray:
    """A textured disc on black, like a fundus photograph."""
    texture = np.random.default_rng(seed).normal(120, 30, (SIZE, SIZE))
    return np.where(FIELD, np.clip(gaussian_filter(texture, 1) * 1.0, 1, 255), 0)


def test_blur_lowers_sharpness_step_by_step():
    image = photograph()
    scores = [
        quality.sharpness(gaussian_filter(image, sigma), mask=GRID < 36, data_range=255) for sigma in (0, 0.5, 1, 2)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 5 * scores[-1]


def test_a_flat_field_is_not_sharp_despite_the_edge_of_the_field():
    flat = np.where(FIELD, 100, 0)
    assert quality.sharpness(flat, mask=FIELD, data_range=255) == pytest.approx(0, abs=1e-12)


def test_what_lies_outside_the_field_does_not_count():
    image = photograph()
    noisy = np.where(FIELD, image, 255 * np.random.default_rng(1).random(image.shape))
    undefined = np.where(FIELD, image, math.nan)
    for measure in MEASURES:
        inside = measure(image, mask=FIELD, data_range=255)
        assert measure(noisy, mask=FIELD, data_range=255) == inside
        assert measure(undefined, mask=FIELD, data_range=255) == inside


def test_measures_do_not_depend_on_the_number_of_bits():
    image = photograph()
    for measure in MEASURES:
        assert measure(image * 257, mask=FIELD, data_range=65535) == pytest.approx(
            measure(image, mask=FIELD, data_range=255)
        )


def test_contrast_is_the_spread_in_the_field():
    image = photograph()
    assert quality.contrast(image, mask=FIELD, data_range=255) == pytest.approx(image[FIELD].std() / 255)
    assert quality.contrast(image / 2, mask=FIELD, data_range=255) == pytest.approx(image[FIELD].std() / 510)


def test_a_shadow_makes_the_illumination_uneven():
    image = photograph()
    slope = np.linspace(0.4, 1.0, SIZE)
    even = quality.evenness(image, mask=FIELD, data_range=255)
    shaded = quality.evenness(image * slope, mask=FIELD, data_range=255)
    assert even > 0.9
    # the 5th and 95th percentiles of a slope across a disc lie a little inside its ends
    assert 0.4 < shaded < 0.65
    assert quality.evenness(np.where(FIELD, 50, 0), mask=FIELD, data_range=255) == pytest.approx(1.0)


def test_evenness_is_the_same_for_a_larger_photograph():
    image = photograph() * np.linspace(0.4, 1.0, SIZE)
    small = quality.evenness(image, mask=FIELD, data_range=255)
    large = quality.evenness(
        np.kron(image, np.ones((4, 4))), mask=np.kron(FIELD, np.ones((4, 4))).astype(bool), data_range=255
    )
    assert large == pytest.approx(small, abs=0.02)


def test_grey_and_coloured_photographs_have_a_luminance():
    grey = photograph()
    np.testing.assert_array_equal(quality.luminance(grey[None]), grey)
    np.testing.assert_allclose(quality.luminance(np.stack([grey] * 3)), grey, atol=1e-9)
    green = np.zeros((3, 2, 2), np.uint8)
    green[1] = 255
    np.testing.assert_allclose(quality.luminance(green), 0.587 * 255)


def test_an_empty_field_is_undefined():
    for measure in MEASURES:
        assert math.isnan(measure(photograph(), mask=np.zeros((SIZE, SIZE), bool), data_range=255))
    assert math.isnan(quality.evenness(np.zeros((SIZE, SIZE)), mask=FIELD, data_range=255))


def test_what_does_not_fit_is_refused():
    image = photograph()
    for measure in MEASURES:
        with pytest.raises(GeometryError, match="G072"):
            measure(image, mask=FIELD[:-1], data_range=255)
        with pytest.raises(GeometryError, match="G072"):
            measure(image, mask=FIELD.astype(int), data_range=255)
        with pytest.raises(IntensityError, match="I071"):
            measure(image, mask=FIELD, data_range=0)
        with pytest.raises(IntensityError, match="I070"):
            measure(np.where(GRID < 3, math.nan, image), mask=FIELD, data_range=255)
    with pytest.raises(IntensityError, match="I072"):
        quality.evenness(image - 500, mask=FIELD, data_range=255)
    with pytest.raises(GeometryError, match="G073"):
        quality.luminance(image)
