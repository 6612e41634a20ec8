"""Alarms, each provoked."""

import json
import math

import pytest
import torch
from training_toy import Toy, draw_toy

from medgan.training.log import read_log
from medgan.training.loop import LoopSettings, train
from medgan.training.watch import Watch


def feed(watch, losses, group="generator", start=0):
    return [
        alarm
        for step, loss in enumerate(losses, start=start + 1)
        for alarm in watch.turn(step, group, losses={"loss": loss}, gradient_norm=1.0)
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_fatal(value):
    (alarm,) = feed(Watch(), [value])
    assert (alarm.step, alarm.kind, alarm.fatal) == (1, "not finite", True)
    assert f"loss is {value}" in alarm.reason


def test_a_gradient_that_is_not_finite_is_fatal():
    (alarm,) = Watch().turn(4, "g", losses={"loss": 1.0}, gradient_norm=math.nan)
    assert alarm.fatal
    assert "gradient is nan" in alarm.reason


def test_a_saturated_discriminator_is_told_once_until_it_recovers():
    watch = Watch()
    (alarm,) = feed(watch, [0.3] * 150 + [1e-4] * 900, "discriminator")
    assert (alarm.kind, alarm.fatal) == ("saturation", False)
    # 0.3 * 0.98**n falls under 0.01 at n = 169; 499 turns later there have been 500.
    assert alarm.step == 150 + 169 + 499
    assert not feed(watch, [0.005] * 100, "discriminator")
    assert not feed(watch, [0.2] * 100, "discriminator")
    (again,) = feed(watch, [1e-4] * 1000, "discriminator")
    assert again.kind == "saturation"


def test_a_small_generator_loss_is_no_saturation():
    assert not feed(Watch(), [1e-4] * 700)


def test_growth_to_ten_times_the_lowest_and_above_the_start_is_divergence():
    watch = Watch()
    assert not feed(watch, [2.0] * 150)
    (alarm,) = feed(watch, [2.0 * 1.1**n for n in range(60)], start=150)
    assert (alarm.kind, alarm.fatal) == ("divergence", False)


@pytest.mark.parametrize(
    "losses",
    [
        [10.0 * 0.99**n for n in range(600)],
        [1.0] * 200 + [5.0] * 300,
        [1.0] * 120 + [0.02] * 400 + [0.9] * 400,
        [1.0 + (-1) ** n for n in range(500)],
        [500.0] + [1.0] * 400,
    ],
    ids=["falling", "five times", "recovered", "wavering", "early spike"],
)
def test_ordinary_training_raises_no_alarm(losses):
    assert not feed(Watch(), losses)


def test_pictures_alike_for_unlike_samples_are_collapse():
    real = {side: torch.rand(4, 1, 8, 8) * 2 - 1 for side in "ab"} | {"label": torch.tensor([0, 1, 0, 1])}
    same = torch.rand(1, 1, 8, 8).repeat(4, 1, 1, 1)
    watch = Watch()
    (alarm,) = watch.pictures(9, {"real_a": real["a"], "fake_b": same}, real=real)
    assert (alarm.step, alarm.kind, alarm.fatal) == (9, "collapse", False)
    assert "fake_b" in alarm.reason
    assert not watch.pictures(10, {"fake_b": same}, real=real)
    assert not watch.pictures(11, {"fake_b": real["a"]}, real=real)
    assert not watch.pictures(12, {"fake_b": real["a"]}, real=real)
    assert watch.pictures(13, {"fake_b": same}, real=real)


def test_one_picture_says_nothing_of_collapse():
    real = torch.rand(1, 1, 8, 8)
    assert not Watch().pictures(1, {"fake_b": real}, real={"a": real, "b": real})


def test_what_was_seen_survives_json():
    losses = [1e-4] * 700
    whole, first, second = Watch(), Watch(), Watch()
    expected = feed(whole, losses, "discriminator")
    found = feed(first, losses[:300], "discriminator")
    second.load(json.loads(json.dumps(first.state(), allow_nan=False)))
    found += feed(second, losses[300:], "discriminator", start=300)
    assert found == expected
    assert second.state() == whole.state()


def test_that_a_loss_is_a_distance_survives_json():
    first, second = Watch(), Watch()
    assert not feed(first, [-0.5, *[1e-4] * 200], "discriminator")
    second.load(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert not feed(second, [1e-4] * 700, "discriminator", start=201)


@pytest.mark.parametrize(("height", "fatal"), [(3.0, False), (30.0, True)])
def test_a_loss_that_begins_at_next_to_nothing_may_grow_to_ones(height: float, fatal: bool):
    """What starts from its input undoes itself at first; its losses rise as soon as it is moved."""
    rising = [0.005 * (height / 0.005) ** (step / 400) for step in range(400)]
    found = feed(Watch(), [*rising, *[height] * 200])
    assert any(alarm.fatal for alarm in found) == fatal


def test_a_collapsed_generator_is_told_in_the_log(tmp_path):
    class Collapsed(Toy):
        def preview(self, batch):
            return {"fake_b": torch.zeros_like(batch["a"])}

    wanted = LoopSettings(total_steps=4, device="cpu", precision="fp32", preview_every=2)
    (alarm,) = train(Collapsed(), draw_toy, run=tmp_path, settings=wanted).alarms
    assert (alarm.step, alarm.kind) == (2, "collapse")
    (line,) = [line for line in read_log(tmp_path) if "alarm" in line]
    assert (line["step"], line["alarm"], line["fatal"]) == (2, "collapse", False)
