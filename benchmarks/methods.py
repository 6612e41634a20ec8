"""Translation methods on seven tasks of real images, beside trivial baselines: ``python benchmarks/methods.py run``.

``run`` trains what is not trained yet and measures it, ``write`` writes results and picture sheets to docs/results,
``page`` writes the tables of docs/methods.md from them.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import methods_page
import numpy as np
import torch
from methods_data import Task
from methods_judges import CLASSIFIER, SEGMENTER, Judges
from methods_measures import MEASURES, diversity, measured, of_real, real_diversity
from methods_runs import Outcome, is_there, outcome
from methods_sheets import ROWS, Picture, columns_of, has_targets, picture, row_labels_of, sheet
from methods_table import NARROW, RUNS, SHOWN_AS
from methods_tasks import TASKS, load

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results" / "methods"
SAME = 1e-3
"""Outputs that differ by less, of [-1, 1], are one and the same image."""
VERSION = 2
"""Raise it when the measures change: what was trained is kept, and measured again."""


def main(arguments: list[str] | None = None) -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "write", "page"))
    parser.add_argument("--task", choices=tuple(TASKS), nargs="*", default=tuple(TASKS))
    parser.add_argument("--methods", nargs="*", help="only these of the table; all by default")
    parser.add_argument("--steps", type=int, help="run: in place of the task's; with a --work of its own")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDGAN_DATA", "data")))
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "methods")
    options = parser.parse_args(arguments)
    if options.what == "page":
        methods_page.write(RESULTS)
        return
    for name in options.task:
        task = load(name, data=options.data, work=options.work)
        if options.steps is not None and options.what == "run":
            task = replace(task, steps=options.steps)
        judges = Judges(task, options.work / name / "judges")
        labels = [label for label in RUNS[name] if options.methods is None or label in options.methods]
        if options.what == "run":
            for line in run(task, labels, judges, work=options.work / name):
                print(line, flush=True)
        else:
            write(task, judges, work=options.work / name, results=RESULTS)


def run(task: Task, labels: Sequence[str], judges: Judges, *, work: Path) -> Iterator[str]:
    """Train and measure methods on a task, one after the other; what is there already is read."""
    for label in labels:
        if not is_there(label):
            yield f"{task.name}: {label}: no such method or preset"
            continue
        made = outcome(label, task, work / label.replace(":", "-"))
        row = _row(label, made, task, judges, work / label.replace(":", "-") / "measures.json")
        told = row.get("failed") or {name: round(found["value"], 4) for name, found in row["measures"].items()}
        yield f"{task.name}: {label}: {row['steps']} steps, {row['step_cpu_s']} s a step: {told}"


def write(task: Task, judges: Judges, *, work: Path, results: Path) -> None:
    """Write ``TASK.json`` and ``TASK.png`` of the methods that were run.

    What was written before of methods that were not run here is kept, with the machine that ran them, as long as
    images, steps and judges are the same. Whether a preset or a method has changed since is not looked at: whoever
    changes one runs its rows again.
    """
    rows, columns = _kept(task, judges, results)
    for label in RUNS[task.name]:
        folder = work / label.replace(":", "-")
        if is_there(label) and (folder / "facts.json").is_file():
            made = outcome(label, task, folder)
            rows[label] = _row(label, made, task, judges, folder / "measures.json")
            columns.pop(label, None)
            if len(made.outputs):
                columns[label] = [picture(image) for image in made.outputs[:ROWS]]
    results.mkdir(parents=True, exist_ok=True)
    order = [label for label in RUNS[task.name] if label in rows]
    told = {**_task_told(task, judges), "real": of_real(task, judges), "rows": [rows[label] for label in order]}
    told["real_diversity"] = real_diversity(task, judges)
    text = json.dumps(_without_nan(told), indent=1, allow_nan=False)
    shown = [(_title(task, label), columns[label]) for label in order if label in columns]
    sheet(task, shown, results / f"{task.name}.png")
    (results / f"{task.name}.json").write_text(text + "\n", encoding="utf-8")


def _kept(task: Task, judges: Judges, results: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[Picture]]]:
    """Rows and columns of pictures that were written before and still compare, by label."""
    path = results / f"{task.name}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    same = found.get("digest") == task.digest() and found.get("judged_by", {}) == judges.digests()
    if not same:
        return {}, {}
    rows = {row["label"]: row for row in found["rows"]}
    pictured = [label for label, row in rows.items() if row["measures"]]
    titles = [_title(task, label) for label in pictured]
    columns = columns_of(
        path.with_suffix(".png"),
        titles,
        closed=has_targets(task),
        rows=min(ROWS, len(task.test)),
        row_labels=row_labels_of(task),
    )
    return rows, {label: columns[title] for label, title in zip(pictured, titles, strict=True)}


def _title(task: Task, label: str) -> str:
    return SHOWN_AS.get((task.name, label), label)


def _row(label: str, made: Outcome, task: Task, judges: Judges, kept: Path) -> dict[str, Any]:
    """What is written of a method: how it was trained, and what was measured."""
    due = {"version": VERSION, "due": made.facts["due"]}
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if found.get("of") != due:
        scores = measured(made.outputs, task, judges) if len(made.outputs) else {}
        found = {"of": due, "measures": scores, "diversity": diversity(made.styles, judges)}
        kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
    facts = {name: value for name, value in made.facts.items() if name != "due"}
    return {
        "label": label,
        "steps": None,
        "step_cpu_s": None,
        **facts,
        "measures": found["measures"],
        "diversity": found["diversity"],
        "ignores_source": bool(len(made.outputs) > 1 and np.ptp(made.outputs, axis=0).max() < SAME),
    }


def _task_told(task: Task, judges: Judges) -> dict[str, Any]:
    """What a reader must know beside the numbers."""
    people = [len({case.case.subject_id for case in side}) for side in task.train]
    names = {"features": judges.features_name}
    return {
        "task": task.name,
        "title": task.title,
        "paired": task.paired,
        "steps": task.steps,
        "batch_size": task.batch_size,
        "size_px": task.size_px,
        "narrow": dict(NARROW),
        "training_cases": [len(side) for side in task.train],
        "training_subjects": people,
        "test_images": len(task.test),
        "test_subjects": len({sample.subject for sample in task.test}),
        "real_images": len(task.real),
        **({"targets": list(task.targets), "real_of_target": _real_of_target(task)} if task.targets else {}),
        **({"crop_px": task.crop_px} if task.crop_px else {}),
        **({"single": True} if task.single else {}),
        "features": judges.features_name,
        "judges": {"segmenter_steps": SEGMENTER.total_steps, "classifier_steps": CLASSIFIER.total_steps},
        "conventions": {name: MEASURES[name].convention.format(**names) for name in task.measures},
        "judged_by": judges.digests(),
        "machine": f"one thread, torch {torch.__version__}",
        "digest": task.digest(),
    }


def _real_of_target(task: Task) -> dict[str, tuple[int, int]]:
    """How many real images of how many test subjects each target domain has."""
    found = {}
    for name, letter in zip(task.targets, task.letters, strict=True):
        subjects = [sample.subject for sample in task.real if sample.to == letter]
        found[name] = (len(subjects), len(set(subjects)))
    return found


def _without_nan(value: Any) -> Any:
    """The same with None for what is undefined, since JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


if __name__ == "__main__":
    main()
