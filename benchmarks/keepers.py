"""Structure keepers, and augmentation of discriminators for a small cohort, on dermoscopy to clinical photographs.

    python benchmarks/keepers.py --data FOLDER --work FOLDER [--steps 400] [--seeds 0 1] [--only ARM ...] [--write FILE]

CycleGAN as in benchmarks/methods.py, alone and with what docs/losses.md offers. The keeper's segmenters learn on half
of the training subjects, the segmenter that judges on the other half; test subjects are seen by none of them. In a
small cohort the target domain has :data:`FEW` photographs. What is trained already is read.
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import methods_runs
import numpy as np
import torch
from methods_data import Task, one_each
from methods_judges import SEGMENTER, Judges
from methods_measures import MEASURES, measured
from methods_runs import processor, recipe_of, translated
from methods_tasks import load

from medgan.downstream.segmentation import Segmenter
from medgan.methods.cyclegan import CycleGAN
from medgan.metrics.interval import paired_difference
from medgan.samples.labelled import LabelledSamples
from medgan.samples.prepared import PreparedCase
from medgan.samples.seeds import rng_for, seed_for
from medgan.settings.loop import LoopSettings
from medgan.training.identity import Identity
from medgan.training.loop import train
from medgan.training.translator import SampleShape
from medgan.training.weights import write_weights
from medgan.transforms.augment import build

FEW = 20
WEIGHT = 10.0
"""As heavy as CycleGAN's cycle."""
AUGMENT = ("colour", "translation", "cutout")
ARMS = ("plain", "edges", "mask", "few", "few-augment")
UNTRANSLATED = "untranslated"
OTHER: Mapping[str, str] = {"plain": UNTRANSLATED, "edges": "plain", "mask": "plain", "few-augment": "few"}
"""What each arm is compared with."""


def main() -> None:
    """Train what is wanted, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--only", nargs="*", choices=ARMS, default=ARMS)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = replace(load("dermoscopy_to_clinical", data=given.data, work=given.work), steps=given.steps)
    keeping, judging = halves(task)
    judges = Judges(judging, given.work / "judges")
    segmenters = {side: segmenter(keeping, side, given.work / f"keeper-{side}") for side in "ab"}
    print("| arm | seed | " + " | ".join(MEASURES[name].title for name in task.measures) + " |")
    print("|---" * (2 + len(task.measures)) + "|")
    rows = [row(UNTRANSLATED, None, np.stack([sample.image for sample in task.test]), task, judges)]
    for seed in given.seeds:
        for arm in given.only:
            made = outputs(arm, seed, task, segmenters, given.work / f"{arm}-{seed}-{given.steps}")
            rows.append(row(arm, seed, made, task, judges))
    told = {"steps": given.steps, "machine": processor(), "rows": rows, "differences": differences(rows)}
    for line in told["differences"]:
        print(json.dumps(line))
    if given.write:
        given.write.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def halves(task: Task) -> tuple[Task, Task]:
    """The task with one half of the training subjects, and with the other."""
    first = []
    for side in task.train:
        names = sorted({case.case.subject_id for case in side})
        order = rng_for(0, "halves").permutation(len(names))
        first.append({names[place] for place in order[: len(names) // 2]})

    def half(*, inside: bool) -> Task:
        sides = zip(task.train, first, strict=True)
        kept = [[case for case in side if (case.case.subject_id in names) == inside] for side, names in sides]
        return replace(task, train=tuple(kept))

    return half(inside=True), half(inside=False)


def segmenter(task: Task, side: str, run: Path) -> Path:
    """A segmenter of one domain, as a run that ``weight_mask`` can name."""
    kept, due = run / "due.json", {"recipe": SEGMENTER.model_dump(mode="json"), "task": task.digest()}
    if kept.is_file() and json.loads(kept.read_text(encoding="utf-8")) == due:
        return run
    shutil.rmtree(run, ignore_errors=True)
    torch.manual_seed(seed_for(0, "keeper", side))
    learner = Segmenter(SEGMENTER, channels=3, classes=2)
    samples = LabelledSamples(
        [task.train["ab".index(side)]],
        weights=[1],
        target="segmentation",
        label_values={0: 0, 255: 1},
        size_px=task.size_px,
        augment=build(SEGMENTER.augment),
        seed=0,
    )
    settings = LoopSettings(total_steps=SEGMENTER.total_steps, device="cpu", threads=1, preview_every=None)
    train(learner, lambda step: samples.draw(step, SEGMENTER.batch_size), run=run, settings=settings)
    identity = Identity(
        method="segmentation",
        recipe=SEGMENTER.model_dump(mode="json"),
        shape={"channels": 3, "classes": 2},
        directions=(),
    )
    write_weights(run, learner.state_dict(), identity=identity.to_json(), step=SEGMENTER.total_steps, averaged=False)
    kept.write_text(json.dumps(due) + "\n", encoding="utf-8")
    return run


def outputs(arm: str, seed: int, task: Task, segmenters: Mapping[str, Path], folder: Path) -> np.ndarray:
    """What the arm's CycleGAN makes of the test images, (N, 3, H, W) in [-1, 1]; read where it is there."""
    own = {name: {"network": "run", "weights": str(run)} for name, run in segmenters.items()}
    extra: dict[str, dict[str, Any]] = {
        "edges": {"extra": {"weight_edges": WEIGHT}},
        "mask": {"extra": {"weight_mask": WEIGHT, "segmenter": own["b"], "source_segmenter": own["a"]}},
        "few-augment": {"discriminator_augment": AUGMENT},
    }
    set_already = recipe_of("cyclegan", task).model_dump(exclude_unset=True)
    recipe = CycleGAN.recipe_type.model_validate({**set_already, **extra.get(arm, {})})
    sides: list[Sequence[PreparedCase]] = list(task.train)
    if arm.startswith("few"):
        sides[1] = one_each(sides[1], FEW, rng=rng_for(0, "few"))
    kept = folder / "due.json"
    due = {"recipe": recipe.model_dump(mode="json"), "task": task.digest(), "target_cases": len(sides[1])}
    if kept.is_file() and json.loads(kept.read_text(encoding="utf-8")) == due:
        return np.load(folder / "outputs.npy")
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed_for(seed, "init"))
    learner = CycleGAN(recipe, shape=SampleShape(3, 1, task.size_px))
    methods_runs.trained(learner, sides, folder / "run", seed=seed)
    made = translated(learner, task.test)
    np.save(folder / "outputs.npy", made)
    kept.write_text(json.dumps(due) + "\n", encoding="utf-8")
    return made


def row(arm: str, seed: int | None, made: np.ndarray, task: Task, judges: Judges) -> dict[str, Any]:
    """Measure an arm, and print its line."""
    found = measured(made, task, judges)
    cells = [f"{one['value']:.{MEASURES[name].digits}f}" for name, one in found.items()]
    print(f"| {arm} | {'' if seed is None else seed} | " + " | ".join(cells) + " |", flush=True)
    return {"arm": arm, "seed": seed, "measures": found}


def differences(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How far each arm is from its other with the same seed, by subject; intervals are over subjects alone."""
    found = []
    by_arm = {(one["arm"], one["seed"]): one["measures"] for one in rows}
    for arm, seed in by_arm:
        other = by_arm.get((OTHER.get(arm), seed if OTHER.get(arm) != UNTRANSLATED else None))
        for name in ("dice", "kept") if other else ():
            own, its = (measures[name]["by_subject"] for measures in (by_arm[arm, seed], other))
            gap = paired_difference(own, its, subjects={who: who for who in own})
            numbers = [round(value, 4) for value in (gap.value, gap.low, gap.high)]
            told = {"arm": arm, "less": OTHER[arm], "seed": seed, "measure": name, "difference": numbers}
            found.append({**told, "subjects": gap.n_subjects})
    return found


if __name__ == "__main__":
    main()
