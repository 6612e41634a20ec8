"""Downstream: one arm of a task is trained on one fold and scored on its test subjects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from medgan import discover
from medgan.errors import TrainingError
from medgan.manifests.manifest import Case
from medgan.samples.labelled import LabelledSamples
from medgan.samples.seeds import seed_for
from medgan.samples.store import PreparedCase
from medgan.settings.loop import LoopSettings
from medgan.settings.study import IDENTITY, Arm, Study, Task, settings_error
from medgan.stages.arguments import JobArguments
from medgan.stages.failure import losses_drawn
from medgan.stages.materials import Materials, labelled, limited, open_materials
from medgan.stages.progress import Progress
from medgan.stages.rows import write_rows
from medgan.stages.scoring import TrainedModel, open_model, score_manifest
from medgan.stages.selection import export_chosen, hold_out, require_both
from medgan.stages.task_validation import TaskScore
from medgan.stages.train import contract, told
from medgan.training.identity import Identity
from medgan.training.loop import train
from medgan.training.parallel import led, rank, ranks
from medgan.transforms.augment import build

Draw = Callable[[int], Mapping[str, torch.Tensor]]


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Train one arm and score it on the test subjects.

    Returns:
        The rows and the weights.
    """
    materials = open_materials(study)
    task = study.task(arguments.named("task"))
    arm = next(one for one in task.arms if one.name == arguments.named("arm"))
    model = train_arm(task, arm, arguments, materials=materials, folder=folder, progress=progress)
    if rank() > 0:
        return []  # rank 0 scores alone
    fold, _ = arguments.place
    cases = materials.cases(trained_domains(task, materials), materials.folds.test(fold))
    manifest = replace(materials.manifest, cases=tuple(labelled(cases, task)))
    rows = score_manifest(model, manifest, place=arguments, tested_on="target", doing="scoring", progress=progress)
    return [write_rows(rows, folder / "rows.csv"), folder / "weights.json", folder / "weights.safetensors"]


def train_arm(
    task: Task, arm: Arm, arguments: JobArguments, *, materials: Materials, folder: Path, progress: Progress
) -> TrainedModel:
    """Train one arm; every arm of a task takes the same number of steps.

    Raises:
        TrainingError: T011, if there are no labelled cases to train on.
    """
    study = materials.study
    fold, seed = arguments.place
    learner_type = discover.load("medgan.downstream", task.task).task
    recipe = read_task_recipe(task)
    own = _own_cases(task, arguments, materials)
    extra = _extra_cases(task, arm, fold, seed, materials)
    own, extra, score = _held_out(task, arm, own, extra, materials=materials)
    used = [*(() if arm.images and arm.use == "alone" else own), *extra]
    if not used:
        raise TrainingError(
            "T011", f"{task.name}: no case of the training subjects has a {task.label}", remedy="see `medgan check`"
        )
    torch.manual_seed(seed_for(seed, "init", task.name))
    channels = used[0].pixels.shape[0] * recipe.neighbours
    learner = learner_type(recipe, channels=channels, classes=task.classes)
    size_px = recipe.crop_px or _longest(task, fold, materials, learner.size_multiple)
    draw = _draw(task, arm, own, extra, learner=learner, size_px=size_px, seed=seed)
    identity = Identity(
        method=task.task,
        recipe=recipe.model_dump(mode="json"),
        shape={"channels": channels, "classes": task.classes, "size_px": size_px},
        intensity={"images": contract(used)},
        data={"manifest": materials.manifest.digest},
        context={
            "task": task.model_dump(mode="json", include={"name", "task", "label", "classes", "mask_values"}),
            "arm": arm.model_dump(mode="json"),
            "preparation": study.preparation.model_dump(mode="json"),
            "cases": {"own": len(own), "extra": len(extra)},
            **({"held_out": sorted(score.subjects)} if score else {}),
        },
    )
    settings = LoopSettings(
        total_steps=recipe.total_steps,
        seed=seed,
        device=study.device,
        precision=study.precision,
        threads=1,
        ema_decay=recipe.ema_decay,
        preview_every=None,
        checkpoint_every_seconds=study.checkpoint_every_s,
        validate_every=task.selection.every if score else None,
        ranks_timeout_s=study.ranks_timeout_s,
    )
    with losses_drawn(folder, f"{task.name}, {arm.name}"):
        train(
            learner,
            draw,
            run=folder,
            settings=settings,
            identity=identity,
            validate=score,
            on_step=lambda step: progress(step, recipe.total_steps, doing="steps"),
            on_alarm=lambda alarm: progress.alarm(told(alarm)),
        )
    led(lambda: export_chosen(folder, task.selection, scored_by=score.name if score else ""))
    return open_model(folder, device=study.device)


def _longest(task: Task, fold: int, materials: Materials, multiple: int) -> int:
    """Longest side of the task's own and source training cases, so that all arms see samples of one size."""
    domains = [*trained_domains(task, materials), materials.study.direction.source]
    cases = labelled(materials.cases(domains, materials.folds.train(fold)), task)
    longest = max(max(case.shape[-2:]) for case in materials.prepared(cases))
    return -(-longest // multiple) * multiple


def trained_domains(task: Task, materials: Materials) -> tuple[str, ...]:
    """Domains of a task's own cases: the study's target unless the task names others."""
    return task.domains or (materials.study.direction.target,)


def read_task_recipe(task: Task) -> Any:
    """The checked recipe of a task's learner.

    Raises:
        SettingsError: S002, with every wrong key and the nearest known one.
    """
    recipe_type = discover.load("medgan.downstream", task.task).task.recipe_type
    try:
        return recipe_type.model_validate(task.recipe)
    except ValidationError as error:
        raise settings_error(error, recipe_type, where=f"task {task.name}") from error


def _own_cases(task: Task, arguments: JobArguments, materials: Materials) -> list[PreparedCase]:
    fold, _ = arguments.place
    cases = labelled(materials.cases(trained_domains(task, materials), materials.folds.train(fold)), task)
    chosen = limited(cases, arguments.named("target_cases"), seed=seed_for(materials.study.split_seed, fold))
    return materials.prepared(chosen)


def _extra_cases(task: Task, arm: Arm, fold: int, seed: int, materials: Materials) -> list[PreparedCase]:
    """The arm's extra cases: source images of the training subjects, as they are or translated."""
    if arm.images is None:
        return []
    subjects = materials.folds.train(fold)
    if arm.images == IDENTITY:
        return materials.prepared(labelled(materials.cases([materials.study.direction.source], subjects), task))
    manifest = materials.translated(arm.images, fold, seed)
    chosen: list[Case] = labelled(manifest.of_subjects(subjects), task)
    return materials.prepared(chosen, manifest)


def _held_out(
    task: Task, arm: Arm, own: list[PreparedCase], extra: list[PreparedCase], *, materials: Materials
) -> tuple[list[PreparedCase], list[PreparedCase], TaskScore | None]:
    """Own and extra cases to train on, and the score on those held out where the best checkpoint is taken.

    Held out are cases of the task's own domains, for they are what the model is tested on, and count as seen by the
    arm; of an arm that sees none, extra ones. No case of a held-out person is trained on.
    """
    if not task.selection.holds_out:
        return own, extra, None
    pool = extra if arm.images and arm.use == "alone" else own
    label = None if task.label == "mask" else task.label
    _, held = hold_out(
        pool,
        task.selection,
        seed=seed_for(materials.study.split_seed, "held out", task.name),
        stratum=lambda case: getattr(case.case, label) if label else case.case.domain,
    )
    subjects = {case.case.subject_id for case in held}
    left = [[case for case in side if case.case.subject_id not in subjects] for side in (own, extra)]
    require_both(left[1] if pool is extra else left[0], held, what=f"task {task.name}, arm {arm.name}")
    return left[0], left[1], TaskScore(task, held, preparation=materials.study.preparation)


def _draw(
    task: Task,
    arm: Arm,
    own: Sequence[PreparedCase],
    extra: Sequence[PreparedCase],
    *,
    learner: Any,
    size_px: int,
    seed: int,
) -> Draw:
    """What each step is trained on: a pure function of the step."""
    recipe = learner.recipe

    def samples(pools: Sequence[Sequence[PreparedCase]], weights: Sequence[float]) -> LabelledSamples:
        return LabelledSamples(
            pools,
            weights=weights,
            target="segmentation" if task.label == "mask" else task.label,
            label_values=label_values(task),
            size_px=size_px,
            augment=build(recipe.augment),
            neighbours=recipe.neighbours,
            seed=seed_for(seed, "samples", task.name),
        )

    if arm.images is None or arm.use == "alone":
        only = samples([extra if arm.images else own], [1.0])
        _balance(learner, only)
        return lambda step: only.draw(step, recipe.batch_size)
    if arm.use == "beside":
        both = samples([own, extra], [1.0 - arm.fraction, arm.fraction])
        _balance(learner, both)
        return lambda step: both.draw(step, recipe.batch_size)
    first, then = samples([extra], [1.0]), samples([own], [1.0])
    _balance(learner, samples([extra, own], [arm.fraction, 1.0 - arm.fraction]))
    # Draws are numbered over all ranks, of which each takes one a step.
    switch = round(arm.fraction * recipe.total_steps)
    return lambda number: (first if number < switch * ranks() else then).draw(number, recipe.batch_size)


def label_values(task: Task) -> dict[int, int]:
    """Value in the mask file or the manifest -> class."""
    if task.label != "mask":
        return {index: index for index in range(task.classes)}
    return {0: 0} | {value: index for index, value in enumerate(task.mask_values, start=1)}


def _balance(learner: Any, samples: LabelledSamples) -> None:
    if getattr(learner.recipe, "class_weights", "none") == "balanced":
        learner.balance(samples.class_shares())
