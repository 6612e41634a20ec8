"""The benchmark of reading runs, and compares like with like; how fast it is, no test asserts."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import reading


def test_a_quick_round_gives_every_ratio(capsys):
    reading.main(["--quick", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [pair["what"].split(",")[0].split(" of ")[0] for pair in told["pairs"]] == [
        "DICOM CT",
        ".nii.gz",
        ".nii",
        "JPEG",
        "JPEG",
    ]
    for pair in told["pairs"]:
        assert 0 < pair["ratio_min"] <= pair["ratio"] <= pair["ratio_max"]
        assert min(pair["ours_ms"], pair["theirs_ms"], *pair["others_ms"].values()) > 0
    assert {"processor", "load", "medgan", "SimpleITK"} <= set(told["machine"])


def test_words_hold_both_sides_and_the_ratio(tmp_path):
    pair = reading.pairs(tmp_path, small=True)[1]
    words = reading.described(reading.measure(replace(pair, others=()), rounds=3))
    assert "medgan.read_image(path)" in words
    assert "nibabel.load(path)" in words
    assert "ratio" in words


def test_two_ways_that_read_different_numbers_are_not_timed(tmp_path):
    pair = reading.pairs(tmp_path, small=True)[1]
    wrong = reading.Side(code="zeros", read=lambda path: np.zeros((32, 32, 32), dtype=np.int16))
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        reading.measure(replace(pair, theirs=wrong), rounds=1)


def test_a_quick_round_of_preparing_names_each_way(capsys):
    import preparing

    preparing.main(["--quick", "--cases", "4"])
    told = capsys.readouterr().out
    assert told.count("in this process") == 2
    assert told.count("by the store, 1 at a time") == 2
