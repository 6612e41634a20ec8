"""Memory that does not suffice: an error with a remedy, or the same step in parts."""

import json

import pytest
import torch
from training_toy import Toy, draw_toy

from medgan import discover
from medgan.errors import TrainingError
from medgan.settings.loop import LoopSettings
from medgan.training.checkpoint import load_checkpoint
from medgan.training.learner import Learner
from medgan.training.loop import train
from medgan.training.memory import in_parts, is_out_of_memory
from medgan.training.translator import SampleShape

CPU = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: not enough memory: you tried to allocate 99"
ERRORS = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), RuntimeError(CPU), MemoryError()]

every_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


def settings(**changes):
    base = {"total_steps": 6, "device": "cpu", "precision": "fp32", "log_every": 3, "preview_every": None}
    return LoopSettings(**{**base, "checkpoint_every_steps": 2, **changes})


def cyclegan(*, holds, error=None, first_at=0):
    """A small CycleGAN on a device that holds so many samples; ``first_at`` steps go well before."""
    torch.manual_seed(0)
    method = discover.load("medgan.methods", "cyclegan").method
    learner = method(method.recipe_type.tiny(), shape=SampleShape(1, 1, 32))
    plain, seen = learner.training_step, []

    def training_step(batch):
        seen.append(len(batch["a"]))
        if len(batch["a"]) > holds and len(seen) > first_at:
            raise error or ERRORS[0]
        yield from plain(batch)

    learner.training_step = training_step
    learner.seen = seen
    return learner


def draw(number):
    generator = torch.Generator().manual_seed(number)
    return {name: torch.rand(4, 1, 32, 32, generator=generator) * 2 - 1 for name in "ab"}


@every_error
def test_by_default_it_is_an_error_that_says_what_to_change(tmp_path, error):
    with pytest.raises(TrainingError, match=r"T008.*out of memory in step 1.*batch_size or crop_px.*halve_batch: true"):
        train(cyclegan(holds=2, error=error), draw, run=tmp_path, settings=settings())


def test_other_errors_are_left_as_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train(
            cyclegan(holds=2, error=RuntimeError("shapes cannot be multiplied")),
            draw,
            run=tmp_path,
            settings=settings(halve_batch=True),
        )


@every_error
@pytest.mark.parametrize(("holds", "parts"), [(2, 2), (1, 4)])
def test_in_parts_the_result_is_that_of_the_whole_batch(tmp_path, error, holds, parts):
    one = settings(total_steps=1, checkpoint_every_steps=1)
    train(cyclegan(holds=9), draw, run=tmp_path / "whole", settings=one)
    small = cyclegan(holds=holds, error=error)
    train(small, draw, run=tmp_path / "parts", settings=one.model_copy(update={"halve_batch": True}))
    assert small.seen[-parts:] == [4 // parts] * parts
    whole, cut = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    # The first moment after one step is the gradient; what Adam makes of a tiny one hangs on its rounding.
    gradients = {name: value for name, value in whole.tensors["optimizers"].items() if name.endswith("exp_avg")}
    assert len(gradients) > 20
    for name, gradient in gradients.items():
        differing = (cut.tensors["optimizers"][name] - gradient).norm() / gradient.norm().clamp(min=1e-9)
        assert differing < 2e-3, name
    # The pools take the same fakes in, and draw the same of them.
    for name, tensor in whole.extra.items():
        torch.testing.assert_close(cut.extra[name], tensor, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("holds", "parts"), [(2, 2), (1, 4)])
def test_in_parts_the_log_tells_the_same_losses_and_the_parts(tmp_path, holds, parts):
    train(cyclegan(holds=9), draw, run=tmp_path / "whole", settings=settings())
    train(cyclegan(holds=holds), draw, run=tmp_path / "parts", settings=settings(halve_batch=True))
    logs = [lines(tmp_path / name) for name in ("whole", "parts")]
    assert [line["batch_parts"] for line in logs[1] if "batch_parts" in line] == [parts]
    means = [[line["means"] for line in log if "means" in line] for log in logs]
    assert len(means[0]) == 2
    for one, other in zip(*means, strict=True):
        assert one["generator"] == pytest.approx(other["generator"], rel=1e-2)


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_where_memory_goes_short_later_it_goes_back_to_the_last_checkpoint(tmp_path):
    small = cyclegan(holds=2, first_at=3)
    summary = train(small, draw, run=tmp_path, settings=settings(halve_batch=True))
    # Three steps of four samples, one that did not fit, then from step 2 on in halves.
    assert small.seen == [4, 4, 4, 4] + [2, 2] * 4
    assert (summary.step, summary.resumed_from) == (6, 0)
    assert load_checkpoint(tmp_path).progress["parts"] == 2
    told = [line for line in lines(tmp_path) if "batch_parts" in line]
    assert told == [{"step": 3, "batch_parts": 2}]
    assert [line["step"] for line in lines(tmp_path) if "means" in line] == [3, 6]


def test_alarms_after_going_back_are_told_as_before(tmp_path):
    told = []

    def turning_bad(number):
        batch = draw(number)
        return {**batch, "a": batch["a"] * float("nan")} if number == 4 else batch

    wanted = settings(halve_batch=True)
    with pytest.raises(TrainingError, match=r"T001.*step 5"):
        train(cyclegan(holds=2), turning_bad, run=tmp_path, settings=wanted, on_alarm=told.append)
    assert [(alarm.step, alarm.kind) for alarm in told] == [(5, "not finite")]


def test_going_back_keeps_the_best_checkpoint(tmp_path):
    small = cyclegan(holds=2, first_at=3)
    scores = iter([0.9, 0.1, 0.1])
    wanted = settings(halve_batch=True, validate_every=2)
    train(small, draw, run=tmp_path, settings=wanted, validate=lambda learner: next(scores))
    assert load_checkpoint(tmp_path, name="best").step == 2


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_stopped_and_resumed_it_goes_on_in_parts_bit_for_bit(tmp_path, step):
    wanted = settings(halve_batch=True)

    def stop(done):
        if done == step:
            raise StoppedError

    train(cyclegan(holds=2), draw, run=tmp_path / "whole", settings=wanted)
    with pytest.raises(StoppedError):
        train(cyclegan(holds=2), draw, run=tmp_path / "cut", settings=wanted, on_step=stop)
    again = cyclegan(holds=2)
    train(again, draw, run=tmp_path / "cut", settings=wanted)
    assert set(again.seen) == {2}, "it knows from the start that a whole batch does not fit"
    whole, cut = (load_checkpoint(tmp_path / name) for name in ("whole", "cut"))
    assert whole.progress == cut.progress
    for part, tensors in {**whole.tensors, "extra": whole.extra}.items():
        other = cut.extra if part == "extra" else cut.tensors[part]
        assert all(torch.equal(tensor, other[name]) for name, tensor in tensors.items()), part
    strip = [
        [{k: v for k, v in line.items() if k not in ("seconds", "images_per_s")} for line in lines(tmp_path / name)]
        for name in ("whole", "cut")
    ]
    assert strip[0] == strip[1]


def test_with_several_ranks_no_parts_are_offered(tmp_path, monkeypatch):
    monkeypatch.setattr("medgan.training.memory.ranks", lambda: 2)
    with pytest.raises(TrainingError, match=r"T008.*halve_batch cannot help: it works with one process alone"):
        train(cyclegan(holds=2), draw, run=tmp_path, settings=settings(halve_batch=True))


def test_one_sample_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match=r"T008.*halve_batch cannot help: a batch of 4 has no more parts"):
        train(cyclegan(holds=0), draw, run=tmp_path, settings=settings(halve_batch=True))


@pytest.mark.parametrize("asked", [True, False])
def test_a_learner_that_looks_across_the_batch_is_not_split(tmp_path, asked):
    class Full(Toy):
        def training_step(self, batch):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    class Counted(Full):
        averages_over_samples = True

    for learner, told in ((Full(), "its losses look"), (Counted(), "its batch normalisation looks")):
        with pytest.raises(TrainingError, match=rf"T008.*halve_batch cannot help: {told} across the batch"):
            train(learner, draw_toy, run=tmp_path / told[4:8], settings=settings(halve_batch=asked))


@pytest.mark.parametrize("name", discover.names("medgan.methods"))
def test_methods_that_say_so_average_over_samples(name, monkeypatch):
    """Every turn's losses of a batch are the means of those of its halves, weighted by their size.

    What is drawn for each sample is the same for all here: a part draws other numbers than the whole.
    """
    method = discover.load("medgan.methods", name).method
    if not method.averages_over_samples:
        pytest.skip(f"{name} does not say that its losses are means over samples")
    recipe = method.recipe_type.tiny()
    changes = {"pool_size": 0} if "pool_size" in type(recipe).model_fields else {}
    changes |= {"dropout": 0.0} if "dropout" in type(recipe).model_fields else {}
    torch.manual_seed(0)
    learner = method(recipe.model_copy(update=changes), shape=SampleShape(1, 1, 32))
    batch = draw(5)
    learner.fit(list(batch["a"]), list(batch["b"]))
    monkeypatch.setattr(torch, "rand", lambda *size, **kind: torch.full(size, 0.5, **kind))
    monkeypatch.setattr(torch, "randint", lambda high, size, **kind: torch.full(size, high - 1, **kind))
    list(learner.training_step(batch))  # what a method does to its weights behind a turn, such as clipping, is done
    whole = [turn.losses for turn in learner.training_step(batch)]
    split = [(share, [turn.losses for turn in learner.training_step(part)]) for share, part in in_parts(batch, 3)]
    for number, losses in enumerate(whole):
        for loss, value in losses.items():
            mean = sum(share * turns[number][loss] for share, turns in split)
            torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-6)


def test_parts_hold_every_sample_once():
    batch = {"a": torch.arange(7.0), "b": torch.arange(7)}
    parts = in_parts(batch, 3)
    assert [len(part["a"]) for _, part in parts] == [3, 2, 2]
    assert sum(share for share, _ in parts) == pytest.approx(1)
    assert torch.equal(torch.cat([part["b"] for _, part in parts]), batch["b"])
    assert in_parts(batch, 1)[0][0] == 1.0


def test_only_memory_counts():
    others = ["CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"]
    assert all(is_out_of_memory(error) for error in [*ERRORS, *map(RuntimeError, others)])
    assert not any(is_out_of_memory(error) for error in (RuntimeError("x"), ValueError(CPU), KeyboardInterrupt()))


def test_a_learner_does_not_split_unless_it_says_so():
    assert Learner.averages_over_samples is False
