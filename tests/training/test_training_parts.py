"""Schedule, device, log and averages, each by itself."""

import json
from typing import ClassVar

import pytest
import torch
from training_toy import Toy

from medgan.errors import TrainingError
from medgan.training.device import lay_out, pick_device, pick_layout, pick_precision, placed, seeded
from medgan.training.ema import Ema
from medgan.training.learner import Learner, OptimizerSettings
from medgan.training.log import Means, RunLog, read_log
from medgan.training.preview import fixed_samples
from medgan.training.schedule import rate_factor
from medgan.training.state import TrainingState


@pytest.mark.parametrize(
    ("step", "total", "decay_from", "factor"),
    [
        (0, 100, 0.5, 1.0),
        (50, 100, 0.5, 1.0),
        (51, 100, 0.5, 0.98),
        (75, 100, 0.5, 0.5),
        (99, 100, 0.5, 0.02),
        (100, 100, 0.5, 0.0),
        (0, 10, 0.0, 1.0),
        (4, 10, 0.0, 0.6),
        (99, 100, 1.0, 1.0),
        (100, 100, 1.0, 1.0),
        (2, 3, 0.5, 2 / 3),
        (0, 1, 0.5, 1.0),
    ],
)
def test_schedule_values(step, total, decay_from, factor):
    assert rate_factor(step, total_steps=total, decay_from=decay_from) == pytest.approx(factor, abs=1e-15)


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    with pytest.raises(TrainingError, match="T003"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda", 1)
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("has", [True, False])
def test_precision_follows_the_hardware_unless_named(monkeypatch, has):
    cpu = torch.device("cpu")
    for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, check, lambda: has)
    assert pick_precision("auto", cpu) == ("bf16" if has else "fp32")
    assert pick_precision("fp32", cpu) == "fp32"
    assert pick_precision("bf16", cpu) == "bf16"


@pytest.mark.parametrize("matrices", [True, False])
def test_layout_follows_the_hardware_and_the_learner(monkeypatch, matrices):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: matrices)
    learner, cpu = Toy(), torch.device("cpu")
    assert pick_layout(learner, cpu, "bf16") == torch.contiguous_format
    learner.channels_last = True
    assert pick_layout(learner, cpu, "bf16") == (torch.channels_last if matrices else torch.contiguous_format)
    assert pick_layout(learner, cpu, "fp32") == torch.contiguous_format
    assert pick_layout(learner, torch.device("cuda"), "fp32") == torch.channels_last


def test_batches_and_weights_take_the_layout():
    image, label = torch.rand(2, 3, 4, 5), torch.zeros(2, dtype=torch.long)
    moved = placed(image, torch.device("cpu"), torch.channels_last)
    assert moved.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved, image)
    assert torch.equal(placed(label, torch.device("cpu"), torch.channels_last), label)
    learner = Toy()
    learner.extra = torch.nn.Conv2d(3, 4, 3)
    lay_out(learner, torch.channels_last)
    assert learner.extra.weight.is_contiguous(memory_format=torch.channels_last)


def test_seeded_repeats_and_gives_back():
    torch.manual_seed(1)
    wanted = torch.rand(2)
    torch.manual_seed(1)
    with seeded(0, "weights"):
        one = torch.rand(2)
    assert torch.equal(torch.rand(2), wanted)
    with seeded(0, "weights"):
        assert torch.equal(torch.rand(2), one)
    with seeded(0, "other"):
        assert not torch.equal(torch.rand(2), one)


def test_a_resumed_log_loses_what_will_be_done_again_and_what_was_cut_short(tmp_path):
    log = RunLog(tmp_path, step=0)
    for step in (1, 2, 3):
        log.write(step, {"x": step / 3})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "x"')
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3]
    before = (tmp_path / "log.jsonl").read_text().splitlines()
    RunLog(tmp_path, step=2).close()
    assert (tmp_path / "log.jsonl").read_text().splitlines() == before[:2]


def test_a_line_can_be_read_at_once(tmp_path):
    log = RunLog(tmp_path, step=0)
    log.write(1, {"x": 2})
    assert read_log(tmp_path) == [{"step": 1, "x": 2}]
    log.close()


def test_tensorboard_gets_the_numbers(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra tensorboard"
    )
    log = RunLog(tmp_path, step=0, tensorboard=True)
    log.write(3, {"means": {"generator": {"cycle": 0.5}}, "alarm": "collapse", "fatal": False})
    log.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Tags()["scalars"] == ["means/generator/cycle"]
    (event,) = events.Scalars("means/generator/cycle")
    assert (event.step, event.value) == (3, 0.5)


def test_tensorboard_that_is_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainingError, match=r"T005.*medgan\[tensorboard\]"):
        RunLog(tmp_path, step=0, tensorboard=True)


def test_means_go_on_after_json():
    whole, first = Means(), Means()
    numbers = [0.1, 0.7, 1e-9, 3.3]
    for number in numbers:
        whole.add("g", {"x": number})
    for number in numbers[:2]:
        first.add("g", {"x": number})
    second = Means(json.loads(json.dumps(first.state())))
    for number in numbers[2:]:
        second.add("g", {"x": number})
    assert second.take() == whole.take()
    assert whole.take() == {}


def test_averages_stand_in_for_the_weights_and_leave():
    learner = Toy()
    ema = Ema(learner, decay=0.5)
    with torch.no_grad():
        learner.g[0].weight.add_(1.0)
        learner.g[1].num_batches_tracked.add_(7)
    ema.update(100)
    live = learner.g[0].weight.detach().clone()
    with ema.in_place():
        torch.testing.assert_close(learner.g[0].weight, live - 0.5)
        assert learner.g[1].num_batches_tracked == 7
    assert torch.equal(learner.g[0].weight, live)
    with pytest.raises(ZeroDivisionError), ema.in_place():
        _ = 1 / 0
    assert torch.equal(learner.g[0].weight, live)


def test_fixed_samples_are_the_first_four():
    samples = fixed_samples(lambda n: {"a": torch.full((1, 1, 2, 2), float(n)), "label": torch.tensor([n])})
    assert samples["a"][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert samples["label"].tolist() == [0, 1, 2, 3]
    unlike = fixed_samples(lambda n: {"a": torch.zeros(1, 1, 2 + n, 2)})
    assert unlike["a"].shape == (1, 1, 2, 2)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_channels_last_kernels_are_stepped_as_others_are(name: str) -> None:
    """The optimizer sees them with the channels behind; weights, gradients and what it keeps stay where they belong."""
    states = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        learner = _Kernel(name)
        lay_out(learner, layout)
        state = TrainingState(learner, ema_decay=None)
        for seed in range(3):
            gradient = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(seed))
            learner.net.weight.grad = gradient.contiguous(memory_format=layout)
            state.step("net", learning_rate=0.1)
            assert learner.net.weight.grad is None
        if layout == torch.channels_last:
            kept = {
                part: {key: one.clone() for key, one in tensors.items()} for part, tensors in state.capture().items()
            }
            again = _Kernel(name)
            lay_out(again, layout)
            other = TrainingState(again, ema_decay=None)
            other.restore(kept, extra={})
            for one, two in ((state, learner), (other, again)):
                two.net.weight.grad = gradient.contiguous(memory_format=layout)
                one.step("net", learning_rate=0.1)
            assert torch.equal(learner.net.weight, again.net.weight)
        else:
            learner.net.weight.grad = gradient
            state.step("net", learning_rate=0.1)
        states[layout] = state.capture()
    plain, last = states.values()
    for part in plain:
        assert plain[part].keys() == last[part].keys()
        for key, tensor in plain[part].items():
            assert tensor.shape == last[part][key].shape, key
            torch.testing.assert_close(last[part][key], tensor)


class _Kernel(Learner):
    """One convolution."""

    groups: ClassVar = {"net": ("net",)}

    def __init__(self, optimizer: str) -> None:
        super().__init__()
        self.name = optimizer
        self.net = torch.nn.Conv2d(5, 6, 3)

    def optimizer(self, group: str) -> OptimizerSettings:
        return OptimizerSettings(0.1, name=self.name)
