"""The endless order of samples."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.samples.sampler import Sampler
from medgan.samples.seeds import rng_for, seed_for


@given(count=st.integers(1, 40), seed=st.integers(0, 2**40), epoch=st.integers(0, 50))
def test_every_item_comes_once_an_epoch(count, seed, epoch):
    sampler = Sampler(count, seed=seed)
    assert sorted(sampler.index(epoch * count + i) for i in range(count)) == list(range(count))


@given(i=st.lists(st.integers(0, 500), min_size=1, max_size=20))
def test_a_draw_depends_on_nothing_before_it(i):
    sampler = Sampler(7, seed=3)
    assert [sampler.index(n) for n in i] == [Sampler(7, seed=3).index(n) for n in i]


def test_the_order_is_numpys_of_seed_and_epoch():
    wanted = np.random.default_rng((5, 2)).permutation(9).tolist()
    assert [Sampler(9, seed=5).index(18 + i) for i in range(9)] == wanted


def test_epochs_and_seeds_differ():
    orders = {
        (seed, epoch): tuple(Sampler(30, seed=seed).index(epoch * 30 + i) for i in range(30))
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    }
    assert len(set(orders.values())) == 6


def test_a_batch_takes_the_next_draws_over_the_end_of_an_epoch():
    sampler = Sampler(3, seed=0)
    assert sampler.indices(1, batch_size=2) == [sampler.index(2), sampler.index(3)]


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_to_draw_from_is_refused(count):
    with pytest.raises(ValueError, match="at least one item"):
        Sampler(count, seed=0)


def test_a_negative_draw_is_refused():
    with pytest.raises(ValueError, match="counted from 0"):
        Sampler(3, seed=0).index(-1)


def test_seeds_tell_parts_apart():
    seeds = [
        seed_for(0),
        seed_for(1),
        seed_for(0, "a", "b"),
        seed_for(0, "ab"),
        seed_for(0, "b", "a"),
        seed_for(0, 1),
        seed_for(0, "1"),
        seed_for(0, 1, 1),
        seed_for(0, 11),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_in_another_process():
    code = "from medgan.samples.seeds import seed_for; print(seed_for(3, 'case', 4))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == seed_for(3, "case", 4)


def test_generators_repeat():
    assert rng_for(0, "case", 1).random() == rng_for(0, "case", 1).random() != rng_for(0, "case", 2).random()
