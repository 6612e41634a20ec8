"""Each alarm, provoked by a learner that misbehaves, through the loop."""

import pytest
import torch
from torch import nn
from training_misbehaving import (
    Fitted,
    as_b,
    cyclegan,
    draw_paired,
    draw_unpaired,
    pix2pix,
    settings,
    shapes,
)
from training_toy import Toy

from medgan.errors import TrainingError
from medgan.training.alarms import pictures
from medgan.training.alarms.alarm import Bell
from medgan.training.alarms.numbers import Trend, look_at
from medgan.training.alarms.spectrum import find_pattern
from medgan.training.checkpoint import load_checkpoint
from medgan.training.log import read_log
from medgan.training.loop import train


def alarms_in(run):
    return [(line["step"], line["alarm"], line["fatal"]) for line in read_log(run) if "alarm" in line]


def zero_last_layer(network):
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)


@pytest.fixture
def at_once(monkeypatch):
    """Judge pictures from the first step on."""
    monkeypatch.setattr(pictures, "SETTLED_STEPS", 0)


def test_a_learning_rate_of_a_hundred_diverges_and_the_run_stops(tmp_path):
    told = []
    learner = pix2pix(learning_rate=100.0, adversarial="least-squares")
    wanted = settings(preview_every=None, checkpoint_every_steps=40)
    with pytest.raises(TrainingError, match=r"T006.*over 100 times.*last good checkpoint is none"):
        train(learner, draw_paired, run=tmp_path, settings=wanted, on_alarm=told.append)
    assert alarms_in(tmp_path) == [(100, "divergence", True)]
    assert [(alarm.step, alarm.kind) for alarm in told] == [(100, "divergence")]
    # The losses that led to it are in the log, before the alarm.
    assert [line["step"] for line in read_log(tmp_path) if "means" in line] == [20, 40, 60, 80, 100]


def test_the_last_good_checkpoint_is_one_from_before_the_loss_grew(tmp_path):
    class Growing(Toy):
        turn = 0

        def training_step(self, batch):
            self.turn += 1
            for turn in super().training_step(batch):
                factor = 1.1 ** max(0, self.turn - 130)
                yield turn._replace(losses={name: loss * factor for name, loss in turn.losses.items()})

    def draw(number):
        return {name: torch.rand((2, 1, 4, 4), generator=torch.Generator().manual_seed(number)) for name in "ab"}

    wanted = settings(total_steps=400, preview_every=None, checkpoint_every_steps=20, keep_checkpoints=9)
    with pytest.raises(TrainingError, match=r"T006") as error:
        train(Growing(), draw, run=tmp_path, settings=wanted)
    first, fatal = [step for step, kind, _ in alarms_in(tmp_path) if kind == "divergence"][:2]
    named = int(error.value.remedy.split("step_")[1][:8])
    assert named < first < fatal
    assert load_checkpoint(tmp_path).step > named
    assert named + 20 >= first


def test_a_generator_driven_into_saturation_has_no_gradient_left(tmp_path):
    # Its tanh is at its ends, where the slope is zero in fp32.
    train(pix2pix(learning_rate=3.0), draw_paired, run=tmp_path, settings=settings(preview_every=None))
    found = [entry for entry in alarms_in(tmp_path) if entry[1] == "vanishing gradient"]
    assert found
    assert found[0][0] >= 200


def test_a_discriminator_that_always_knows_is_saturation(tmp_path):
    class Outdone(Toy):
        """Real images are bright and the generator cannot leave the dark."""

        def training_step(self, batch):
            yield from super().training_step({"a": batch["a"] * 0 - 0.9, "b": batch["b"] * 0 + 0.9})

    learner = Outdone()
    learner.g = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Tanh(), nn.Threshold(0.0, -0.5))
    nn.init.constant_(learner.g[0].bias, -3.0)

    def draw(number):
        return {name: torch.ones((2, 1, 2, 2)) for name in "ab"}

    wanted = settings(total_steps=1100, preview_every=None, checkpoint_every_steps=1000)
    train(learner, draw, run=tmp_path, settings=wanted)
    kinds = [kind for _, kind, _ in alarms_in(tmp_path)]
    assert kinds.count("saturation") == 1


def test_a_penalty_of_zero_is_no_saturation():
    """R1 is zero in every step in which it is not due."""
    trend, found = Trend(), []
    for step in range(700):
        losses = {"adversarial_a": 0.7, "r1_a": 0.0, "gradient_penalty_a": 1e-4}
        found += look_at(trend, step, "discriminator", losses=losses, gradient_norm=1.0)
    assert found == []
    for step in range(700, 2200):  # the average has to forget the others first
        found += look_at(trend, step, "discriminator", losses={"adversarial_a": 1e-4}, gradient_norm=1.0)
    assert [alarm.kind for alarm in found] == ["saturation"]


def test_a_critic_that_sees_no_distance_is_not_saturated():
    """Its loss is minus the distance: near zero it tells nothing apart, which is the contrary."""
    trend, found = Trend(), []
    for step in range(900):
        losses = {"adversarial": (-1) ** step * 1e-4, "classification": 0.3}
        found += look_at(trend, step, "discriminator", losses=losses, gradient_norm=1.0)
    assert found == []
    assert trend.distances == ["adversarial"]


def test_a_critic_that_sees_a_growing_distance_has_not_diverged():
    """A Wasserstein critic's loss is minus the distance, which begins near zero."""
    trend, found = Trend(), []
    for step in range(400):
        distance = {"adversarial_a": -0.02 - step}
        found += look_at(trend, step, "discriminator", losses=distance, gradient_norm=1.0)
    found += look_at(trend, 400, "discriminator", losses={"adversarial_a": 0.05}, gradient_norm=1.0)
    assert found == [], "one turn on the other side of zero"
    for step in range(401, 501):
        found += look_at(trend, step, "discriminator", losses={"adversarial_a": 1000.0}, gradient_norm=1.0)
    assert {alarm.kind for alarm in found} == {"divergence"}


def test_a_generator_whose_last_layer_is_zero_collapses_and_in_the_end_stops(tmp_path):
    learner = pix2pix(learning_rate=1e-12)
    zero_last_layer(learner.g_ab)
    wanted = settings(preview_every=2, checkpoint_every_steps=5, keep_checkpoints=9)
    with pytest.raises(TrainingError, match=r"T007.*5 previews in a row; the last good checkpoint is none"):
        train(learner, draw_paired, run=tmp_path, settings=wanted)
    assert alarms_in(tmp_path) == [(2, "collapse", False), (10, "collapse", True)]


def test_a_generator_that_turns_dark_and_bright_round_is_told_and_not_stopped(tmp_path, at_once):
    summary = train(Fitted(lambda a: -a), draw_unpaired, run=tmp_path, settings=settings(total_steps=150))
    (alarm,) = summary.alarms
    assert (alarm.step, alarm.kind, alarm.fatal) == (100, "inversion", False)
    assert "without pairs nothing tells" in alarm.reason


def test_a_generator_that_gives_its_input_back_is_told(tmp_path, at_once):
    learner = cyclegan(predicts="change", learning_rate=1e-12)
    for network in (learner.g_ab, learner.g_ba):
        zero_last_layer(network)

    def draw(number):
        return {"a": shapes(2 * number, 2), "b": 0.3 * shapes(2 * number + 1, 2) + 0.6}

    train(learner, draw, run=tmp_path, settings=settings(total_steps=6, preview_every=2))
    assert alarms_in(tmp_path) == [(4, "unchanged", False)] * 2


@pytest.mark.parametrize(("upsampling", "told"), [("transposed", True), ("resize", False)])
def test_transposed_convolutions_of_uneven_overlap_leave_a_checkerboard_that_is_told(
    tmp_path, at_once, upsampling, told
):
    # Kernel 3 at stride 2: every other pixel gets more than its neighbours.
    learner = cyclegan(upsampling=upsampling, learning_rate=1e-5)
    train(learner, draw_unpaired, run=tmp_path, settings=settings(total_steps=4, preview_every=2))
    assert ("checkerboard" in [kind for _, kind, _ in alarms_in(tmp_path)]) is told


@pytest.mark.slow
@pytest.mark.parametrize(("build", "draw"), [(cyclegan, draw_unpaired), (pix2pix, draw_paired)])
def test_a_short_healthy_run_raises_none(tmp_path, build, draw):
    summary = train(build(), draw, run=tmp_path, settings=settings(preview_every=100))
    assert summary.step == 300
    assert summary.alarms == ()


@pytest.mark.parametrize("kills", [(3,), (9,), (4, 7)], ids=str)
def test_alarms_of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path, at_once, kills):
    class KilledError(Exception):
        pass

    def kill_at(step):
        def on_step(done):
            if done == step:
                raise KilledError

        return on_step

    def learner():
        return cyclegan(upsampling="transposed", learning_rate=1e-5)

    wanted = settings(total_steps=10, preview_every=2, checkpoint_every_steps=3)
    train(learner(), draw_unpaired, run=tmp_path / "whole", settings=wanted)
    for step in kills:
        with pytest.raises(KilledError):
            train(learner(), draw_unpaired, run=tmp_path / "cut", settings=wanted, on_step=kill_at(step))
    train(learner(), draw_unpaired, run=tmp_path / "cut", settings=wanted)
    assert alarms_in(tmp_path / "whole")
    assert alarms_in(tmp_path / "whole") == alarms_in(tmp_path / "cut")
    assert load_checkpoint(tmp_path / "whole").progress == load_checkpoint(tmp_path / "cut").progress


class TestPictures:
    def judged(self, fake, source, target, *, paired):
        one = pictures.Translation("fake_b", fake, source, target, paired)
        return {finding.kind: finding for finding in pictures.findings(one)}

    def test_inversion_is_right_where_the_true_pairs_have_it(self):
        a = shapes(0, 4)
        assert not self.judged(-a, a, -a, paired=True)["inversion"].present
        found = self.judged(-a, a, as_b(a), paired=True)["inversion"]
        assert found.present
        assert "where true images have 0.9" in found.reason

    def test_doing_nothing_is_right_where_the_domains_do_not_differ(self):
        a, b = shapes(0, 4), shapes(1, 4)
        assert "unchanged" not in self.judged(a, a, a + 0.01, paired=True)
        assert "unchanged" not in self.judged(a, a, b, paired=False)
        assert self.judged(a, a, b * 0.5 + 0.5, paired=False)["unchanged"].present
        assert not self.judged(b * 0.5 + 0.5, a, b * 0.5 + 0.5, paired=False)["unchanged"].present

    def test_every_domain_of_a_preview_is_judged(self):
        real = {letter: shapes(number, 4) for number, letter in enumerate("abc")}
        shown = {"real_a": real["a"], "fake_b": real["a"], "fake_c": -real["a"], "fake_a": real["b"]}
        found = {one.name: one for one in pictures.translations(shown, real=real, paired=False)}
        assert list(found) == ["fake_b", "fake_a", "fake_c"]
        assert torch.equal(found["fake_c"].source, real["a"])
        assert torch.equal(found["fake_c"].target, real["c"])
        assert torch.equal(found["fake_a"].source, real["b"])
        kinds = {finding.kind for finding in pictures.findings(found["fake_c"]) if finding.present}
        assert kinds == {"inversion"}

    def test_variety_is_measured_against_the_domain_that_has_less(self):
        a = shapes(0, 4)
        alike = 0.2 * a - 0.5
        assert not self.judged(alike, a, alike, paired=False)["collapse"].present
        assert self.judged(0.005 * a, a, alike, paired=False)["collapse"].present


class TestPattern:
    def noise(self, size_px=64, seed=0):
        return torch.randn((4, 1, size_px, size_px), generator=torch.Generator().manual_seed(seed)) * 0.2

    @pytest.mark.parametrize("period", [(2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 4)])
    def test_a_pattern_is_found_with_its_period_and_height(self, period):
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
        turns = sum(place / every for place, every in zip((rows, columns), period, strict=True) if every > 1)
        wave = 0.1 * torch.cos(2 * torch.pi * turns)
        found = find_pattern(self.noise() + wave)
        assert found.period_px == period
        assert found.peak > 20
        # A line and its mirror image share the energy of all but the finest pattern.
        expected = 0.1 if 4 not in period else 0.05
        assert found.height == pytest.approx(expected, rel=0.1)

    def test_texture_edges_and_blank_images_have_none(self):
        assert max(find_pattern(self.noise(seed=seed)).peak for seed in range(20)) < 4
        bars = torch.where(torch.arange(64) % 13 < 6, 0.8, -0.8).expand(2, 1, 64, 64)
        assert find_pattern(bars).peak < 10
        assert find_pattern(torch.zeros(2, 3, 64, 64)).peak == pytest.approx(1)
        framed = torch.full((2, 1, 64, 64), -1.0)
        framed[..., 10:50, 7:40] = 0.5
        assert find_pattern(framed).peak < 10

    def test_small_pictures_are_not_judged(self):
        assert find_pattern(torch.rand(2, 1, 31, 64)) is None


def test_a_bell_rings_once_until_the_sign_has_been_gone():
    bell = Bell()
    looks = [True, True, True, False, True, True, False, False, True, True]
    rung = [bell.rings(step, present=present, after=2, clears=2) for step, present in enumerate(looks)]
    assert [step for step, rang in enumerate(rung) if rang] == [1, 9]
    assert bell.since == 8
