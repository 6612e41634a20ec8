"""Patchwise contrast, against values by hand and a plain loop over patches."""

import math

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from medgan.errors import GeometryError
from medgan.losses.patch_nce import patch_nce


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_two_patches_by_hand() -> None:
    """Cosines 0.6 to the own place and 0.8 to the other for the first, 0 and 1 for the second."""
    queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    keys = torch.tensor([[[0.6, 0.8], [0.8, -0.6]]])
    first = math.log(1 + math.exp((0.8 - 0.6) / 0.07))
    second = math.log(1 + math.exp((0.8 + 0.6) / 0.07))
    found = patch_nce(queries, keys, temperature=0.07)
    assert found.item() == pytest.approx((first + second) / 2, rel=1e-6)


def test_equal_patches_everywhere_are_a_guess_among_them_all() -> None:
    same = unit(1, 1, 8).expand(3, 256, 8)
    assert patch_nce(same, same, temperature=0.07).item() == pytest.approx(math.log(256), rel=1e-6)


@pytest.mark.parametrize("negatives", ["image", "batch"])
def test_it_is_the_papers_equation_patch_by_patch(negatives) -> None:
    queries, keys = unit(3, 5, 4), unit(3, 5, 4, seed=1)
    total = 0.0
    for image in range(3):
        for place in range(5):
            query = queries[image, place]
            own = math.exp(float(query @ keys[image, place]) / 0.07)
            others = [
                math.exp(float(query @ keys[i, s]) / 0.07)
                for i in range(3)
                for s in range(5)
                if (i, s) != (image, place) and (negatives == "batch" or i == image)
            ]
            total += -math.log(own / (own + sum(others))) / 15
    found = patch_nce(queries, keys, temperature=0.07, negatives=negatives)
    assert found.item() == pytest.approx(total, rel=1e-5)


def test_it_falls_as_patches_come_nearer_to_their_own_place() -> None:
    keys, other = unit(2, 64, 16), unit(2, 64, 16, seed=1)
    losses = [
        patch_nce(F.normalize(share * keys + (1 - share) * other, dim=-1), keys, temperature=0.07).item()
        for share in (0.0, 0.3, 0.6, 1.0)
    ]
    assert losses == sorted(losses, reverse=True)


def test_the_gradient_reaches_the_queries_alone() -> None:
    queries, keys = unit(1, 6, 4).requires_grad_(), unit(1, 6, 4, seed=1).requires_grad_()
    patch_nce(queries, keys, temperature=0.07).backward()
    assert queries.grad is not None
    assert keys.grad is None


def test_autocast_changes_nothing() -> None:
    queries, keys = unit(2, 256, 64), unit(2, 256, 64, seed=1)
    exact = patch_nce(queries, keys, temperature=0.07)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = patch_nce(queries, keys, temperature=0.07)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"G210.*\(1, 4, 4\).*\(1, 5, 4\)"):
        patch_nce(unit(1, 4, 4), unit(1, 5, 4), temperature=0.07)
