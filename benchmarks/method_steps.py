"""How long a step of each of several methods takes: ``python benchmarks/method_steps.py cut cut:fastcut cyclegan``."""

import argparse
import os
import statistics

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from training import Clock, machine

from medgan.discover import load
from medgan.training.device import autocast, lay_out, pick_device, pick_layout, pick_precision, placed
from medgan.training.learner import freeze_all_but
from medgan.training.state import TrainingState
from medgan.training.translator import SampleShape, Translator


def main(arguments: list[str] | None = None) -> None:
    """Time steps of all methods in turn, and print medians and ratios to the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="+", help="method or method:preset; the last is what the others stand beside")
    parser.add_argument("--size", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--steps", type=int, default=9, help="steps that are timed, after two that warm up")
    parser.add_argument("--width", type=int, default=64, help="of generators and discriminators")
    parser.add_argument("--device", choices=("cpu", "cuda", "auto"), default="auto")
    options = parser.parse_args(arguments)
    device = pick_device(options.device)
    times = measured(options, device)
    for name, value in machine(device).items():
        print(f"{name}: {value}")
    last = times[options.methods[-1]]
    print(f"{options.size} px, width {options.width}, batch 1, {options.steps} steps each, in turn")
    for name, took in times.items():
        ratios = [other / own for own, other in zip(took, last, strict=True)]
        told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times as fast"
        print(f"  {name:20s} {statistics.median(took):.3f} s a step, {told} as {options.methods[-1]}")


def measured(options: argparse.Namespace, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each step by method; within a round every method does one, so that a busy machine strikes all alike.

    A step is what the loop computes, without its log, alarms and checkpoints.
    """
    torch.manual_seed(0)
    batch = {domain: torch.rand(1, 3, options.size, options.size).mul(2).sub(1) for domain in "ab"}
    learners = {name: build(name, options).to(device).train() for name in options.methods}
    states = {name: TrainingState(learner, ema_decay=None) for name, learner in learners.items()}
    precision, clock = pick_precision("auto", device), Clock(device)
    times: dict[str, list[float]] = {name: [] for name in learners}
    for learner in learners.values():
        lay_out(learner, pick_layout(learner, device, precision))
    for _ in range(options.steps + 2):
        for name, learner in learners.items():
            layout = pick_layout(learner, device, precision)
            shown = {domain: placed(image, device, layout) for domain, image in batch.items()}
            clock.lap()
            turns = learner.training_step(shown)
            for group in learner.turns:
                freeze_all_but(learner, group)
                with autocast(device, precision):
                    turn = next(turns)
                torch.stack([loss.float() for loss in turn.losses.values()]).sum().backward()
                states[name].step(group, learning_rate=2e-4)
            times[name].append(clock.lap())
    return {name: took[2:] for name, took in times.items()}


def build(name: str, options: argparse.Namespace) -> Translator:
    """A method, with the settings of a preset where one is named; batch 1."""
    kind = load("medgan.methods", name.split(":")[0]).method
    preset = name.split(":")[1] if ":" in name else None
    widths = dict.fromkeys(("generator_width", "discriminator_width"), options.width)
    recipe = kind.recipe_type(preset=preset, **widths)
    learner: Translator = kind(recipe, shape=SampleShape(channels=3, neighbours=1, size_px=options.size))
    return learner


if __name__ == "__main__":
    main()
