"""Reconstruction losses against torch's own."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError
from medgan.losses.reconstruction import l1, l2, masked_l1

A = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1
B = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_l1_and_l2_equal_torch() -> None:
    torch.testing.assert_close(l1(A, B), F.l1_loss(A, B))
    torch.testing.assert_close(l2(A, B), F.mse_loss(A, B))


@pytest.mark.parametrize("loss", [l1, l2])
def test_nothing_is_broadcast(loss) -> None:
    with pytest.raises(GeometryError, match=r"G210.*\(2, 1, 4, 5\)"):
        loss(A[:, :1], B)


def test_masked_l1_looks_under_the_mask_only() -> None:
    mask = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    mask[0, 0, 1, 2] = mask[1, 0, 3, 4] = True
    expected = torch.stack([(A - B)[0, :, 1, 2], (A - B)[1, :, 3, 4]]).abs().mean()
    torch.testing.assert_close(masked_l1(A, B, mask=mask), expected)
    torch.testing.assert_close(masked_l1(A, B, mask=torch.ones_like(A)), l1(A, B))


def test_an_empty_mask_asks_for_nothing() -> None:
    predicted = A.clone().requires_grad_()
    loss = masked_l1(predicted, B, mask=torch.zeros(2, 1, 4, 5))
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"G210.*mask"):
        masked_l1(A, B, mask=torch.ones(2, 1, 4, 4))


def test_half_precision_is_averaged_in_float32() -> None:
    assert l1(A.bfloat16(), B.bfloat16()).dtype == torch.float32
