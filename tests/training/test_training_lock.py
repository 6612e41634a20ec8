"""A run directory has one owner."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medgan.errors import RunError, WriteError
from medgan.training import life
from medgan.training.lock import hold_lock, is_held, left_by_the_dead, make_writable, require_room


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
    with (
        pytest.raises(
            RunError, match=r"J001.*on elsewhere since then: medgan train x .on another host.*remove .*/lock.json"
        ),
        hold_lock(tmp_path),
    ):
        pass


@pytest.fixture
def holder(tmp_path):
    """What a living process's lock says; the lock is held while the test runs."""
    with hold_lock(tmp_path):
        yield json.loads((tmp_path / "lock.json").read_text())


def test_another_container_on_this_kernel_is_told_by_its_hold_on_the_file(tmp_path, holder, monkeypatch):
    """Its process numbers mean nothing here, and its host has another name; the kernel knows whether it lives."""
    monkeypatch.setattr(socket, "gethostname", lambda: "another-container")
    with pytest.raises(RunError, match=rf"J001.*process {os.getpid()} on {holder['host']}"), hold_lock(tmp_path):
        pass
    assert is_held(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    leave(other, **holder)
    assert not is_held(other)
    assert left_by_the_dead(other)["pid"] == os.getpid()
    with hold_lock(other) as stale:
        assert stale["host"] == holder["host"]


@pytest.mark.multiprocess
def test_a_killed_process_in_another_pid_namespace_is_known_to_be_dead(tmp_path):
    script = "import sys, time; from pathlib import Path; from medgan.training.lock import hold_lock\n"
    script += "with hold_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    words = ["unshare", "--pid", "--uts", "--fork", "--kill-child", sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        if process.stdout.readline() != b"held\n":
            pytest.skip(f"no namespace of its own can be had here: {process.stderr.read().decode().strip()}")
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] < 10, "numbers of its own"
        with pytest.raises(RunError, match="J001"), hold_lock(tmp_path):
            pass
        process.kill()
    for _ in range(200):
        if not is_held(tmp_path):
            break
        time.sleep(0.05)
    with hold_lock(tmp_path) as stale:
        assert stale is not None


def test_a_lock_from_before_a_restart_of_this_machine_is_stale(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(life, "_line", {life._BOOT: "now", life._MACHINE: "this"}.get)
    leave(tmp_path, **{**holder, "boot": "before", "machine": "this"})
    with hold_lock(tmp_path) as stale:
        assert stale["boot"] == "before"


@pytest.mark.parametrize("machine", ["that", None])
def test_another_machine_of_the_same_name_is_respected_and_the_remedy_names_the_file(
    tmp_path, holder, monkeypatch, machine
):
    monkeypatch.setattr(life, "_line", {life._BOOT: "now", life._MACHINE: machine and "this"}.get)
    leave(tmp_path, **{**holder, "boot": "other", "machine": machine})
    told = rf"J001.*on another machine of the same name.*if you know that it has ended, remove {tmp_path}/lock.json"
    with pytest.raises(RunError, match=told), hold_lock(tmp_path):
        pass
    (tmp_path / "lock.json").unlink()
    with hold_lock(tmp_path) as stale:
        assert stale is None


def test_where_files_cannot_be_locked_the_process_number_decides(tmp_path, dead_pid, monkeypatch):
    monkeypatch.setattr(life, "_lock", lambda *_, **__: False)
    with hold_lock(tmp_path):
        assert json.loads((tmp_path / "lock.json").read_text())["marked"] is False
        assert is_held(tmp_path)
        own = json.loads((tmp_path / "lock.json").read_text())
        leave(tmp_path, **{**own, "pid": dead_pid})
        assert not is_held(tmp_path)


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
