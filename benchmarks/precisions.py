"""How far translations in other number formats are from the network as it was trained: ``benchmarks/precisions.py``.

    MEDGAN_DATA=/path/to/images python benchmarks/precisions.py --method pix2pix --steps 200

Trains a method at its published width on T1 to FLAIR (slices of 3 mm at 64 px, task t1_to_flair of
benchmarks/methods.py), translates the slices of the test subjects four ways, and prints absolute differences over every
pixel from the eager fp32 network, in grey levels of 255.
"""

import argparse
import copy
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import numpy.typing as npt
import torch
from methods_data import Task
from methods_runs import Pixels, processor, translated
from methods_tasks import load

from medgan import discover
from medgan.samples.paired import PairedSamples
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.loop import LoopSettings
from medgan.training.device import pick_precision
from medgan.training.inference import ready_for_inference
from medgan.training.loop import train
from medgan.training.translator import SampleShape, Translator

ROOT = Path(__file__).parent.parent
LEVELS = 127.5
"""Grey levels of 255 in a unit of [-1, 1]."""
SETTINGS = {"pix2pix": {"generator": "resnet"}}
"""Beside the published ones: pix2pix with the generator that translates whole volumes fastest."""


def main(arguments: list[str] | None = None) -> None:
    """Train, translate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=("pix2pix", "cyclegan"), default="pix2pix")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--width", type=int, default=64, help="channels of the networks' first layers")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDGAN_DATA", "data")))
    parser.add_argument(
        "--work", type=Path, default=ROOT / "results" / "methods", help="where prepared images are kept"
    )
    options = parser.parse_args(arguments)
    task = load("t1_to_flair", data=options.data, work=options.work)
    learner = trained(options.method, task, steps=options.steps, width=options.width)
    print(f"{options.method}, width {options.width}, {options.steps} steps, {len(task.test)} slices; {processor()}")
    for line in table(learner, task):
        print(line)


def trained(method: str, task: Task, *, steps: int, width: int) -> Translator:
    """The method after so many steps on the task's training subjects."""
    kind = discover.load("medgan.methods", method).method
    shared = {"crop_px": task.size_px, "batch_size": task.batch_size, "flips": (), "total_steps": steps}
    recipe = kind.recipe_type.model_validate(
        {**SETTINGS.get(method, {}), **shared, "generator_width": width, "discriminator_width": width, "patch": 16}
    )
    torch.manual_seed(0)
    learner: Translator = kind(recipe, shape=SampleShape(task.channels, 1, task.size_px))
    samples_type = PairedSamples if learner.learns_by_pairs(recipe) else UnpairedSamples
    samples = samples_type(*task.train, neighbours=1, size_px=task.size_px, flips=(), seed=0)
    with tempfile.TemporaryDirectory() as folder:
        settings = LoopSettings(total_steps=steps, device="cpu", preview_every=None)
        train(learner, lambda step: samples.draw(step, task.batch_size), run=Path(folder), settings=settings)
    return learner.eval()


def table(learner: Translator, task: Task) -> list[str]:
    """A row for every way; the last says how much translating changes an image."""
    exact = translated(learner, task.test)
    rows = {way: np.abs(make() - exact) for way, make in _ways(learner, task).items()}
    rows["what translating changes"] = np.abs(exact - np.stack([sample.image for sample in task.test]))
    return ["| way | mean | 99.9th percentile | largest |", "|---|---|---|---|"] + [
        f"| {way} | {_told(apart.mean())} | {_told(np.quantile(apart, 0.999))} | {_told(apart.max())} |"
        for way, apart in rows.items()
    ]


def _ways(learner: Translator, task: Task) -> dict[str, Callable[[], Pixels]]:
    cpu = torch.device("cpu")

    def autocast() -> Pixels:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return translated(learner, task.test)

    return {
        "fp32": lambda: translated(
            ready_for_inference(copy.deepcopy(learner), precision="fp32", device=cpu), task.test
        ),
        "bf16": lambda: translated(
            ready_for_inference(copy.deepcopy(learner), precision="bf16", device=cpu), task.test
        ),
        f"bf16 autocast (training took {pick_precision('auto', cpu)})": autocast,
    }


def _told(value: npt.NDArray[Any] | float) -> str:
    return f"{LEVELS * float(value):.2g}"


if __name__ == "__main__":
    main()
