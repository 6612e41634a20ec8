"""Progress: a file for the one who waits, and a line now and then."""

import json

import pytest

from medgan.stages import progress as module
from medgan.stages.progress import Progress


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def told():
    return []


def state(path):
    return json.loads(path.read_text())


def test_speed_and_time_left(clock, told, tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(path, what="train", report=told.append)
    progress(50, 150, doing="steps")  # a resumed run begins here
    clock.now += 5
    progress(70, 150, doing="steps")
    assert state(path)["per_second"] == pytest.approx(4.0)
    assert state(path)["left_s"] == pytest.approx(20.0)
    assert (state(path)["job"], state(path)["doing"]) == ("train", "steps")


def test_it_writes_at_most_every_second_and_always_at_the_end(clock, told, tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(path, what="train", report=told.append)
    for done in range(9):
        clock.now += 0.1
        progress(done, 10, doing="steps")
    assert not path.exists()
    progress(10, 10, doing="steps")
    assert state(path)["done"] == 10


def test_lines_are_rare(clock, told, tmp_path):
    progress = Progress(tmp_path / "progress.json", what="train", report=told.append)
    for done in range(30):
        clock.now += 1.0
        progress(done, 100, doing="steps")
    assert len(told) == 3
    assert told[0].startswith("train: steps 9/100, 1.0/s, 91 s left")


def test_going_through_items(told, tmp_path):
    progress = Progress(tmp_path / "progress.json", what="translate", report=told.append)
    assert list(progress.over("abc", doing="translating")) == ["a", "b", "c"]
    assert state(tmp_path / "progress.json")["done"] == 3
    assert list(progress.over([], doing="translating")) == []
