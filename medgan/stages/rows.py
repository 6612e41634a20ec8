"""Per-case rows: one number each, with everything that says where it comes from."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from medgan.manifests.table import replace_text


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number about one case.

    Args:
        task: Downstream task, or ``"similarity"``.
        arm: How the model was trained, or the translator for similarity.
        tested_on: ``"target"`` and ``"source"`` for original images, else the translator whose output was scored.
        target_cases: Labelled target cases the arm could see, or ``"all"``.
        fold: Outer fold.
        seed: Seed of the training.
        case_id: Case.
        subject_id: Person.
        metric: Name of the number.
        value: The number; NaN where it is undefined.
    """

    task: str
    arm: str
    tested_on: str
    target_cases: str
    fold: int
    seed: int
    case_id: str
    subject_id: str
    metric: str
    value: float


def write_rows(rows: Iterable[Row], path: Path) -> Path:
    """Write rows as CSV, atomically; undefined values are written as ``nan``."""
    names = [entry.name for entry in fields(Row)]
    lines = [names, *([str(getattr(row, name)) for name in names] for row in rows)]
    text = "".join(",".join(_quoted(value) for value in line) + "\n" for line in lines)
    replace_text(path, text)
    return path


def read_rows(paths: Iterable[Path]) -> pd.DataFrame:
    """Read rows of several files into one table; ids stay strings."""
    kinds = {entry.name: str for entry in fields(Row)} | {"fold": int, "seed": int, "value": float}
    tables = [pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values={"value": ["nan"]}) for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(kinds))


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(sign in value for sign in ',"\n') else value
