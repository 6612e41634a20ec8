"""Rows come back from their file as they were."""

import math

import pytest

from medgan.stages.arguments import JobArguments
from medgan.stages.rows import Row, read_rows, write_rows

ROW = Row(
    task="lesion",
    arm="target-only",
    tested_on="target",
    target_cases="all",
    fold=0,
    seed=1,
    case_id="001",
    subject_id="S1",
    metric="dice",
    value=0.1 + 0.2,
)


def row(**changes):
    return Row(**{name: changes.get(name, getattr(ROW, name)) for name in ROW.__dataclass_fields__})


def test_ids_and_numbers_come_back_to_the_bit(tmp_path):
    rows = [
        row(),
        row(case_id="1", value=1e-300),
        row(case_id="NA", subject_id="nan", value=-0.0),
        row(case_id='a,"b"', subject_id="<script>\n"),
        row(target_cases="20", value=math.inf),
    ]
    table = read_rows([write_rows(rows, tmp_path / "rows.csv")])
    assert [Row(**record) for record in table.to_dict("records")] == rows


def test_an_undefined_value_stays_undefined(tmp_path):
    table = read_rows([write_rows([row(value=math.nan), row()], tmp_path / "rows.csv")])
    assert table.value.isna().tolist() == [True, False]


def test_files_are_joined_in_order(tmp_path):
    paths = [write_rows([row(case_id=name)], tmp_path / f"{name}.csv") for name in "ba"]
    assert read_rows(paths).case_id.tolist() == ["b", "a"]


def test_no_file_is_an_empty_table():
    table = read_rows([])
    assert table.empty
    assert list(table.columns) == list(ROW.__dataclass_fields__)


def test_arguments_as_a_command_line():
    arguments = JobArguments(task="lesion", arm="target-only", target_cases="20", fold=0, seed=1)
    assert arguments.flags() == (
        *("--task", "lesion", "--arm", "target-only", "--target-cases", "20"),
        *("--fold", "0", "--seed", "1"),
    )
    assert arguments.place == (0, 1)
    with pytest.raises(ValueError, match="needs a fold and a seed"):
        _ = JobArguments(seed=1).place
    with pytest.raises(ValueError, match="needs --target-cases"):
        JobArguments().named("target_cases")
