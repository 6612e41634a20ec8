"""The benchmark of translating runs, and compares like with like; how fast it is, no test asserts."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import translation


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_quick_round_gives_every_way(capsys, precision):
    translation.main(["network", "--quick", "--json", "--threads", "1", "--precision", precision])
    told = json.loads(capsys.readouterr().out)
    assert [row["slices"] for row in told["rounds"]] == [8, 2, 1]
    for row in told["rounds"]:
        assert 0 < row["ratio_min"] <= row["ratio"] <= row["ratio_max"]
        assert row["ms"] > 0
    assert {"processor", "load", "torch", "medgan"} <= set(told["machine"])


def test_the_stage_is_timed_and_its_memory_told(capsys):
    translation.main(["stage", "--quick", "--json", "--threads", "1"])
    assert json.loads(capsys.readouterr().out)["stage"]["seconds"] > 0
    translation.main(["memory", "--quick", "--threads", "1"])
    assert "bytes a voxel" in capsys.readouterr().out


def test_two_ways_that_give_different_images_are_not_timed():
    image = torch.zeros(1, 4, 4)
    translation._compare(np.zeros((4, 4), np.float32), image, "fp32")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        translation._compare(np.full((4, 4), 0.1, np.float32), image, "fp32")
