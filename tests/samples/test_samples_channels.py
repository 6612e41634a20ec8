"""Grey and RGB domains brought together: which rule, and where it ends."""

import numpy as np
import pytest

from medgan.errors import TrainingError
from medgan.samples.channels import in_equal_channels, merged, repeated
from medgan.samples.paired import PairedSamples


def test_a_grey_mask_is_shown_in_three_equal_channels(make_case) -> None:
    generator = np.random.default_rng(0)
    mask = make_case(generator.uniform(-1, 1, (1, 8, 8)), pair_id="1")
    image = make_case(generator.uniform(-1, 1, (3, 8, 8)), pair_id="1", domain="b")
    a, b = in_equal_channels([mask], [image])
    assert a[0].shape == (3, 8, 8) == a[0].pixels.shape
    assert all(np.array_equal(channel, mask.pixels[0]) for channel in a[0].pixels)
    assert b == [image]
    batch = PairedSamples(a, b, neighbours=1, size_px=8, seed=0).draw(0, 1)
    assert batch["a"].shape == batch["b"].shape == (1, 3, 8, 8)
    assert (batch["a"][0, 0] == batch["a"][0, 2]).all()
    back, grey = in_equal_channels([image], [mask])
    assert (back[0].shape, grey[0].shape) == ((3, 8, 8), (3, 8, 8))


def test_equal_domains_stay_as_they_are(make_case) -> None:
    one, other = make_case(np.zeros((1, 8, 8))), make_case(np.zeros((1, 8, 8)))
    assert in_equal_channels([one], [other]) == ([one], [other])


def test_a_domain_that_mixes_grey_and_colour_is_refused(make_case) -> None:
    grey, colour = make_case(np.zeros((1, 8, 8))), make_case(np.zeros((3, 8, 8)))
    with pytest.raises(TrainingError, match=r"T010.*mixes grey and colour"):
        in_equal_channels([grey, colour], [colour])


def test_volumes_are_not_repeated(make_case) -> None:
    volume, colour = make_case(np.zeros((1, 4, 8, 8))), make_case(np.zeros((3, 8, 8)))
    with pytest.raises(TrainingError, match=r"T010.*1 and 3 channels"):
        in_equal_channels([volume], [colour])


def test_repeated_and_merged_undo_each_other() -> None:
    grey = np.random.default_rng(0).uniform(-1, 1, (1, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(merged(repeated(grey, channels=3), channels=1), grey, atol=1e-6)
    assert merged(grey, channels=1) is grey
