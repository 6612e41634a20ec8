"""Write the page of a finished study: tables from its CSV files and a sheet of its pictures.

Run as: python docs/results/summary.py results/clinical_lesions_small docs/results/clinical_lesions
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
    study = Study.model_validate(json.loads((output / "study.json").read_text()) | {"output": output.resolve()})
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
        lines.append(
            f"| {name} | {cases} | {row.arm} | {row.baseline} | {interval} | {row.p_holm:.2g} | {row.n_subjects} | {row.verdict} |"
        )
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
            f"| {row.task} | {row.metric} | {row.target_cases} | {row.arm or 'same model'} | {row.tested_on} "
            f"| {interval} | {row.n_subjects} | {row.n_images} |"
        )
    return lines


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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
