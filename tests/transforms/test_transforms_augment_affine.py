import numpy as np

from medgan.transforms.augment import OUTSIDE
from medgan.transforms.augment.affine import Affine, _inverse_map, _sample
from medgan.transforms.augment.flips import Flips
from medgan.transforms.augment.intensity import Intensity


def ramp():
    image = np.linspace(-1, 1, 12 * 20, dtype=np.float32).reshape(1, 12, 20)
    return image, np.arange(240, dtype=np.int16).reshape(12, 20)


def move(angle=0.0, magnification=1.0, shift=(0.0, 0.0)):
    image, label = ramp()
    return _sample(image, label, _inverse_map(angle, magnification, np.array(shift), height=12, width=20))


def test_no_motion_is_the_identity():
    image, label = ramp()
    moved, moved_label = move()
    np.testing.assert_allclose(moved, image, atol=1e-5)
    np.testing.assert_array_equal(moved_label, label)


def test_a_shift_of_whole_pixels_fills_from_outside():
    image, label = ramp()
    moved, moved_label = move(shift=(4 / 20, 3 / 12))
    np.testing.assert_allclose(moved[0, 3:, 4:], image[0, :-3, :-4], atol=1e-4)
    np.testing.assert_array_equal(moved_label[3:, 4:], label[:-3, :-4])
    assert (moved_label[:3] == OUTSIDE).all()
    assert (moved_label[:, :4] == OUTSIDE).all()
    np.testing.assert_allclose(moved[0, :2], -1, atol=1e-4)


def test_half_a_turn_reverses_both_axes():
    image, label = ramp()
    moved, moved_label = move(angle=np.pi)
    np.testing.assert_allclose(moved, image[:, ::-1, ::-1], atol=1e-4)
    np.testing.assert_array_equal(moved_label, label[::-1, ::-1])


def test_an_oblong_image_turns_without_shear():
    yy, xx = np.mgrid[:64, :96]
    disc = ((yy - 32) ** 2 + (xx - 48) ** 2 < 400).astype(np.int16)
    matrix = _inverse_map(0.7, 1.0, np.zeros(2), height=64, width=96)
    _, turned = _sample(disc[None].astype(np.float32), disc, matrix)
    assert ((turned == 1) == (disc == 1)).mean() > 0.99


def test_magnification_enlarges():
    disc = np.zeros((40, 40), dtype=np.int16)
    disc[15:25, 15:25] = 1
    matrix = _inverse_map(0.0, 2.0, np.zeros(2), height=40, width=40)
    _, larger = _sample(disc[None].astype(np.float32), disc, matrix)
    assert (larger == 1).sum() == 400


def test_probability_zero_leaves_the_sample():
    image, label = ramp()
    moved, moved_label = Affine(probability=0)(image, label, np.random.default_rng(0))
    np.testing.assert_array_equal(moved, image)
    np.testing.assert_array_equal(moved_label, label)


def test_flips_only_along_the_axes_asked_for():
    image, label = ramp()
    flipped, flipped_label = Flips(axes=("horizontal",), probability=1)(image, label, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, image[:, :, ::-1])
    np.testing.assert_array_equal(flipped_label, label[:, ::-1])


def test_air_stays_air_without_noise():
    image = np.full((1, 8, 8), -1, dtype=np.float32)
    changed, _ = Intensity(noise=0)(image, None, np.random.default_rng(3))
    np.testing.assert_array_equal(changed, image)
