"""The image pool: what it keeps, its chances, and exact resumption."""

import pytest
import torch

from medgan.training.image_pool import ImagePool


def pool(capacity: int, seed: int = 0) -> ImagePool:
    return ImagePool(capacity, generator=torch.Generator().manual_seed(seed))


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_hands_on_what_it_keeps_until_it_is_full() -> None:
    kept = pool(4)
    assert torch.equal(kept.exchange(numbered(0, 1, 2)), numbered(0, 1, 2))
    assert len(kept) == 3


def test_then_hands_out_an_earlier_one_half_of_the_time() -> None:
    kept, swapped = pool(5), 0
    for number in range(2000):
        out = int(kept.exchange(numbered(number))[0, 0, 0, 0])
        assert out <= number
        swapped += out != number
    assert swapped / 1995 == pytest.approx(0.5, abs=0.04)
    assert len(kept) == 5


def test_an_earlier_one_is_handed_out_once() -> None:
    kept = pool(3)
    earlier = [n for number in range(500) if (n := int(kept.exchange(numbered(number))[0, 0, 0, 0])) != number]
    assert len(earlier) == len(set(earlier)) > 100


def test_the_order_within_a_batch_makes_no_difference_to_batches_of_one() -> None:
    whole, single = pool(3), pool(3)
    for start in range(0, 40, 4):
        batch = numbered(*range(start, start + 4))
        assert torch.equal(whole.exchange(batch), torch.cat([single.exchange(image[None]) for image in batch]))


def test_no_capacity_hands_everything_on() -> None:
    assert torch.equal(pool(0).exchange(numbered(1, 2)), numbered(1, 2))


def test_what_comes_out_is_detached_and_does_not_change_later() -> None:
    kept, fake = pool(2), torch.zeros(1, 1, 2, 2, requires_grad=True)
    out = kept.exchange(fake * 1)
    assert not out.requires_grad
    fakes = numbered(7).clone()
    kept.exchange(fakes)
    fakes.zero_()
    assert kept.tensors()["images"][1].eq(7).all()


@pytest.mark.parametrize("before", [0, 2, 17])
def test_resumed_equals_uninterrupted(before: int) -> None:
    uninterrupted, resumed = pool(4), pool(4, seed=99)
    for number in range(before):
        uninterrupted.exchange(numbered(number))
    resumed.exchange(numbered(1000, 1001))
    resumed.load_tensors({name: tensor.clone() for name, tensor in uninterrupted.tensors().items()})
    for number in range(before, before + 30):
        assert torch.equal(uninterrupted.exchange(numbered(number)), resumed.exchange(numbered(number)))
