import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from medgan.losses.segmentation import cross_entropy, soft_dice


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, 12, 10, generator=generator)
    label = torch.randint(4, (3, 12, 10), generator=generator)
    valid = torch.rand(3, 12, 10, generator=generator) < 0.7
    return logits, label, valid


def test_they_equal_monai_and_torch_where_all_is_valid(case):
    logits, label, _ = case
    everywhere = torch.ones_like(label, dtype=torch.bool)
    monai = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1, smooth_dr=1)
    torch.testing.assert_close(soft_dice(logits, label, valid=everywhere), monai(logits, label[:, None]))
    torch.testing.assert_close(cross_entropy(logits, label, valid=everywhere), functional.cross_entropy(logits, label))


def test_what_is_not_valid_counts_for_nothing(case):
    logits, label, valid = case
    other_logits = torch.where(valid[:, None], logits, logits + 5)
    other_label = torch.where(valid, label, (label + 1) % 4)
    for loss in (soft_dice, cross_entropy):
        assert loss(logits, label, valid=valid) == loss(other_logits, other_label, valid=valid)
        torch.testing.assert_close(
            loss(logits, torch.where(valid, label, -1), valid=valid), loss(logits, label, valid=valid)
        )
        leaf = logits.clone().requires_grad_()
        loss(leaf, label, valid=valid).backward()
        assert (leaf.grad.movedim(1, -1)[~valid] == 0).all()
        assert (leaf.grad.movedim(1, -1)[valid] != 0).any()


def test_cross_entropy_is_the_mean_over_valid_pixels(case):
    logits, label, valid = case
    expected = functional.cross_entropy(logits.movedim(1, -1)[valid], label[valid])
    torch.testing.assert_close(cross_entropy(logits, label, valid=valid), expected)


def test_nothing_valid_gives_a_finite_loss_and_no_gradient(case):
    logits, label, valid = case
    leaf = logits.clone().requires_grad_()
    total = soft_dice(leaf, label, valid=~valid & valid) + cross_entropy(leaf, label, valid=~valid & valid)
    total.backward()
    assert torch.isfinite(total)
    assert (leaf.grad == 0).all()


def test_a_perfect_prediction_costs_nothing(case):
    _, label, valid = case
    logits = 100.0 * functional.one_hot(label, 4).movedim(-1, 1)
    assert soft_dice(logits, label, valid=valid) < 1e-6
    assert cross_entropy(logits, label, valid=valid) < 1e-6


def test_half_precision_is_computed_in_full(case):
    logits, label, valid = case
    assert soft_dice(logits.bfloat16(), label, valid=valid).dtype == torch.float32
    assert cross_entropy(logits.bfloat16(), label, valid=valid).dtype == torch.float32
