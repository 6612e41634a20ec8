"""A run directory has one owner."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from medgan.errors import RunError, WriteError
from medgan.training.lock import hold_lock, make_writable, require_room


def leave(run, **changes):
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": "then", "command": "medgan train x"}
    (run / "lock.json").write_text(json.dumps({**holder, **changes}))


@pytest.fixture
def dead_pid():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_second_owner_is_told_who_holds_it(tmp_path):
    with hold_lock(tmp_path) as stale:
        assert stale is None
        told = rf"J001.*process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(RunError, match=told), hold_lock(tmp_path):
            pass
        assert (tmp_path / "lock.json").exists()
    assert not list(tmp_path.iterdir())


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path):
        _ = 1 / 0
    with hold_lock(tmp_path):
        pass


def test_a_dead_processes_lock_is_taken_over_and_told(tmp_path, dead_pid):
    leave(tmp_path, pid=dead_pid)
    with hold_lock(tmp_path) as stale:
        assert stale is not None
        assert stale["pid"] == dead_pid
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell when a process started")
def test_a_number_given_to_another_process_since_is_stale(tmp_path):
    leave(tmp_path, pid=os.getpid(), process_start="1")
    with hold_lock(tmp_path) as stale:
        assert stale is not None


def test_another_hosts_lock_is_respected(tmp_path, dead_pid):
    leave(tmp_path, host="elsewhere", pid=dead_pid)
    with pytest.raises(RunError, match=r"J001.*on elsewhere since then: medgan train x"), hold_lock(tmp_path):
        pass


def test_an_unreadable_lock_is_taken_over(tmp_path):
    (tmp_path / "lock.json").write_text("")
    with hold_lock(tmp_path) as stale:
        assert stale == {}


def test_a_lock_that_is_no_longer_ours_is_left(tmp_path):
    with hold_lock(tmp_path):
        leave(tmp_path, host="elsewhere")
    assert json.loads((tmp_path / "lock.json").read_text())["host"] == "elsewhere"


def test_a_directory_is_made_or_refused(tmp_path):
    make_writable(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="W010"):
        make_writable(tmp_path / "file")


def test_room_is_asked_for(tmp_path):
    require_room(tmp_path, needed_bytes=1)
    with pytest.raises(WriteError, match="W011"):
        require_room(tmp_path, needed_bytes=10**18)
