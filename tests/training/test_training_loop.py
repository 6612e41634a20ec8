"""The loop: order of turns, frozen groups, schedule, resume bit for bit."""

import json
from typing import ClassVar

import pytest
import torch
from PIL import Image
from torch import nn
from training_toy import Toy, draw_toy

from medgan.errors import CheckpointError, RunError, TrainingError, WriteError
from medgan.samples.seeds import seed_for
from medgan.training.checkpoint import load_checkpoint
from medgan.training.identity import Identity
from medgan.training.learner import Learner, OptimizerSettings, Turn
from medgan.training.log import read_log
from medgan.training.loop import LoopSettings, train


class KilledError(Exception):
    pass


def settings(**changes):
    base = {
        "total_steps": 12,
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "log_every": 5,
        "preview_every": 6,
        "checkpoint_every_steps": 4,
        "ema_decay": 0.9,
    }
    return LoopSettings(**{**base, **changes})


def kill_at(step):
    def on_step(done):
        if done == step:
            raise KilledError

    return on_step


def comparable(run):
    """The log without its clocks."""
    return [{k: v for k, v in line.items() if k not in ("images_per_s", "seconds")} for line in read_log(run)]


def assert_same_state(one, other):
    assert one.step == other.step
    assert one.progress == other.progress
    parts = {**one.tensors, "extra": one.extra}, {**other.tensors, "extra": other.extra}
    assert parts[0].keys() == parts[1].keys() == {"learner", "optimizers", "ema", "extra"}
    for part in parts[0]:
        assert parts[0][part].keys() == parts[1][part].keys()
        for name, tensor in parts[0][part].items():
            assert torch.equal(tensor, parts[1][part][name]), f"{part}/{name}"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kills", [(3,), (4,), (7,), (5, 9, 11)], ids=str)
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, precision, kills):
    wanted = settings(precision=precision)
    train(Toy(), draw_toy, run=tmp_path / "whole", settings=wanted)
    for step in kills:
        torch.manual_seed(step)
        with pytest.raises(KilledError):
            train(Toy(), draw_toy, run=tmp_path / "cut", settings=wanted, on_step=kill_at(step))
    learner = Toy()
    summary = train(learner, draw_toy, run=tmp_path / "cut", settings=wanted)
    assert summary.resumed_from == kills[-1] // 4 * 4
    assert_same_state(load_checkpoint(tmp_path / "whole"), load_checkpoint(tmp_path / "cut"))
    assert comparable(tmp_path / "whole") == comparable(tmp_path / "cut")
    whole, cut = (load_checkpoint(tmp_path / name).tensors["learner"] for name in ("whole", "cut"))
    assert all(torch.equal(tensor, whole[name]) for name, tensor in learner.state_dict().items())
    assert len(cut) == len(whole)


def test_training_changes_the_weights_and_another_seed_changes_them_otherwise(tmp_path):
    ends = []
    for seed in (0, 1):
        learner = Toy()
        train(learner, draw_toy, run=tmp_path / str(seed), settings=settings(seed=seed))
        ends.append(learner.state_dict())
    start = Toy().state_dict()
    assert not torch.equal(start["g.0.weight"], ends[0]["g.0.weight"])
    assert not torch.equal(ends[0]["g.0.weight"], ends[1]["g.0.weight"])


def test_averages_follow_the_warmed_up_decay(tmp_path):
    seen = []
    learner = Toy()
    expected = learner.g[0].weight.detach().clone()

    def on_step(done):
        seen.append(learner.g[0].weight.detach().clone())

    train(learner, draw_toy, run=tmp_path, settings=settings(ema_decay=0.3), on_step=on_step)
    for step, weight in enumerate(seen):
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(load_checkpoint(tmp_path).tensors["ema"]["g.0.weight"], expected)


def test_the_log_tells_means_and_the_rate_of_the_last_step(tmp_path):
    train(Toy(), draw_toy, run=tmp_path, settings=settings(total_steps=10, log_every=4))
    lines = [line for line in read_log(tmp_path) if "means" in line]
    assert [line["step"] for line in lines] == [4, 8, 10]
    # Constant for five steps, then linear: step 7 (the eighth) has (10 - 7) / 5 of the rate.
    assert [line["learning_rate"]["generator"] for line in lines] == pytest.approx([1e-2, 6e-3, 2e-3])
    assert lines[0]["means"].keys() == {"generator", "discriminator"}
    assert lines[0]["means"]["generator"].keys() == {"adversarial", "identity", "gradient_norm"}


def test_the_means_are_those_of_the_losses(tmp_path):
    train(_Line(), lambda n: {"x": torch.full((1,), float(n))}, run=tmp_path, settings=settings(total_steps=4))
    (line,) = [line for line in read_log(tmp_path) if "means" in line]
    assert line["means"]["all"]["number"] == pytest.approx((0 + 1 + 2 + 3) / 4)


def test_the_weights_are_those_of_adam_with_a_falling_rate(tmp_path):
    def draw(number):
        generator = torch.Generator().manual_seed(number)
        return {"x": torch.randn(3, 1, generator=generator)}

    torch.manual_seed(1)
    learner, plain = _Squares(), _Squares()
    plain.load_state_dict(learner.state_dict())
    adam = torch.optim.Adam(plain.parameters(), lr=0.1, betas=(0.5, 0.9), weight_decay=0.01)
    for step in range(6):
        adam.param_groups[0]["lr"] = 0.1 * [1, 1, 1, 1, 2 / 3, 1 / 3][step]
        adam.zero_grad()
        plain.net(draw(step)["x"]).square().mean().backward()
        adam.step()
    train(learner, draw, run=tmp_path, settings=settings(total_steps=6, preview_every=None))
    torch.testing.assert_close(learner.net.weight, plain.net.weight)
    torch.testing.assert_close(learner.net.bias, plain.net.bias)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_every_turn_runs_in_the_precision_asked_for(tmp_path, precision, dtype):
    seen = []

    class Spy(Toy):
        def training_step(self, batch):
            for turn in super().training_step(batch):
                seen.append(self.d(batch["a"]).dtype)
                yield turn
            seen.append(self.d(batch["a"]).dtype)

    learner = Spy()
    train(learner, draw_toy, run=tmp_path, settings=settings(total_steps=1, precision=precision))
    assert seen == [dtype] * 3
    assert all(parameter.dtype == torch.float32 for parameter in learner.parameters())


def test_only_the_turns_own_group_gets_gradients(tmp_path):
    class Spy(Toy):
        def training_step(self, batch):
            for turn in super().training_step(batch):
                own = set(self.parameters_of(turn.group))
                frozen = [p for p in self.parameters() if p not in own]
                assert all(p.requires_grad for p in own)
                assert not any(p.requires_grad for p in frozen)
                before = [p.detach().clone() for p in frozen]
                yield turn
                assert all(p.grad is None for p in frozen)
                assert all(torch.equal(p, old) for p, old in zip(frozen, before, strict=True))

    learner = Spy()
    train(learner, draw_toy, run=tmp_path, settings=settings(total_steps=2))
    assert all(p.requires_grad for p in learner.parameters())
    assert not learner.training


def test_a_network_of_no_group_stays_frozen(tmp_path):
    learner = Toy()
    learner.features = nn.Conv2d(1, 1, 1).requires_grad_(False)
    before = learner.features.weight.clone()
    train(learner, draw_toy, run=tmp_path, settings=settings(total_steps=2))
    assert torch.equal(before, learner.features.weight)
    assert not learner.features.weight.requires_grad


def test_the_callers_random_state_is_left_alone(tmp_path):
    learner = Toy()
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    train(learner, draw_toy, run=tmp_path, settings=settings(total_steps=2))
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize(
    ("order", "told"),
    [(("discriminator", "generator"), "a turn of 'discriminator'"), (("generator",), "no more turns")],
)
def test_turns_out_of_order_are_refused(tmp_path, order, told):
    class Wrong(Toy):
        def training_step(self, batch):
            for group in order:
                network = self.g if group == "generator" else self.d
                yield Turn(group, {"loss": network(batch["a"]).mean()})

    with pytest.raises(TrainingError, match=rf"T002.*{told}"):
        train(Wrong(), draw_toy, run=tmp_path, settings=settings())


def test_more_turns_than_announced_are_refused(tmp_path):
    class Wrong(Toy):
        def training_step(self, batch):
            yield from super().training_step(batch)
            yield Turn("generator", {"loss": torch.zeros(())})

    with pytest.raises(TrainingError, match=r"T002.*more turns"):
        train(Wrong(), draw_toy, run=tmp_path, settings=settings())


def test_a_parameter_in_two_groups_is_refused(tmp_path):
    learner = Toy()
    learner.d = learner.g
    with pytest.raises(TrainingError, match=r"T004.*'generator' and 'discriminator'"):
        train(learner, draw_toy, run=tmp_path, settings=settings())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_names_the_last_good_checkpoint(tmp_path, value):
    def poisoned(number):
        batch = draw_toy(number)
        return {**batch, "a": batch["a"] * value} if number == 6 else batch

    with pytest.raises(TrainingError, match=r"T001.*step 7.*step_00000004"):
        train(Toy(), poisoned, run=tmp_path, settings=settings(preview_every=None))
    assert load_checkpoint(tmp_path).step == 4
    alarm = read_log(tmp_path)[-1]
    assert (alarm["step"], alarm["alarm"], alarm["fatal"]) == (7, "not finite", True)
    # Mended, the run goes on, and the alarm of a step done again is gone.
    train(Toy(), draw_toy, run=tmp_path, settings=settings(preview_every=None))
    assert not [line for line in read_log(tmp_path) if "alarm" in line]


def test_a_finished_run_is_left_as_it_is(tmp_path):
    train(Toy(), draw_toy, run=tmp_path, settings=settings())
    before = (tmp_path / "log.jsonl").read_text()
    summary = train(Toy(), draw_toy, run=tmp_path, settings=settings(), on_step=kill_at(1))
    assert (summary.step, summary.resumed_from) == (12, 12)
    assert (tmp_path / "log.jsonl").read_text() == before


def test_without_resume_a_run_that_has_begun_is_refused(tmp_path):
    train(Toy(), draw_toy, run=tmp_path, settings=settings())
    with pytest.raises(RunError, match="J002"):
        train(Toy(), draw_toy, run=tmp_path, settings=settings(), resume=False)


def test_other_settings_are_refused_with_the_differences(tmp_path):
    train(Toy(), draw_toy, run=tmp_path, settings=settings())
    with pytest.raises(
        CheckpointError, match=r"C005.*settings.seed 0; settings.total_steps 12; expected .*seed 4"
    ) as error:
        train(Toy(), draw_toy, run=tmp_path, settings=settings(seed=4, total_steps=20, checkpoint_every_steps=2))
    assert "checkpoint_every_steps" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "unit"}, 'identity.method "cyclegan"; expected identity.method "unit"'),
        ({"shape": {"channels": 3}}, "identity.shape.channels 1; expected identity.shape.channels 3"),
        ({"directions": ("b", "a")}, "identity.directions"),
        ({"context": {"direction": {"source": "t1"}}}, 'direction.source unset; expected .*direction.source "t1"'),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_with_both_values(tmp_path, change, told):
    base = {"method": "cyclegan", "shape": {"channels": 1}, "directions": ("b",)}
    train(Toy(), draw_toy, run=tmp_path, settings=settings(total_steps=1), identity=Identity(**base))
    with pytest.raises(CheckpointError, match=rf"C004.*{told}"):
        train(Toy(), draw_toy, run=tmp_path, settings=settings(total_steps=1), identity=Identity(**{**base, **change}))


def test_another_intensity_contract_is_refused(tmp_path):
    old, new = (Identity(method="m", intensity={"a": {"low": low}}) for low in (-1024, -1000))
    train(Toy(), draw_toy, run=tmp_path, settings=settings(total_steps=1), identity=old)
    with pytest.raises(CheckpointError, match=r"C005.*identity.intensity.a.low -1024.*-1000"):
        train(Toy(), draw_toy, run=tmp_path, settings=settings(total_steps=1), identity=new)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    train(Toy(), draw_toy, run=tmp_path, settings=settings())
    learner = Toy()
    learner.g[0] = nn.Conv2d(1, 4, 3, padding=1)
    with pytest.raises(CheckpointError, match=r"C004.*size mismatch"):
        train(learner, draw_toy, run=tmp_path, settings=settings())


def test_a_disk_too_small_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(WriteError, match="W011"):
        train(Toy(), draw_toy, run=tmp_path, settings=settings(), on_step=kill_at(1))


def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="W010"):
        train(Toy(), draw_toy, run=tmp_path / "file" / "run", settings=settings(), on_step=kill_at(1))


def test_the_best_score_is_kept_besides_the_newest(tmp_path):
    scores = iter([0.5, 0.9, 0.1, float("nan"), 0.2, 0.3])
    modes = []

    def validate(learner):
        modes.append((learner.training, torch.is_grad_enabled()))
        return next(scores)

    wanted = settings(validate_every=2, checkpoint_every_steps=2)
    summary = train(Toy(), draw_toy, run=tmp_path, settings=wanted, validate=validate)
    assert summary.best_score == 0.9
    assert load_checkpoint(tmp_path, name="best").step == 4
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("step_*"))
    assert kept == ["step_00000004", "step_00000010", "step_00000012"]
    assert set(modes) == {(False, False)}
    assert [line["score"] for line in read_log(tmp_path) if "score" in line] == [0.5, 0.9, 0.1, None, 0.2, 0.3]


def test_validation_and_previews_do_not_change_what_is_learned(tmp_path):
    plain = settings(preview_every=None)
    train(Toy(), draw_toy, run=tmp_path / "plain", settings=plain)
    watched = settings(preview_every=1, validate_every=1)
    train(Toy(), draw_toy, run=tmp_path / "watched", settings=watched, validate=lambda learner: float(torch.rand(())))
    one, other = (load_checkpoint(tmp_path / name).tensors["learner"] for name in ("plain", "watched"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_previews_show_four_samples_in_rows(tmp_path):
    train(Toy(), draw_toy, run=tmp_path, settings=settings())
    assert [path.name for path in sorted((tmp_path / "previews").iterdir())] == [
        "step_00000006.png",
        "step_00000012.png",
    ]
    with Image.open(tmp_path / "previews" / "step_00000006.png") as picture:
        assert picture.info["rows"] == "real_a, fake_b"
        assert picture.size == (4 * 6, 2 * 6)
        shown = round((float(draw_toy(0)["a"][0, 0, 0, 0]) + 1) * 127.5)
        assert picture.getpixel((0, 0)) == (shown,) * 3


def test_a_learner_without_turns_leaves_a_checkpoint(tmp_path):
    summary = train(Learner(), draw_toy, run=tmp_path, settings=settings(total_steps=0))
    assert summary.checkpoint.name == "step_00000000"


def test_several_turns_of_one_group_are_taken_in_order(tmp_path):
    learner = _Critic()
    train(learner, draw_toy, run=tmp_path, settings=settings(total_steps=3))
    steps = load_checkpoint(tmp_path).tensors["optimizers"]
    assert steps["critic/d.weight/step"] == 6
    assert steps["generator/g.weight/step"] == 3


def test_each_step_starts_from_its_own_seed(tmp_path):
    seen = []

    class Noisy(_Line):
        def training_step(self, batch):
            seen.append(float(torch.rand(())))
            yield from super().training_step(batch)

    train(Noisy(), lambda n: {"x": torch.ones(1)}, run=tmp_path, settings=settings(total_steps=2, seed=9))
    torch.manual_seed(seed_for(9, "step", 1, 0))
    assert seen[1] == float(torch.rand(()))


def test_each_start_leaves_a_line(tmp_path):
    for _ in range(2):
        train(Toy(), draw_toy, run=tmp_path, settings=settings(total_steps=1))
    lines = [json.loads(line) for line in (tmp_path / "starts.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1]
    assert json.loads((tmp_path / "settings.json").read_text())["resolved"]["precision"] == "fp32"


class _Line(Learner):
    groups: ClassVar = {"all": ("net",)}

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(1, 1)

    def optimizer(self, group):
        return OptimizerSettings()

    def training_step(self, batch):
        yield Turn("all", {"number": batch["x"].mean() + 0 * self.net(batch["x"][:, None]).mean()})


class _Squares(_Line):
    def optimizer(self, group):
        return OptimizerSettings(learning_rate=0.1, betas=(0.5, 0.9), weight_decay=0.01, decay_from=0.5)

    def training_step(self, batch):
        yield Turn("all", {"squares": self.net(batch["x"]).square().mean()})


class _Critic(Learner):
    groups: ClassVar = {"critic": ("d",), "generator": ("g",)}
    turns = ("critic", "critic", "generator")

    def __init__(self):
        super().__init__()
        self.d, self.g = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    def optimizer(self, group):
        return OptimizerSettings()

    def training_step(self, batch):
        for _ in range(2):
            yield Turn("critic", {"gap": self.d(self.g(batch["a"]).detach()).mean() - self.d(batch["b"]).mean()})
        yield Turn("generator", {"adversarial": -self.d(self.g(batch["a"])).mean()})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_and_resumes(tmp_path):
    wanted = settings(device="cuda", precision="bf16", validate_every=4)

    def score(learner):
        return float(learner.g[0].weight.sum())

    with pytest.raises(KilledError):
        train(Toy(), draw_toy, run=tmp_path, settings=wanted, on_step=kill_at(7), validate=score)
    learner = Toy()
    summary = train(learner, draw_toy, run=tmp_path, settings=wanted, validate=score)
    assert (summary.step, summary.resumed_from) == (12, 4)
    assert all(parameter.is_cuda and parameter.isfinite().all() for parameter in learner.parameters())
