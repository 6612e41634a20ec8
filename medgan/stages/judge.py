"""Judge: a task's model, trained on original images, looks at the source images before and after translation."""

from dataclasses import replace
from pathlib import Path

from medgan.manifests.manifest import Manifest
from medgan.settings.study import IDENTITY, Study, Task
from medgan.stages.arguments import JobArguments
from medgan.stages.materials import Materials, labelled, open_materials
from medgan.stages.progress import Progress
from medgan.stages.rows import write_rows
from medgan.stages.scoring import open_model, score_manifest
from medgan.stages.workspace import Workspace, arm_job
from medgan.training.device import set_threads


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Score the model of a task's baseline arm on the test subjects' source images and on each translator's output.

    Returns:
        The rows, with what was tested on in ``tested_on``.
    """
    set_threads(study.threads)
    materials = open_materials(study)
    task = study.task(arguments.named("task"))
    count, (fold, seed) = arguments.named("target_cases"), arguments.place
    trained = Workspace(study.output).require(arm_job(task.name, count, task.baseline, fold, seed))
    model = open_model(trained, device=study.device)
    place = replace(arguments, arm=task.baseline)
    rows = [
        row
        for name, manifest in inputs(task, fold, seed, materials).items()
        for row in score_manifest(
            model, manifest, place=place, tested_on=name, doing=f"judging {name}", progress=progress
        )
    ]
    return [write_rows(rows, folder / "rows.csv")]


def inputs(task: Task, fold: int, seed: int, materials: Materials) -> dict[str, Manifest]:
    """The test subjects' source images by what they are: ``"source"`` as they came, or a translator's output."""
    subjects = materials.folds.test(fold)
    originals = materials.cases([materials.study.direction.source], subjects)
    found = {"source": replace(materials.manifest, cases=originals)}
    for name in task.tested_on:
        if name != IDENTITY:
            found[name] = materials.translated(name, fold, seed).of_subjects(subjects)
    return {name: replace(chosen, cases=tuple(labelled(chosen, task))) for name, chosen in found.items()}
