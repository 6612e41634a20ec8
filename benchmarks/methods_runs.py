"""Train one method of benchmarks/methods.py on one task, and keep what it makes of the test images."""

import json
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from methods_data import Sample, Task
from methods_table import NARROW, OWN_RATE, RATE

from medgan import discover
from medgan.errors import MedganError
from medgan.samples.paired import PairedSamples
from medgan.samples.prepared import PreparedCase
from medgan.samples.seeds import seed_for
from medgan.samples.unpaired import UnpairedSamples
from medgan.settings.domains import LETTERS, Domain
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
    shared: dict[str, Any] = {
        "crop_px": task.crop_px or task.size_px,
        "batch_size": task.batch_size,
        "flips": task.flips,
    }
    shared["learning_rate"] = OWN_RATE.get(label, RATE) * published.learning_rate
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
    method: type[Translator] = discover.load("medgan.methods", name).method
    summary = recipe.presets[preset].summary if preset in recipe.presets else method.summary
    facts: dict[str, Any] = {"summary": summary, "paper": method.paper, "needs_pairs": method.needs_pairs}
    facts["machine"] = f"{processor()}, {pick_precision('auto', torch.device('cpu'))}"
    outputs = np.zeros((len(task.test), task.channels, task.size_px, task.size_px), np.float32)
    parts, styles = [], outputs[None, :0]
    for training in _trainings(task, many_domains=method.many_domains):
        torch.manual_seed(seed_for(SEED, "init"))
        shape = SampleShape(task.channels, recipe.neighbours, recipe.crop_px, domains=len(training.sides))
        learner = method(recipe, shape=shape)
        part: dict[str, Any] = {"parameters": sum(parameter.numel() for parameter in learner.parameters())}
        try:
            part |= _timed(learner, training.sides, run / training.name)
        except MedganError as error:
            facts |= {**part, "failed": str(error)}
            return Outcome(facts=facts, outputs=outputs[:0], styles=outputs[None, :0])
        began = time.process_time()
        for letter, numbers in training.shown.items():
            outputs[numbers] = translated(learner, [task.test[number] for number in numbers], to=letter)
        parts.append({**part, "translating_cpu_s": time.process_time() - began})
        styles = _styles(learner, task.test)
    return Outcome(facts=facts | _joined(parts, len(task.test)), outputs=outputs, styles=styles)


@dataclass(frozen=True, kw_only=True)
class _Training:
    """One of the trainings that a task asks of a method.

    Args:
        name: Of its folder.
        sides: Training cases, by domain.
        shown: Numbers of the test images that it translates, by the letter of the domain that it makes of them.
    """

    name: str
    sides: Sequence[Sequence[PreparedCase]]
    shown: Mapping[Domain, list[int]]


def _trainings(task: Task, *, many_domains: bool) -> Iterator[_Training]:
    """One for every test image where a task has single images; else one for each target domain, or for all of them."""
    if task.single:
        for number, sides in enumerate(zip(*task.train, strict=True)):
            yield _Training(name=f"image-{number}", sides=[[case] for case in sides], shown={"b": [number]})
        return
    numbers = {letter: [n for n, sample in enumerate(task.test) if sample.to == letter] for letter in task.letters}
    if many_domains:
        yield _Training(name="all", sides=task.train, shown=numbers)
        return
    for letter, side in zip(task.letters, task.train[1:], strict=True):
        yield _Training(name=letter, sides=[task.train[0], side], shown={"b": numbers[letter]})


def _joined(parts: Sequence[Mapping[str, Any]], images: int) -> dict[str, Any]:
    """What the trainings of a method took together; a step is one of each of them."""
    seconds = [part["step_cpu_s"] for part in parts]
    return {
        "parameters": sum(part["parameters"] for part in parts),
        "steps": parts[0]["steps"],
        "fit_cpu_s": round(sum(part["fit_cpu_s"] for part in parts), 2),
        "alarms": sorted({alarm for part in parts for alarm in part["alarms"]}),
        "step_cpu_s": None if None in seconds else round(sum(seconds), 4),
        "translating_cpu_s": round(sum(part["translating_cpu_s"] for part in parts) / max(1, images), 4),
    }


def _timed(learner: Translator, sides: Sequence[Sequence[PreparedCase]], run: Path) -> dict[str, Any]:
    """Train, and keep what it took: where a task asks for several trainings, one may be at its end before a stop."""
    found, kept = trained(learner, sides, run), run.parent / f"{run.name}.json"
    if found["step_cpu_s"] is None and kept.is_file():
        told: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return told
    kept.write_text(json.dumps(found), encoding="utf-8")
    return found


def trained(
    learner: Translator, sides: Sequence[Sequence[PreparedCase]], run: Path, *, seed: int = SEED
) -> dict[str, Any]:
    """Train with medgan's own samples and loop; the time of a step is that of the processor, whatever else runs."""
    recipe = learner.recipe
    kind = PairedSamples if learner.learns_by_pairs(recipe) else UnpairedSamples
    samples = kind(*sides, neighbours=1, size_px=recipe.crop_px, flips=recipe.flips, seed=seed)
    began = time.process_time()
    if type(learner).fit is not Translator.fit:
        learner.fit(*(samples.each(letter) for letter in LETTERS[: len(sides)]))
    fitted = time.process_time()
    count = recipe.batch_size
    settings = LoopSettings(
        total_steps=recipe.total_steps,
        seed=seed,
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
def translated(learner: Translator, samples: Sequence[Sample], *, to: Domain = "b") -> Pixels:
    """What a method makes of test images, (N, C, size_px, size_px) in [-1, 1]."""
    learner.eval()
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return torch.cat([learner.translate(part, to=to) for part in images.split(BATCH)]).float().numpy()


@torch.no_grad()
def _styles(learner: Translator, samples: Sequence[Sample]) -> Pixels:
    """Several outputs for the first images, of a method that offers them; no rows otherwise."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples[:BATCH]]))
    if not isinstance(learner, StyledTranslator):
        return np.zeros((0, *images.shape), np.float32)
    drawn = learner.random_styles(STYLES, seed=SEED)
    return np.stack([learner.translate_styled(images, to="b", style=one[None]).float().numpy() for one in drawn])
