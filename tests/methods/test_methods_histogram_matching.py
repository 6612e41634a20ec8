"""Histogram matching against scikit-image and its own promises; identity to the bit."""

import numpy as np
import pytest
import torch
from skimage.exposure import match_histograms

from medgan.errors import TrainingError
from medgan.methods.histogram_matching import HistogramMatching, HistogramMatchingRecipe
from medgan.methods.identity import Identity, IdentityRecipe
from medgan.training.translator import SampleShape


def uniform(*shape: int, low: float, high: float, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


def fitted(a: list[torch.Tensor], b: list[torch.Tensor], *, channels: int = 1, neighbours: int = 1):
    learner = HistogramMatching(HistogramMatchingRecipe(), shape=SampleShape(channels, neighbours, 32))
    learner.fit(a, b)
    return learner


def test_equals_scikit_image_for_one_image_of_each_domain() -> None:
    source, target = uniform(3, 48, 48, low=-0.9, high=0.1), uniform(3, 48, 48, low=-1, high=1, seed=1) ** 3
    ours = fitted([source], [target], channels=3).translate(source[None], to="b")[0]
    theirs = match_histograms(source.numpy(), target.numpy(), channel_axis=0)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=0.02)


def test_the_way_back_undoes_the_way_there() -> None:
    source, target = uniform(1, 40, 40, low=-0.9, high=0.9), uniform(1, 40, 40, low=-0.3, high=0.2, seed=1)
    learner = fitted([source], [target])
    there = learner.translate(source[None], to="b")
    assert there.min().item() == pytest.approx(target.min().item(), abs=1e-5)
    assert there.max().item() == pytest.approx(target.max().item(), abs=1e-5)
    torch.testing.assert_close(learner.translate(there, to="a")[0], source, atol=2e-3, rtol=0)


def test_order_is_kept_and_ties_stay_tied() -> None:
    image = (uniform(1, 32, 32, low=-0.9, high=0.9) * 8).round() / 8
    out = fitted([image], [uniform(1, 32, 32, low=-0.5, high=0.9, seed=3)]).translate(image[None], to="b")
    values = [out[0][image == level] for level in image.unique()]
    assert all((level == level[0]).all() for level in values)
    assert (torch.stack([level[0] for level in values]).diff() >= 0).all()


def test_background_stays_and_counts_on_neither_side() -> None:
    source, target = uniform(1, 32, 32, low=-0.5, high=0.5), uniform(1, 32, 32, low=0.2, high=0.8, seed=1)
    bare = fitted([source], [target]).translate(source[None], to="b")
    framed_source, framed_target = (torch.nn.functional.pad(x, (9, 9, 9, 9), value=-1.0) for x in (source, target))
    framed = fitted([framed_source], [framed_target]).translate(framed_source[None], to="b")
    assert torch.equal(framed[..., 9:-9, 9:-9], bare)
    framed[..., 9:-9, 9:-9] = -1
    assert (framed == -1).all()


def test_black_in_one_channel_alone_is_no_background() -> None:
    source = uniform(3, 32, 32, low=-0.5, high=0.5)
    source[0] = -1
    target = uniform(3, 32, 32, low=0.0, high=0.5, seed=1)
    out = fitted([source], [target], channels=3).translate(source[None], to="b")
    assert out[0, 0].eq(out[0, 0, 0, 0]).all()
    assert out[0, 0, 0, 0].item() == pytest.approx(target[0].median().item(), abs=0.01)


def test_a_domain_is_the_mean_of_its_images_weighted_by_their_pixels() -> None:
    bright, dark = torch.full((1, 30, 10), 0.6), torch.full((1, 10, 10), -0.2)
    learner = fitted([bright], [bright, dark])
    assert learner.get_buffer("quantiles_b").numpy() == pytest.approx(0.75 * 0.6 + 0.25 * -0.2)
    assert learner.get_buffer("quantiles_b").dtype == torch.float32


def test_only_the_middle_slice_of_a_stack_counts() -> None:
    middle = uniform(1, 16, 16, low=-0.5, high=0.5)
    stack = torch.cat([torch.full_like(middle, 0.9), middle, torch.full_like(middle, -0.9)])
    stacked, plain = fitted([stack], [stack], neighbours=3), fitted([middle], [middle])
    assert torch.equal(stacked.get_buffer("quantiles_b"), plain.get_buffer("quantiles_b"))
    assert stacked.translate(stack[None], to="b").shape == (1, 1, 16, 16)


def test_an_image_of_background_alone_stays_so() -> None:
    empty, image = torch.full((1, 1, 8, 8), -1.0), uniform(1, 8, 8, low=-0.5, high=0.5)
    assert torch.equal(fitted([image], [empty[0], image]).translate(empty, to="b"), empty)


def test_unfitted_is_refused() -> None:
    learner = HistogramMatching(HistogramMatchingRecipe(), shape=SampleShape(1, 1, 32))
    with pytest.raises(TrainingError, match="T210"):
        learner.translate(torch.zeros(1, 1, 8, 8), to="b")


def test_identity_changes_no_bit() -> None:
    image = uniform(2, 9, 7, 5, low=-1, high=1)
    learner = Identity(IdentityRecipe(), shape=SampleShape(3, 3, 32))
    assert torch.equal(learner.translate(image, to="b"), image[:, 3:6])
    assert torch.equal(learner.translate(image, to="a"), image[:, 3:6])
