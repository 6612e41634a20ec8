"""Every reader keeps the law for a bounded number of damaged inputs, the same at every run."""

import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import fuzz_harness
import numpy as np
import pytest
from fuzz_harness import Harness, TooSlowError
from fuzz_mutations import mutated
from fuzz_run import has_atheris, main
from fuzz_targets import Target, targets, with_png_sums, with_zip_sums

from medgan.errors import ReadError

RUN = str(Path(__file__).with_name("fuzz_run.py"))
pytestmark = pytest.mark.fuzz


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, RUN, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("runs", [100, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", list(targets()))
def test_no_input_breaks_the_law(name, runs, tmp_path):
    """Guided by coverage where atheris is installed, else by chance alone."""
    done = run(name, "--runs", str(runs), "--seconds", "15", "--seed", "1", "--folder", str(tmp_path))
    found = "\n".join(path.read_text(encoding="utf-8") for path in sorted(tmp_path.glob("*/*.txt")))
    assert done.returncode == 0, f"{done.stdout}{done.stderr[-2000:]}{found}"
    assert f"{name}: " in done.stdout


def test_it_was_guided_by_coverage():
    if not has_atheris():
        pytest.skip("atheris is not installed: inputs were damaged by chance, not guided by coverage")
    assert "INFO: Using built-in libfuzzer" in run("manifest", "--runs", "2", "--seconds", "5").stderr


@pytest.mark.parametrize("name", ["nifti_gz", "dicom", "manifest"])
def test_the_engine_that_needs_nothing(name, tmp_path):
    done = run(name, "--engine", "python", "--runs", "300", "--seconds", "20", "--folder", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert f"{name}: 300 inputs" in done.stdout


@pytest.mark.parametrize("name", list(targets()))
def test_some_seeds_are_read(name):
    target = targets()[name]
    seeds = target.seeds()
    with Harness(target, findings=None, interrupts=True) as harness:
        assert [harness.one(seed) for seed in seeds] == [None] * len(seeds)
    assert harness.read > 0, "no seed of this target is read, so that nothing behind the first check is fuzzed"


def harness_of(check, findings=None):
    return Harness(Target("made", lambda: [b"seed"], check, ()), findings=findings, interrupts=True)


def broken(kind):
    def check(data, folder):
        if kind == "key":
            {}[data]
        elif kind == "deep":
            check(data, folder)
        elif kind == "warning":
            warnings.warn("odd", UserWarning, stacklevel=1)
        elif kind == "law":
            raise AssertionError("not finite")
        elif kind == "exit":
            raise MemoryError

    return check


@pytest.mark.parametrize(
    ("kind", "said"),
    [("key", "KeyError"), ("deep", "RecursionError"), ("warning", "UserWarning"),
     ("law", "AssertionError"), ("exit", "MemoryError")],
)  # fmt: skip
def test_what_breaks_the_law_is_found_kept_and_found_once(kind, said, tmp_path, capsys):
    with harness_of(broken(kind), tmp_path) as harness:
        first, second = harness.one(b"one"), harness.one(b"two")
    assert first == second
    assert said in first
    [kept] = [path for path in tmp_path.iterdir() if path.suffix != ".txt"]
    assert kept.read_bytes() == b"one"
    assert capsys.readouterr().out.count("FINDING made") == 1


def test_what_keeps_the_law_is_no_finding():
    def check(data, folder):
        if data == b"bad":
            raise ReadError("R005", "damaged")

    with harness_of(check) as harness:
        assert harness.one(b"bad") is None
        assert harness.one(b"good") is None
    assert (harness.runs, harness.read) == (2, 1)


def test_what_hangs_is_a_finding(monkeypatch):
    monkeypatch.setattr(fuzz_harness, "HANGS_S", 0.2)
    with harness_of(lambda data, folder: time.sleep(20)) as harness:
        assert TooSlowError.__name__ in harness.one(b"")


def test_much_memory_is_a_finding(monkeypatch):
    monkeypatch.setattr(fuzz_harness, "RSS_MB", 1)
    with harness_of(lambda data, folder: None) as harness:
        assert harness.one(b"") == "memory"


def test_a_saved_input_is_replayed(tmp_path):
    path = tmp_path / "input"
    path.write_bytes(b"no table")
    assert main(["manifest", "--replay", str(path)]) == 0


def test_mutations_follow_from_the_seed():
    seeds = [bytes(range(200)), b"abc" * 30]
    first, again, other = (mutated(seeds[0], seeds, random.Random(seed)) for seed in (5, 5, 6))  # noqa: S311
    assert first == again != other
    rng = random.Random(0)  # noqa: S311
    many = [mutated(seeds[0], seeds, rng) for _ in range(300)]
    assert len(set(many)) > 250
    assert np.mean([data != seeds[0] for data in many]) > 0.9
    assert [mutated(b"", [b""], rng) for _ in range(100)]


def test_sums_are_mended(tmp_path):
    [png, *_], [archive, *_] = targets()["png"].seeds(), targets()["dicom_zip"].seeds()
    assert with_png_sums(png) == png
    assert with_zip_sums(archive, tmp_path) == archive
    damaged = png[:40] + bytes([png[40] ^ 1]) + png[41:]
    assert with_png_sums(damaged) != damaged
    stored = archive[:400] + bytes([archive[400] ^ 1]) + archive[401:]
    mended = with_zip_sums(stored, tmp_path)
    assert mended != stored
    assert len(mended) == len(stored)
