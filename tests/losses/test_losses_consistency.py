"""Structure keepers: values by hand, against scipy's derivatives, and what they must not care about."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from medgan.errors import GeometryError
from medgan.losses.consistency import edge_inconsistency, mask_inconsistency

IMAGE = torch.rand(2, 1, 20, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
OTHER = torch.rand(2, 1, 20, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_edges_against_scipy() -> None:
    def orientations(image: torch.Tensor) -> np.ndarray:
        grey = image[:, 0].double().numpy()
        right, down = (np.stack([ndimage.sobel(one, axis, mode="nearest") / 8 for one in grey]) for axis in (1, 0))
        normed = np.stack([right, down]) / np.sqrt(right**2 + down**2 + 0.1**2)
        return np.einsum("inhw,jnhw->nhwij", normed, normed)

    expected = ((orientations(IMAGE) - orientations(OTHER)) ** 2).sum(axis=(-2, -1)).mean() / 2
    assert edge_inconsistency(IMAGE, OTHER, noise=0.1).item() == pytest.approx(expected, rel=1e-4)


def test_edges_do_not_care_about_contrast_or_its_sign() -> None:
    """What is bright in T1 may be dark in FLAIR."""
    assert edge_inconsistency(IMAGE, IMAGE, noise=0.05) == 0
    assert edge_inconsistency(-IMAGE, IMAGE, noise=0.05) == 0
    assert edge_inconsistency(0.5 * IMAGE + 0.2, IMAGE, noise=1e-4) < 1e-4
    assert edge_inconsistency(OTHER, IMAGE, noise=0.05) > 0.3


def test_a_lost_edge_costs_as_much_as_an_invented_one() -> None:
    flat = torch.zeros(1, 1, 16, 16)
    step = torch.where(torch.arange(16) < 8, -1.0, 1.0).expand(1, 1, 16, 16)
    # Beside the step two columns have a gradient of 1; there n is (1, 0) and half the squared distance 1 / 2.
    expected = 2 / 16 / 2 / (1 + 0.05**2) ** 2
    for pair in ((flat, step), (step, flat)):
        assert edge_inconsistency(*pair, noise=0.05).item() == pytest.approx(expected, rel=1e-5)


def test_edges_pull_a_translation_back_into_place() -> None:
    """Descending the loss from a shifted image brings the edge back."""
    step = torch.where(torch.arange(16) < 8, -1.0, 1.0).expand(1, 1, 16, 16)
    moved = (0.3 * torch.where(torch.arange(16) < 10, -1.0, 1.0)).expand(1, 1, 16, 16).clone().requires_grad_()
    start = edge_inconsistency(moved, step, noise=0.05)
    for _ in range(200):
        (slope,) = torch.autograd.grad(edge_inconsistency(moved, step, noise=0.05), moved)
        moved = (moved - 2 * slope).detach().requires_grad_()
    assert edge_inconsistency(moved, step, noise=0.05) < 0.5 * start


def test_masks_by_hand() -> None:
    hard = torch.zeros(1, 2, 4, 4)
    hard[0, 0, :2], hard[0, 1, 3] = 1, 1
    other = torch.zeros(1, 2, 4, 4)
    other[0, 0, 1:3], other[0, 1, 3] = 1, 1
    # Structure 0: 8 and 8 pixels, 4 shared, so 8 apart; structure 1 is the same in both.
    assert mask_inconsistency(hard, other).item() == pytest.approx(8 / (16 + 1) / 2)
    assert mask_inconsistency(hard, hard) == 0
    assert mask_inconsistency(0.3 * hard, 0.3 * hard) == 0


def test_hard_masks_give_one_minus_dice() -> None:
    one, other = (torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(seed)) > 0.5 for seed in (0, 1))
    dice = 2 * (one & other).sum() / (one.sum() + other.sum())
    assert mask_inconsistency(one.float(), other.float()).item() == pytest.approx(1 - dice.item(), abs=1e-4)


def test_a_faint_finding_of_nothing_asks_for_little() -> None:
    faint = torch.full((1, 1, 64, 64), 1e-3)
    assert mask_inconsistency(faint, torch.zeros_like(faint)) < 0.01
    assert math.isfinite(mask_inconsistency(torch.zeros_like(faint), torch.zeros_like(faint)).item())


def test_no_gradient_goes_to_the_source() -> None:
    made, source = IMAGE.clone().requires_grad_(), OTHER.clone().requires_grad_()
    (edge_inconsistency(made, source, noise=0.05) + mask_inconsistency(made, source)).backward()
    assert made.grad.abs().sum() > 0
    assert source.grad is None


@pytest.mark.parametrize("loss", [mask_inconsistency, lambda a, b: edge_inconsistency(a, b, noise=0.1)])
def test_nothing_is_broadcast(loss) -> None:
    with pytest.raises(GeometryError, match="differs in shape"):
        loss(IMAGE, IMAGE[:1])
