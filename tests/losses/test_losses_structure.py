"""Structural losses, against scikit-image and by hand."""

import pytest
import torch
from skimage.metrics import structural_similarity

from medgan.errors import GeometryError
from medgan.losses.structure import gradient_difference, ssim_loss, total_variation

GENERATOR = torch.Generator().manual_seed(5)
IMAGE = torch.rand(2, 3, 24, 20, generator=GENERATOR) * 2 - 1
OTHER = (IMAGE + 0.3 * torch.randn(2, 3, 24, 20, generator=GENERATOR)).clamp(-1, 1)


def test_ssim_equals_scikit_image() -> None:
    values = []
    for one, other in zip(IMAGE.flatten(0, 1).numpy(), OTHER.flatten(0, 1).numpy(), strict=True):
        _, image = structural_similarity(
            one, other, data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        values.append(image[5:-5, 5:-5].mean())
    assert 1 - ssim_loss(IMAGE, OTHER).item() == pytest.approx(sum(values) / len(values), abs=1e-4)


def test_ssim_has_its_least_at_the_target() -> None:
    moved = OTHER.clone().requires_grad_()
    first = ssim_loss(moved, IMAGE)
    first.backward()
    assert ssim_loss(moved.detach() - 20 * moved.grad, IMAGE) < first


def test_images_smaller_than_the_window_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"\[G210\].*smaller than SSIM"):
        ssim_loss(IMAGE[..., :10], OTHER[..., :10])


def test_gradient_difference_by_hand() -> None:
    one = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]])
    other = torch.zeros_like(one)
    assert gradient_difference(one, other).item() == (0 + 2) / 2 + (1 + 3) / 2
    assert gradient_difference(one, other, alpha=2).item() == (0 + 4) / 2 + (1 + 9) / 2
    assert gradient_difference(one, -one).item() == 0  # sizes of steps, whichever way they go


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]])
    assert total_variation(image).item() == (0 + 2) / 2 + (1 + 3) / 2
    assert total_variation(torch.full((1, 1, 4, 4), 0.7)).item() == 0


def test_shapes_must_agree() -> None:
    for loss in (ssim_loss, gradient_difference):
        with pytest.raises(GeometryError, match=r"\[G210\]"):
            loss(IMAGE, OTHER[:1])
