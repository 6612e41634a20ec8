"""Laws that every augmentation keeps."""

import numpy as np
import pytest

from medgan.discover import load, names
from medgan.transforms.augment import OUTSIDE, build

PACKAGE = "medgan.transforms.augment"


def sample(channels, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (channels, 24, 32)).astype(np.float32)
    label = rng.choice([0, 1, 3], (24, 32)).astype(np.int16)
    label[:2] = OUTSIDE
    return image, label


@pytest.fixture(params=names(PACKAGE))
def augmentation(request):
    return load(PACKAGE, request.param).augmentation()


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_types_and_range_are_kept(augmentation, channels):
    image, label = sample(channels)
    for seed in range(10):
        moved, moved_label = augmentation(image, label, np.random.default_rng(seed))
        assert moved.shape == image.shape
        assert moved.dtype == np.float32
        assert moved_label.shape == label.shape
        assert moved_label.dtype == np.int16
        assert moved.min() >= -1
        assert moved.max() <= 1
        assert np.isfinite(moved).all()
        assert set(np.unique(moved_label)) <= {OUTSIDE, 0, 1, 3}
        assert moved.flags.c_contiguous


def test_it_is_deterministic_given_its_generator(augmentation):
    image, label = sample(3)
    first = augmentation(image, label, np.random.default_rng(5))
    again = augmentation(image, label, np.random.default_rng(5))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_it_does_something_and_leaves_its_input_alone(augmentation):
    image, label = sample(3)
    kept, kept_label = image.copy(), label.copy()
    results = [augmentation(image, label, np.random.default_rng(seed))[0] for seed in range(8)]
    assert any(not np.array_equal(result, image) for result in results)
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(label, kept_label)


def test_the_image_does_not_depend_on_there_being_a_label(augmentation):
    image, label = sample(3)
    with_label, _ = augmentation(image, label, np.random.default_rng(2))
    without, none = augmentation(image, None, np.random.default_rng(2))
    assert none is None
    np.testing.assert_array_equal(with_label, without)


def test_image_and_label_move_together(augmentation):
    yy, xx = np.mgrid[:64, :48]
    disc = ((yy - 40) ** 2 + (xx - 18) ** 2 < 100).astype(np.int16)
    image = np.where(disc, 0.8, -0.8).astype(np.float32)[None]
    for seed in range(5):
        moved, label = augmentation(image, disc, np.random.default_rng(seed))
        inside, outside = moved[0] > 0, label == 1
        assert 2 * (inside & outside).sum() / (inside.sum() + outside.sum()) > 0.95


def test_settings_are_checked(augmentation):
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        type(augmentation)(strength=3)


def test_a_chain_passes_one_generator_through():
    chain = build({"flips": {}, "affine": {}, "colour": {}})
    image, label = sample(3)
    one = chain(image, label, np.random.default_rng(1))
    step_image, step_label, rng = image, label, np.random.default_rng(1)
    for step in chain.steps:
        step_image, step_label = step(step_image, step_label, rng)
    np.testing.assert_array_equal(one[0], step_image)
    np.testing.assert_array_equal(one[1], step_label)
