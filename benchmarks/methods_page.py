"""The generated parts of docs/methods.md, from the results beside it: ``python benchmarks/methods.py page``."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from methods_facts import facts_table
from methods_measures import MEASURES
from methods_table import RUNS, SHOWN_AS

PAGE = Path(__file__).parent.parent / "docs" / "methods.md"
NOT_MEASURED = "not measured yet"

Results = Mapping[str, Mapping[str, Any]]


def write(results: Path, page: Path = PAGE) -> None:
    """Put the tables of the results into the page."""
    page.write_text(with_tables(page.read_text(encoding="utf-8"), read(results)), encoding="utf-8")


def read(results: Path) -> Results:
    """What was written of every task, by name; a task that was not run is absent."""
    found = {name: results / f"{name}.json" for name in RUNS}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.is_file()}


def with_tables(text: str, results: Results) -> str:
    """The page with its generated parts made anew; what stands outside the markers is kept."""
    text = _between(text, "facts", facts_table(results))
    for name in RUNS:
        text = _between(text, name, task_part(name, results.get(name)))
    return text


def task_part(name: str, told: Mapping[str, Any] | None) -> str:
    """A task's table and sheet, with what its numbers are."""
    if told is None:
        return f"{NOT_MEASURED}\n"
    measures = list(told["conventions"])
    heads = ["method", "learns from", *(_head(measure) for measure in measures), "s a step"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---|" * (len(heads) - 2)]
    rows = {row["label"]: row for row in told["rows"]}
    machines = _machines(told)
    lines += [_line(name, label, rows.get(label), measures, machines) for label in RUNS[name]]
    if told["real"]:
        cells = [_cell(measure, told["real"].get(measure), absent="") for measure in measures]
        lines.append("| *real images of the target domain* | | " + " | ".join(cells) + " | |")
    picture = f"![{told['title']}: test images, and what every method made of them](results/methods/{name}.png)"
    return "\n".join([_setting(told), "", *lines, "", *_conventions(told), "", picture]) + "\n"


def _line(
    task: str, label: str, row: Mapping[str, Any] | None, measures: list[str], machines: Mapping[str, str]
) -> str:
    shown = f"`{SHOWN_AS.get((task, label), label)}`"
    if row is None:
        return f"| {shown} | " + " | ".join([NOT_MEASURED] * (len(measures) + 2)) + " |"
    trained = row.get("steps") or row.get("failed")
    learns = "pairs" if row["needs_pairs"] else "no pairs" if trained else "no training steps"
    if row.get("failed"):
        return f"| {shown} | {learns} | training stopped: {_one_line(row['failed'])} |" + " |" * len(measures)
    cells = [_cell(measure, row["measures"].get(measure), absent=NOT_MEASURED) for measure in measures]
    seconds = f"{row['step_cpu_s']:.3f}{machines[row['machine']]}" if row["step_cpu_s"] else "-"
    return f"| {shown} | {learns} | " + " | ".join([*cells, seconds]) + " |"


def _machines(told: Mapping[str, Any]) -> dict[str, str]:
    """The machines that trained, each with the mark of its times; none where there is one."""
    names = list(dict.fromkeys(row["machine"] for row in told["rows"] if row["step_cpu_s"]))
    return {name: f" ({letter})" if len(names) > 1 else "" for name, letter in zip(names, "ABCDEFGH", strict=False)}


def _head(name: str) -> str:
    measure = MEASURES[name]
    arrow = {"high": " ↑", "low": " ↓", "one": ""}[measure.better]
    return f"{measure.title}{arrow}"


def _cell(name: str, found: Mapping[str, Any] | None, *, absent: str) -> str:
    measure = MEASURES[name]
    if found is None:
        return absent

    def told(value: float | None) -> str:
        return "undefined" if value is None or math.isnan(value) else f"{measure.scale * value:.{measure.digits}f}"

    if measure.of_set or found["low"] is None:
        return told(found["value"])
    each = ", ".join(told(value) for value in found.get("of_target", {}).values())
    return f"{told(found['value'])} ({told(found['low'])} to {told(found['high'])})" + (f" [{each}]" if each else "")


def _setting(told: Mapping[str, Any]) -> str:
    crops = f", trained on crops of {told['crop_px']} px" if "crop_px" in told else ""
    by = "; ".join(f"{name}{mark}" for name, mark in _machines(told).items())
    steps = f"{told['steps']} steps of batch {told['batch_size']}"
    images = told["test_images"]
    if told.get("single"):
        return (
            f"{images} images of {told['test_subjects']} subjects, of {told['size_px']} px{crops}: each has a training "
            f"of its own, {steps}, on it and one reference image, and nothing is held out. Means over subjects, with "
            f"95 % t intervals. Seconds are processor time of one thread, of a step of all {images} trainings: {by}. "
            "Times of one machine alone compare."
        )
    sides = list(zip(told["training_cases"], told["training_subjects"], strict=True))
    (a, subjects_a), targets = sides[0], sides[1:]
    learnt = " and ".join(
        f"{cases} of {_target(told, i)} ({people} subjects)" for i, (cases, people) in enumerate(targets)
    )
    test = f"{images // len(targets)} images of {told['test_subjects']} other subjects"
    if len(targets) > 1:
        real = (f"{count} of `{name}` ({people} subjects)" for name, (count, people) in told["real_of_target"].items())
        test += f", each sent to every target, and on {' and '.join(real)}"
    return (
        f"{steps} at {told['size_px']} px{crops}. Trained on {a} cases of the source ({subjects_a} subjects) and "
        f"{learnt}; measured on {test}. Means over subjects, with 95 % t intervals; a number without one is of the "
        f"whole set. Seconds are processor time of one thread: {by}. Times of one machine alone compare."
    )


def _target(told: Mapping[str, Any], place: int) -> str:
    names = told.get("targets")
    return f"`{names[place]}`" if names else "the target"


def _conventions(told: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- *{MEASURES[name].title}*: {text.format(features=told['features'])}."
        for name, text in told["conventions"].items()
    ]
    if told.get("targets"):
        names = " and ".join(f"`{name}`" for name in told["targets"])
        lines.append(f"- Of the whole set: the mean over the targets. In brackets: {names} by themselves.")
    return lines


def _between(text: str, name: str, part: str) -> str:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page has no part {name!r}, or several: it needs {begin!r} and {end!r}")
    before, rest = text.split(begin)
    return before + begin + part + end + rest.split(end)[1]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")[:160]
