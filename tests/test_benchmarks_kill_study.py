"""The benchmark that kills studies: it finds what is not whole, and a short round of it ends well."""

import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from tiny_studies import finished_lesions

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import kill_study

__all__ = ["finished_lesions"]


@pytest.fixture
def out(finished_lesions, tmp_path):
    """Results of a finished study, to be spoilt."""
    shutil.copytree(finished_lesions.parent / "out", tmp_path / "out")
    return tmp_path / "out"


def first(out, pattern):
    return sorted(path for path in out.rglob(pattern) if path.is_file())[0]


def test_a_finished_study_is_whole_and_every_kind_of_file_is_looked_at(out):
    checked = Counter()
    assert list(kill_study.not_whole(out, checked)) == []
    assert set(checked) == {"done.json", "weights.json", "checkpoint.json", "meta.json"}


@pytest.mark.parametrize(
    "name", ["rows.csv", "weights.safetensors", "learner.safetensors", "pixels.npy", "manifest.csv", "splits.csv"]
)
def test_a_file_that_is_cut_short_is_found(out, name):
    path = first(out, name)
    path.write_bytes(path.read_bytes()[:-5])
    assert list(kill_study.not_whole(out, Counter()))


def test_what_is_being_written_is_not_looked_at(out):
    folder = first(out, "checkpoint.json").parent
    (folder / "learner.safetensors").write_bytes(b"half")
    folder.rename(folder.with_name(f".{folder.name}.writing"))
    assert list(kill_study.not_whole(out, Counter())) == []


def test_results_that_differ_are_told(out, tmp_path):
    whole = tmp_path / "whole" / "study.yaml"
    shutil.copytree(out, whole.parent / "out")
    kill_study.compare(tmp_path / "study.yaml", whole, same := kill_study.Outcome())
    assert (same.wrong, same.studies) == ([], 1)
    log = first(out, "log.jsonl")
    log.write_text(log.read_text().replace('"step": 2', '"step": 3'))
    kill_study.compare(tmp_path / "study.yaml", whole, other := kill_study.Outcome())
    assert len(other.wrong) == 1
    assert "log.jsonl differs from the uninterrupted run's" in other.wrong[0]


def test_an_outcome_is_kept_between_calls(tmp_path):
    outcome = kill_study.Outcome(kills=Counter(train=3), checked=Counter({"done.json": 2}), wrong=["x"], seconds=1.5)
    outcome.write(tmp_path / "outcome.json")
    assert kill_study.Outcome.read(tmp_path / "outcome.json") == outcome
    assert kill_study.Outcome.read(tmp_path / "none.json").total == 0


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc, which is not here")
def test_three_kills_change_nothing(tmp_path, capsys):
    kill_study.main(["--kills", "3", "--folder", str(tmp_path)])
    told = capsys.readouterr().out
    assert told.startswith("3 kills in ")
    assert "0 differences or half-written files" in told
