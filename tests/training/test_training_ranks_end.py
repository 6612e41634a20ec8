"""What ends one rank ends all of them, each with the reason and a checkpoint to go on from."""

import signal
import socket
from pathlib import Path

import pytest
from tiny_studies import start_ranks
from training_ranks_end import COLLAPSES_AT, HANGS_AT, STEPS, TIMEOUT_S

from medgan.training.checkpoint import load_checkpoint
from medgan.training.log import read_log

pytestmark = pytest.mark.multiprocess

RANK = Path(__file__).with_name("training_ranks_end.py")
PATIENCE_S = 240.0


@pytest.fixture
def ranks():
    """Starts two ranks, and ends what is left of them."""
    started = []

    def begin(folder, trouble):
        started.extend(start_ranks(RANK, folder, trouble))
        return started[-2:]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_a_fatal_alarm_of_a_preview_ends_both_with_its_reason_and_the_same_checkpoint(tmp_path, ranks):
    both = ranks(tmp_path, "collapse")
    said = [process.communicate(timeout=PATIENCE_S)[1] for process in both]
    assert [process.returncode for process in both] == [1, 1], said
    for text in said:
        assert "TrainingError[T007]: " in text
        assert "fake_b: pictures of 4 samples differ by 0, expected over" in text
        assert "in 5 previews in a row" in text
        assert f"the last good checkpoint is step_{COLLAPSES_AT - 1:08d};" in text
    assert load_checkpoint(tmp_path, name=f"step_{COLLAPSES_AT - 1:08d}").step == COLLAPSES_AT - 1
    fatal = [line for line in read_log(tmp_path) if line.get("fatal")]
    assert [line["alarm"] for line in fatal] == ["collapse"]
    assert not (tmp_path / "lock.json").exists()


@pytest.mark.parametrize(
    ("who", "where"),
    [(1, "step"), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, "checkpoint"), (0, "preview")))],
)
def test_a_rank_that_hangs_ends_the_other_in_time_and_leaves_a_checkpoint(tmp_path, ranks, who, where):
    both = ranks(tmp_path, f"hangs:{who}:{where}")
    hung, other = both[who], both[1 - who]
    _, said = other.communicate(timeout=PATIENCE_S)
    assert other.returncode == 1, said
    assert "RunError[J030]: " in said
    assert f"no answer within {TIMEOUT_S:g} s" in said
    assert f"rank {who} (process {hung.pid} on {socket.gethostname()})" in said
    assert "go on from the last checkpoint" in said
    assert hung.poll() is None, "it lives"
    step = load_checkpoint(tmp_path).step
    assert step >= HANGS_AT
    assert (tmp_path / "lock.json").exists() is (who == 0), "what it holds itself stays"

    # Where it wakes up it finds itself alone, and ends too.
    hung.send_signal(signal.SIGCONT)
    _, said = hung.communicate(timeout=PATIENCE_S)
    assert hung.returncode == 1, said
    assert "RunError[J030]: " in said
    again = ranks(tmp_path, "none")
    assert [(process.communicate(timeout=PATIENCE_S)[1], process.returncode) for process in again] == [("", 0)] * 2
    assert load_checkpoint(tmp_path).step == STEPS
