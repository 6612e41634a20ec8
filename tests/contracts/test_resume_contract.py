"""A run that is interrupted anywhere and goes on equals one that was not, bit for bit, whatever is trained.

Holds for every file in ``medgan/methods`` and ``medgan/downstream``; a new one is tested on arrival, as is a preset
whose steps have other turns than its method's, such as one without a discriminator. One run is stopped
at ten places, one after the other: between steps, right at a checkpoint, and at every stage of writing one. Another is
ended by SIGKILL.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn
from unittest import mock

import pytest
import torch
from tiny_methods import presets_with_other_turns, tiny_recipe
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from medgan import discover
from medgan.samples.seeds import seed_for
from medgan.settings.loop import LoopSettings
from medgan.training import checkpoint
from medgan.training.checkpoint import load_checkpoint
from medgan.training.learner import Learner
from medgan.training.loop import train
from medgan.training.translator import SampleShape
from medgan.training.weights import export_weights

KINDS = [("methods", name) for name in [*discover.names("medgan.methods"), *presets_with_other_turns()]]
KINDS += [("downstream", name) for name in discover.names("medgan.downstream")]
CLOCKS = ("seconds", "images_per_s")
SIZE = 32

every_learner = pytest.mark.parametrize(("package", "name"), KINDS, ids=[f"{name}" for _, name in KINDS])

PLACES: list[int | str] = [1, 3, "half a tensor file", "best", 7, "checkpoint.json", "names.json", "not renamed"]
PLACES += ["half a record", 16]
"""Steps, and places within the writing of a checkpoint.

``names.json`` comes just after the folder is renamed; ``best`` is that place at the best checkpoint.
"""

OTHER_NUMBERS: dict[int, int] = {}
"""Numbers that are drawn in place of others: for one test, which makes a run differ."""

KILLED_AT: list[int | str] = [5, "half a tensor file", "names.json"]


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def made(package: str, name: str) -> Learner:
    """A small learner, always the same."""
    torch.manual_seed(7)
    module = discover.load(f"medgan.{package}", name.split(":")[0])
    if package == "methods":
        recipe = tiny_recipe(name)
        learner = module.method(recipe, shape=SampleShape(1, 1, SIZE))
        learner.fit(list(drawn("methods", 0)["a"]), list(drawn("methods", 0)["b"]))
        return learner
    return module.task(module.task.recipe_type.tiny(), channels=1, classes=2)


def drawn(package: str, number: int, name: str = "") -> dict[str, Tensor]:
    """The batch of a number, without a look at torch's own generator."""
    generator = torch.Generator().manual_seed(seed_for(3, "batch", OTHER_NUMBERS.get(number, number)))
    coarse = torch.rand(2, 1, 5, 5, generator=generator) * 1.8 - 0.9
    image = F.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    if package == "methods":
        return {"a": image, "b": (0.1 - 0.7 * image).clamp(-1, 1)}
    label = torch.tensor([0, 1]) if name == "classification" else (image[:, 0] > 0).long()
    return {"image": image, "label": label, "valid": torch.ones(2, SIZE, SIZE, dtype=torch.bool)}


@cache
def initial(package: str, name: str) -> list[Tensor]:
    return [parameter.detach() for parameter in made(package, name).parameters()]


def score(learner: Learner, package: str, name: str) -> float:
    """How near the weights are to where they began: the first checkpoint that is scored is the best."""
    pairs = zip(learner.parameters(), initial(package, name), strict=True)
    return -sum(float((one - other).abs().double().sum()) for one, other in pairs)


def go(package: str, name: str, run: Path, on_step: Callable[[int], None] | None = None) -> None:
    """Train to the end, or until something stops it."""
    settings = LoopSettings(
        total_steps=17,
        device="cpu",
        precision="fp32",
        threads=1,
        ema_decay=0.9,
        log_every=4,
        preview_every=6,
        validate_every=5,
        checkpoint_every_steps=3,
    )
    torch.manual_seed(os.getpid())  # nothing may depend on what was drawn before
    learner = made(package, name)
    train(
        learner,
        lambda number: drawn(package, number, name),
        run=run,
        settings=settings,
        validate=lambda learner: score(learner, package, name),
        on_step=on_step,
    )
    export_weights(run)


def started_at(run: Path) -> list[int]:
    """The step that each attempt went on from."""
    return [json.loads(line)["step"] for line in (run / "starts.jsonl").read_text().splitlines()]


def left(run: Path) -> dict[str, object]:
    """All that a run leaves but its clocks, by name."""
    found: dict[str, object] = {}
    for which in ("last", "best"):
        snapshot = load_checkpoint(run, name=which)
        parts: Mapping[str, Mapping[str, Tensor]] = {**snapshot.tensors, "extra": snapshot.extra}
        tensors = {f"{part}/{key}": value for part, all_of in parts.items() for key, value in all_of.items()}
        found |= {f"{which}/{key}": (value.dtype, value.numpy().tobytes()) for key, value in tensors.items()}
        found |= {f"{which} step": snapshot.step, f"{which} progress": snapshot.progress}
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    found["log"] = [{key: value for key, value in line.items() if key not in CLOCKS} for line in lines]
    for path in [run / "weights.safetensors", run / "weights.json", *sorted((run / "previews").glob("*"))]:
        found[path.name] = path.read_bytes()
    found["checkpoints"] = sorted(path.name for path in (run / "checkpoints").iterdir())
    return found


def by_error() -> NoReturn:
    raise StoppedError


def by_kill() -> NoReturn:
    """What no code can catch."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still there")


@contextmanager
def stopping(place: int | str, end: Callable[[], NoReturn]) -> Iterator[Callable[[int], None]]:
    """Stop after a step, or at a place within the writing of the next checkpoint; gives what is called at each step."""
    write_tensors, write_record, rename = checkpoint.write_tensors, checkpoint.write_record, Path.rename

    def tensors(path: Path, content: Mapping[str, Tensor]) -> str:
        digest = write_tensors(path, content)
        if place == "half a tensor file":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            end()
        return digest

    def record(path: Path, content: Mapping[str, object]) -> None:
        if place == "half a record":
            path.write_text(json.dumps(content)[:40])
        if place in (path.name, "half a record") or (place == "best" and content.get("best") == content.get("last", 0)):
            end()
        write_record(path, content)

    def renamed(self: Path, target: Path) -> Path:
        return end() if place == "not renamed" else rename(self, target)

    with (
        mock.patch.object(checkpoint, "write_tensors", tensors),
        mock.patch.object(checkpoint, "write_record", record),
        mock.patch.object(Path, "rename", renamed),
    ):
        yield lambda done: end() if done == place else None


@every_learner
def test_stopped_at_ten_places_it_ends_as_if_it_had_not_been(package: str, name: str, tmp_path: Path) -> None:
    go(package, name, tmp_path / "whole")
    for place in PLACES:
        with pytest.raises(StoppedError), stopping(place, by_error) as on_step:
            go(package, name, tmp_path / "cut", on_step)
    go(package, name, tmp_path / "cut")
    starts = started_at(tmp_path / "cut")
    assert len(starts) == len(PLACES) + 1 == 11
    assert len(set(starts)) >= 5, "it went on from several checkpoints"
    whole, cut = left(tmp_path / "whole"), left(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert [key for key in whole if whole[key] != cut[key]] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here, which this system cannot")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@every_learner
def test_killed_at_three_places_it_ends_as_if_it_had_not_been(package: str, name: str, tmp_path: Path) -> None:
    """By SIGKILL: between two steps, in mid-write of a checkpoint, and before it is named."""
    go(package, name, tmp_path / "whole")
    for place in KILLED_AT:
        pid = os.fork()
        if pid == 0:
            with suppress(BaseException), stopping(place, by_kill) as on_step:
                go(package, name, tmp_path / "cut", on_step)
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, place
    go(package, name, tmp_path / "cut")
    starts = started_at(tmp_path / "cut")
    assert starts[0] == 0
    assert starts[1:] == sorted(step for step in starts if step >= 3)
    whole, cut = left(tmp_path / "whole"), left(tmp_path / "cut")
    assert [key for key in whole if whole[key] != cut[key]] == []


@pytest.mark.multiprocess
def test_killed_and_gone_on_with_in_another_interpreter_it_ends_the_same(tmp_path: Path) -> None:
    go("methods", "cyclegan", tmp_path / "whole")
    script = "import sys; sys.path.insert(0, sys.argv[1]); import test_resume_contract as here\n"
    script += "with here.stopping(int(sys.argv[3]), here.by_kill) as on_step:\n"
    script += "    here.go('methods', 'cyclegan', here.Path(sys.argv[2]), on_step)\n"
    words = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path / "cut")]
    killed = subprocess.run([*words, "8"], capture_output=True, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    done = subprocess.run([*words, "-1"], capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert started_at(tmp_path / "cut")[1] >= 6
    whole, cut = left(tmp_path / "whole"), left(tmp_path / "cut")
    assert [key for key in whole if whole[key] != cut[key]] == []


def test_what_is_compared_would_show_a_difference(tmp_path: Path) -> None:
    """A run that does one step otherwise leaves other bytes in every part."""
    go("methods", "cyclegan", tmp_path / "one")
    with mock.patch.dict(OTHER_NUMBERS, {9: 1009}):
        go("methods", "cyclegan", tmp_path / "other")
    one, other = left(tmp_path / "one"), left(tmp_path / "other")
    differing = {key for key in one if one[key] != other[key]}
    for part in ("last/learner/g_ab", "last/ema/g_ab", "last/optimizers/generator", "last/extra/pool_a.images"):
        assert any(key.startswith(part) for key in differing), part
    assert {"log", "last progress", "weights.safetensors"} <= differing
