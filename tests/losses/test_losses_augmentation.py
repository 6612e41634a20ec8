"""Differentiable augmentation against the same changes made by hand, and its gradients, once and twice."""

import pytest
import torch

from medgan.errors import GeometryError
from medgan.losses.augmentation import augmented

KINDS = ("colour", "translation", "cutout")
IMAGES = torch.rand(4, 3, 16, 24, generator=torch.Generator().manual_seed(0)) + 1.0


def changed(kind: str, images: torch.Tensor = IMAGES, *, channels: int = 3, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return augmented(images, kinds=(kind,), channels=channels)


def test_nothing_is_changed_or_drawn_without_kinds() -> None:
    state = torch.get_rng_state()
    assert augmented(IMAGES, kinds=(), channels=3) is IMAGES
    assert torch.equal(torch.get_rng_state(), state)


def test_colour_is_brightness_then_saturation_then_contrast() -> None:
    found = changed("colour")
    torch.manual_seed(0)
    brightness, saturation, contrast = torch.rand(3, 4)
    for index, image in enumerate(IMAGES):
        image = image + brightness[index] - 0.5
        grey = image.mean(0)
        image = grey + 2 * saturation[index] * (image - grey)
        mean = image.mean()
        expected = mean + (0.5 + contrast[index]) * (image - mean)
        torch.testing.assert_close(found[index], expected)


def test_a_translation_moves_whole_pixels_by_at_most_an_eighth() -> None:
    seen = set()
    for seed in range(60):
        torch.manual_seed(seed)
        moved = changed("translation", IMAGES, seed=seed)
        for image, found in zip(IMAGES, moved, strict=True):
            fits = [
                (rows, columns)
                for rows in range(-2, 3)
                for columns in range(-3, 4)
                if torch.equal(found, by_hand(image, rows, columns))
            ]
            assert len(fits) == 1
            seen |= set(fits)
    assert len(seen) == 5 * 7, "all shifts come up"


def by_hand(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    height, width = image.shape[1:]
    out = torch.zeros(len(image), 3 * height, 3 * width)
    out[:, height : 2 * height, width : 2 * width] = image
    return out[:, height + rows : 2 * height + rows, width + columns : 2 * width + columns]


def test_cutout_leaves_all_but_a_square_of_half_a_side() -> None:
    whole = 0
    for seed in range(40):
        for image, found in zip(IMAGES, changed("cutout", seed=seed), strict=True):
            gone = (found == 0).all(dim=0)
            assert torch.equal(found[:, ~gone], image[:, ~gone])
            rows, columns = gone.any(1).nonzero().flatten(), gone.any(0).nonzero().flatten()
            assert gone.sum() == len(rows) * len(columns), "a rectangle"
            assert len(rows) <= 8
            assert len(columns) <= 12
            whole += len(rows) == 8 and len(columns) == 12
    assert whole > 20, "mostly it lies within the image"


def test_pictures_side_by_side_are_changed_alike() -> None:
    """A conditional discriminator would else be shown an input that does not fit its output."""
    pair = torch.cat([IMAGES, IMAGES], dim=1)
    for kind in KINDS:
        one, other = changed(kind, pair).split(3, dim=1)
        assert torch.equal(one, other)
        assert not torch.equal(one, IMAGES)


def test_grey_slices_keep_their_own_means_apart() -> None:
    """With one channel a picture there is no saturation: contrast works on each slice."""
    found = changed("colour", IMAGES, channels=1)
    torch.manual_seed(0)
    brightness, _, _ = torch.rand(3, 4)
    expected = IMAGES.mean(dim=(2, 3)) + brightness[:, None] - 0.5
    torch.testing.assert_close(found.mean(dim=(2, 3)), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_go_through(kind: str) -> None:
    images = IMAGES.double()[:1, :, :8, :8].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: changed(kind, x), images)
    assert torch.autograd.gradgradcheck(lambda x: changed(kind, x).square(), images)


def test_channels_that_are_no_pictures_are_refused() -> None:
    with pytest.raises(GeometryError, match="no whole number of pictures"):
        augmented(IMAGES, kinds=("colour",), channels=2)
