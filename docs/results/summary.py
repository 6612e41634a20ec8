"""Write the tables and the pictures of finished studies from what their reports were made of.

Run as: python docs/results/summary.py results/clinical_lesions_small docs/results/clinical_lesions
or, for the picture of one random case of each: python docs/results/summary.py --overview PNG STUDY_OUTPUT...
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image as PilImage

from medgan.reports.panels import contact_sheet
from medgan.settings.study import Study
from medgan.stages.exhibits import before_after
from medgan.stages.materials import open_materials
from medgan.stages.rows import read_rows


def main(output: Path, page: Path) -> None:
    """Write ``page``.md and ``page``.png from a study's output folder."""
    study = read(output)
    text = [f"# {study.name}", "", study.question, "", *differences(output), "", *scores(output), ""]
    sheet(study, output, page.with_suffix(".png"))
    text += [f"![Before and after]({page.name}.png)", ""]
    page.with_name(page.name + "-tables.md").write_text("\n".join(text))


def differences(output: Path) -> list[str]:
    """Comparisons as a Markdown table."""
    table = pd.read_csv(output / "report" / "comparisons.csv", keep_default_na=False, na_values=["nan", ""])
    lines = [
        "| metric | target cases | arm | against | difference (95 %) | p (Holm) | subjects | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        cases = "all" if pd.isna(row.target_cases) else int(row.target_cases)
        interval = f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
        name = f"**{row.metric}**" if row.primary else row.metric
        found = f"{interval} | {row.p_holm:.2g} | {row.n_subjects} | {row.verdict}"
        lines.append(f"| {name} | {cases} | {row.arm} | {row.baseline} | {found} |")
    return lines


def scores(output: Path) -> list[str]:
    """Scores as a Markdown table."""
    table = pd.read_csv(output / "report" / "scores.csv", keep_default_na=False, na_values=["nan"])
    lines = [
        "| task | metric | target cases | arm | tested on | score (95 %) | subjects | images |",
        "|---|" + "---|" * 7,
    ]
    for row in table.itertuples():
        interval = f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
        lines.append(
            f"| {row.task} | {row.metric} | {row.target_cases} | {row.arm} | {row.tested_on} "
            f"| {interval} | {row.n_subjects} | {row.n_images} |"
        )
    return lines


def overview(outputs: list[Path], path: Path) -> None:
    """One random test case of each study, before and after."""
    rows, labels = [], []
    for output in outputs:
        study = read(output)
        shown = before_after(study, open_materials(study), read_rows([output / "report" / "rows.csv"]))
        case = next(case for case in shown if not case.worst)
        rows.append([case.source, case.output])
        labels.append(f"{case.source_label} -> {case.output_label}, {case.note}")
    picture: np.ndarray = contact_sheet(rows, ["source", "translated"], row_labels=labels, cell_px=256)
    PilImage.fromarray(picture).save(path, optimize=True)


def read(output: Path) -> Study:
    """The study of an output folder."""
    return Study.model_validate(json.loads((output / "study.json").read_text()) | {"output": output.resolve()})


def sheet(study: Study, output: Path, path: Path) -> None:
    """A sheet of the report's pictures: source, output, and the true image where there is one."""
    rows = read_rows([output / "report" / "rows.csv"])
    shown = before_after(study, open_materials(study), rows)
    has_reference = any(case.reference is not None for case in shown)
    columns = ["source", "translated", *(["true"] if has_reference else [])]
    pictures = [[case.source, case.output, *([case.reference] if has_reference else [])] for case in shown]
    labels = [case.note for case in shown]
    picture: np.ndarray = contact_sheet(pictures, columns, row_labels=labels, cell_px=224)
    PilImage.fromarray(picture).save(path, optimize=True)


if __name__ == "__main__":
    if sys.argv[1] == "--overview":
        overview([Path(word) for word in sys.argv[3:]], Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
