"""What a person who waits sees."""

import io

import pytest
from rich.console import Console
from tiny_studies import lesion_settings, write_settings

from medgan.settings.study import read_study
from medgan.workflow.display import watch
from medgan.workflow.plan import plan_study

PROGRESS = {"doing": "steps", "done": 5, "total": 20, "per_second": 2.5, "left_s": 6.0}


@pytest.fixture
def jobs(tmp_path):
    return plan_study(read_study(write_settings(tmp_path, lesion_settings())))


def told(states_over_time, *, plain):
    out = io.StringIO()
    console = Console(file=out, force_terminal=not plain, width=160)
    with watch(console, plain=plain) as show:
        for states in states_over_time:
            show(states)
    return out.getvalue()


def test_plain_lines_tell_each_change_once(jobs):
    waiting = [(job, "waiting", {}) for job in jobs]
    running = [(jobs[0], "running", PROGRESS), *waiting[1:]]
    done = [(jobs[0], "done", {}), *waiting[1:]]
    lines = told([waiting, running, running, done, done], plain=True).splitlines()
    assert lines == ["[0/10] prepare: running", "[1/10] prepare: done"]


def test_what_was_done_before_is_not_told(jobs):
    done = [(job, "done", {}) for job in jobs]
    assert told([done, done], plain=True) == ""


def test_a_long_job_is_told_now_and_then(jobs, monkeypatch):
    monkeypatch.setattr("medgan.workflow.display.PLAIN_EVERY_S", -1.0)
    assert "prepare: steps 5/20, 2.5/s, 6 s left" in told([[(jobs[0], "running", PROGRESS)]], plain=True)


@pytest.mark.parametrize("progress", [PROGRESS, PROGRESS | {"left_s": None}, {}])
def test_bars_show_the_running_job(jobs, progress):
    states = [(jobs[0], "done", {}), (jobs[1], "running", progress), (jobs[2], "waiting", {})]
    text = told([[], states], plain=False)
    assert "1/3" in text
    assert ("5/20" in text) == bool(progress)
