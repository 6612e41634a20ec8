"""Train one method of benchmarks/methods.py on one task, and keep what it makes of the test images."""

import json
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from methods_data import Sample, Task
from methods_table import NARROW, RATE

from medgan import discover
from medgan.errors import MedganError
from medgan.samples.paired import PairedSamples
from medgan.samples.seeds import seed_for
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.loop import LoopSettings
from medgan.settings.recipe import Recipe
from medgan.training.device import pick_precision
from medgan.training.loop import train
from medgan.training.styles import StyledTranslator
from medgan.training.translator import SampleShape, Translator

SEED = 0
BATCH = 20
STYLES = 4
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a method made of the test images of a task.

    Args:
        facts: How it was trained, and how long that took.
        outputs: (N, C, size_px, size_px) in [-1, 1], in the order of the test images; empty where training failed.
        styles: (S, n, C, size_px, size_px), several outputs for the first n images; empty where there is only one.
    """

    facts: Mapping[str, Any]
    outputs: Pixels
    styles: Pixels


def is_there(label: str) -> bool:
    """Whether there is such a method, and such a preset of it."""
    name, _, preset = label.partition(":")
    if name not in discover.names("medgan.methods"):
        return False
    return not preset or preset in discover.load("medgan.methods", name).method.recipe_type.presets


def recipe_of(label: str, task: Task) -> Recipe:
    """Published settings, but for narrow networks and the steps, batch and size that all methods of a task share."""
    name, _, preset = label.partition(":")
    recipe_type: type[Recipe] = discover.load("medgan.methods", name).method.recipe_type
    own = recipe_type.presets[preset].settings if preset else {}
    start: dict[str, Any] = {"preset": preset or None}
    published = recipe_type.model_validate(start)
    narrow = {key: value for key, value in NARROW.items() if key in recipe_type.model_fields and key not in own}
    shared: dict[str, Any] = {"crop_px": task.size_px, "batch_size": task.batch_size, "flips": task.flips}
    shared["learning_rate"] = RATE * published.learning_rate
    if published.total_steps:
        # Where the critic steps several times for each step of the generator, a step of the task is the generator's.
        shared["total_steps"] = task.steps * getattr(published, "critic_steps", 1)
    return recipe_type.model_validate({**start, **narrow, **shared})


def outcome(label: str, task: Task, folder: Path) -> Outcome:
    """Train and translate, or read what was kept of it; one thread.

    Args:
        label: Method, or ``method:preset``.
        task: The task.
        folder: Where it is kept; what lies there of other images or settings is replaced.
    """
    recipe = recipe_of(label, task)
    due = {"task": task.digest(), "recipe": recipe.model_dump(mode="json"), "seed": SEED}
    kept = folder / "facts.json"
    if kept.is_file() and (found := json.loads(kept.read_text(encoding="utf-8")))["due"] == due:
        arrays = np.load(folder / "outputs.npz")
        return Outcome(facts=found, outputs=arrays["outputs"].astype(np.float32), styles=arrays["styles"])
    folder.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)
    run = folder / "run"
    if (run / "due.json").is_file() and json.loads((run / "due.json").read_text(encoding="utf-8")) != due:
        shutil.rmtree(run)
    run.mkdir(exist_ok=True)
    (run / "due.json").write_text(json.dumps(due), encoding="utf-8")
    made = _made(label, recipe, task, run)
    np.savez_compressed(folder / "outputs.npz", outputs=made.outputs.astype(np.float16), styles=made.styles)
    facts = {"due": due, **made.facts}
    kept.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(run)
    return Outcome(facts=facts, outputs=made.outputs, styles=made.styles)


def _made(label: str, recipe: Recipe, task: Task, run: Path) -> Outcome:
    name, _, preset = label.partition(":")
    torch.set_num_threads(1)
    torch.manual_seed(seed_for(SEED, "init"))
    method: type[Translator] = discover.load("medgan.methods", name).method
    learner = method(recipe, shape=SampleShape(task.channels, recipe.neighbours, task.size_px))
    summary = recipe.presets[preset].summary if preset in recipe.presets else method.summary
    facts: dict[str, Any] = {"summary": summary, "paper": method.paper, "needs_pairs": method.needs_pairs}
    facts["parameters"] = sum(parameter.numel() for parameter in learner.parameters())
    facts["machine"] = f"{processor()}, {pick_precision('auto', torch.device('cpu'))}"
    empty = np.zeros((0, task.channels, task.size_px, task.size_px), np.float32)
    try:
        facts |= _trained(learner, recipe, task, run)
    except MedganError as error:
        return Outcome(facts={**facts, "failed": str(error)}, outputs=empty, styles=empty[None])
    began = time.process_time()
    outputs = translated(learner, task.test)
    facts["translating_cpu_s"] = round((time.process_time() - began) / max(1, len(task.test)), 4)
    return Outcome(facts=facts, outputs=outputs, styles=_styles(learner, task.test))


def _trained(learner: Translator, recipe: Recipe, task: Task, run: Path) -> dict[str, Any]:
    """Train with medgan's own samples and loop; the time of a step is that of the processor, whatever else runs."""
    kind = PairedSamples if learner.learns_by_pairs(learner.recipe) else UnpairedSamples
    samples = kind(*task.train, neighbours=1, size_px=task.size_px, flips=recipe.flips, seed=SEED)
    began = time.process_time()
    if type(learner).fit is not Translator.fit:
        learner.fit(samples.each("a"), samples.each("b"))
    fitted = time.process_time()
    count = recipe.batch_size
    settings = LoopSettings(
        total_steps=recipe.total_steps,
        seed=SEED,
        device="cpu",
        threads=1,
        ema_decay=recipe.ema_decay,
        preview_every=None,
        checkpoint_every_steps=10**9,
        checkpoint_every_seconds=60,
    )
    summary = train(learner, lambda step: samples.draw(step, count), run=run, settings=settings)
    done = summary.step - summary.resumed_from
    spent = time.process_time() - fitted
    alarms = sorted({alarm.kind for alarm in summary.alarms})
    facts = {"steps": summary.step, "fit_cpu_s": round(fitted - began, 2), "alarms": alarms}
    return facts | {"step_cpu_s": round(spent / done, 4) if done else None}


def processor() -> str:
    """The processor's name, or the architecture where the system tells none."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@torch.no_grad()
def translated(learner: Translator, samples: Sequence[Sample]) -> Pixels:
    """What a method makes of test images, (N, C, size_px, size_px) in [-1, 1]."""
    learner.eval()
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return torch.cat([learner.translate(part, to="b") for part in images.split(BATCH)]).float().numpy()


@torch.no_grad()
def _styles(learner: Translator, samples: Sequence[Sample]) -> Pixels:
    """Several outputs for the first images, of a method that offers them; no rows otherwise."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples[:BATCH]]))
    if not isinstance(learner, StyledTranslator):
        return np.zeros((0, *images.shape), np.float32)
    drawn = learner.random_styles(STYLES, seed=SEED)
    return np.stack([learner.translate_styled(images, to="b", style=one[None]).float().numpy() for one in drawn])
