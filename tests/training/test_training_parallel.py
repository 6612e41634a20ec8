"""Two ranks train as one with twice the batch."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_studies import start_ranks

from medgan.training.checkpoint import load_checkpoint
from medgan.training.parallel import anyone, average_over_ranks, joined, rank, ranks

_RANK = Path(__file__).with_name("training_two_ranks.py")


def test_alone_nothing_is_averaged():
    values = torch.tensor([1.0, 2.0])
    assert average_over_ranks([], values) is values
    assert (rank(), ranks(), anyone(True, torch.device("cpu"))) == (0, 1, True)
    with joined(torch.device("cpu")):
        assert ranks() == 1


def start(folder, *, world):
    processes = start_ranks(_RANK, folder, world=world)
    try:
        ends = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * world, ends


@pytest.mark.multiprocess
def test_two_ranks_equal_one_with_twice_the_batch(tmp_path):
    start(tmp_path / "two", world=2)
    start(tmp_path / "one", world=1)
    first, second = (safetensors.torch.load_file(tmp_path / "two" / f"end_{n}.safetensors") for n in (0, 1))
    alone = safetensors.torch.load_file(tmp_path / "one" / "end_0.safetensors")
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, rtol=0, atol=1e-6)
    # The second gradient is that of one rank only; the third, of none, so its parameter stays.
    assert first["gradient"].tolist() == [0.5, 1.0]
    assert "absent" not in first
    # Each rank keeps its own extra tensors, and each took its own back.
    run = tmp_path / "two" / "run"
    assert load_checkpoint(run).extra["rank"].tolist() == [0, 4]
    other = safetensors.torch.load_file(next(run.glob("checkpoints/*4/extra_1.safetensors")))
    assert other["rank"].tolist() == [1, 4]
    assert (first["resumed_extra"].tolist(), second["resumed_extra"].tolist()) == ([0, 4], [1, 4])
