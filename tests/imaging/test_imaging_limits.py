"""A function that crashes, hangs or eats memory costs its own call and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hostile_functions as hostile
import numpy as np
import pytest

from medgan.errors import GeometryError, ReadError
from medgan.imaging import limits
from medgan.imaging.limits import guarded, refuse_irregular, seconds_for
from medgan.imaging.read import read_image, read_label

LINUX = sys.platform == "linux"
needs_linux = pytest.mark.skipif(not LINUX, reason="limits on memory are Linux's")
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, pipes and devices")


def call(function, *arguments, seconds=20.0, memory_bytes=None):
    return guarded(function, *arguments, where="case 7", seconds=seconds, memory_bytes=memory_bytes)


def test_the_result_comes_back_whole_and_writable():
    array = np.arange(300_000, dtype=np.float32).reshape(3, 100, 1000)[:, ::-1]
    result = call(hostile.doubled, array, ("text", 1.5))
    assert result["extra"] == ("text", 1.5)
    assert np.array_equal(result["array"], array * 2)
    result["array"][0, 0, 0] = -1


def test_the_child_has_no_torch_and_is_kept():
    limits.end_idle_readers()  # another test's child may have resampled a volume, which imports torch
    assert "torch" not in call(hostile.modules)
    assert call(hostile.process) == call(hostile.process) != os.getpid()


@pytest.mark.parametrize("function", [hostile.loop, lambda: None], ids=["python", "native"])
def test_an_endless_call_is_ended(function):
    arguments = (hostile.loop,) if function is hostile.loop else (hostile.sleep_deaf, 60)
    began = time.monotonic()
    with pytest.raises(ReadError, match=r"R070.*case 7: reading takes too long; got no end after 0.5 s"):
        call(*arguments, seconds=0.5)
    assert time.monotonic() - began < 5
    assert call(len, "abc") == 3


@needs_linux
def test_memory_is_limited_beyond_what_the_child_holds():
    with pytest.raises(ReadError, match=r"R071.*case 7.*more than 0.062 GiB"):
        call(hostile.allocate, 100 * 2**20, memory_bytes=2**26)
    assert call(hostile.allocate, 100 * 2**20, memory_bytes=2**28) == 100 * 2**20
    assert call(hostile.allocate, 20 * 2**20, memory_bytes=2**26) == 20 * 2**20


def test_memory_taken_for_damage_is_told():
    with pytest.raises(ReadError, match="R071"):
        call(hostile.allocate_and_blame_the_file)


@needs_signals
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"])
def test_a_crash_of_the_decoder_is_one_error(name):
    before = call(hostile.process)
    with pytest.raises(ReadError, match=rf"R072.*case 7: the decoder crashed; got {name}"):
        call(hostile.die, name)
    assert call(hostile.process) != before


def test_a_process_that_leaves_is_a_crash():
    with pytest.raises(ReadError, match=r"R072.*exit status 3"):
        call(hostile.leave)


@needs_signals
def test_killed_by_the_system_means_memory():
    with pytest.raises(ReadError, match=r"R071.*the system ended the process"):
        call(hostile.die, "SIGKILL")


def test_errors_of_medgan_come_through():
    with pytest.raises(GeometryError, match=r"G010.*a\.nii: the affine is not finite; got nan"):
        call(hostile.refuse)


def test_other_exceptions_say_where_and_not_what():
    with pytest.raises(ReadError, match=r"R073.*got KeyError at hostile_functions\.py:\d+") as caught:
        call(hostile.quote_the_header)
    assert "DOE" not in str(caught.value)
    with pytest.raises(ReadError, match=r"R073.*RecursionError"):
        call(hostile.recurse, 0)
    with pytest.raises(ReadError, match="R073"):
        call(hostile.unpicklable)


def test_what_native_code_prints_is_lost(capfd):
    assert call(hostile.write_to_the_terminal) == "quiet"
    assert capfd.readouterr() == ("", "")


@needs_signals
def test_a_child_that_died_in_between_is_replaced():
    before = call(hostile.process)
    os.kill(before, signal.SIGKILL)
    assert call(hostile.process) != before


def test_threads_read_beside_each_other():
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(call, hostile.sleep_deaf, 0.3)
        assert pool.submit(call, len, "abcd").result() == 4
        assert slow.result() is None


@needs_signals
@pytest.mark.multiprocess
def test_a_fork_starts_a_child_of_its_own():
    parent = call(hostile.process)
    code = os.fork()
    if code == 0:  # no assertion may leave the forked process
        other = call(hostile.process)
        limits.end_idle_readers()
        os._exit(0 if other != parent else 1)
    assert os.waitpid(code, 0)[1] == 0
    assert call(hostile.process) == parent


@needs_signals
@pytest.mark.multiprocess
def test_idle_children_end_with_a_killed_parent():
    text = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import hostile_functions, os, signal\n"
        "from medgan.imaging.limits import guarded\n"
        "print(guarded(hostile_functions.process, where='x', seconds=9), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/cmdline").exists() and _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"


def test_no_interpreter_is_an_error(monkeypatch):
    monkeypatch.setattr(limits, "_IDLE", [])
    monkeypatch.setattr(limits.sys, "executable", "/nowhere/python")
    with pytest.raises(ReadError, match="R075"):
        call(len, "abc")


def test_an_interrupt_leaves_no_child_with_half_an_answer(monkeypatch):
    before = call(hostile.process)

    def interrupted(stream):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(limits, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012, RUF100
            call(len, "abc")
    assert call(hostile.process) != before


@pytest.mark.parametrize("guard", [False, True])
def test_images_and_labels_are_the_same(guard, make_nifti, make_photograph, rng):
    volume = make_nifti(rng.integers(-50, 50, (5, 6, 7), dtype=np.int16))
    image = read_image(volume, guard=guard)
    bare = read_image(volume)
    assert np.array_equal(image.pixels, bare.pixels)
    assert image.pixels.dtype == bare.pixels.dtype
    assert image.stored == bare.stored
    assert image.path == volume
    assert np.array_equal(image.geometry.affine, bare.geometry.affine)
    labels = rng.integers(0, 3, (5, 6, 7), dtype=np.uint8)
    mask = make_nifti(labels, name="mask.nii.gz")
    assert np.array_equal(read_label(mask, like=image, guard=guard), labels.transpose(2, 1, 0))
    with pytest.raises(ReadError, match="R001"):
        read_image(_empty(volume), guard=guard)


def _empty(beside):
    path = beside.with_name("empty.nii")
    path.touch()
    return path


def test_the_time_grows_with_the_file(tmp_path):
    (tmp_path / "a.dcm").write_bytes(bytes(2_000_000))
    (tmp_path / "b.dcm").write_bytes(bytes(2_000_000))
    assert seconds_for(tmp_path / "a.dcm") == pytest.approx(61)
    assert seconds_for(tmp_path) == pytest.approx(62)
    assert seconds_for(tmp_path / "absent") == 60


@needs_signals
def test_pipes_sockets_and_devices_are_never_opened(tmp_path):
    pipe = tmp_path / "image.png"
    os.mkfifo(pipe)
    with pytest.raises(ReadError, match=r"R074.*image\.png: neither a file nor a folder; got a named pipe"):
        read_image(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(ReadError, match=r"R074.*a socket"):
            refuse_irregular(tmp_path / "s")
    with pytest.raises(ReadError, match=r"R074.*a device"):
        read_image(Path("/dev/zero"))
    link = tmp_path / "link.nii"
    link.symlink_to(pipe)
    with pytest.raises(ReadError, match="R074"):
        read_image(link)
    with pytest.raises(ReadError, match="R000"):
        read_image(tmp_path / "absent.png")
