"""Ids that would like to be markup, formulas or folders go through a whole study as what they are: text."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tiny_studies import TINY_CYCLEGAN, lesion_settings, lesion_study, run_here
from typer.testing import CliRunner

from medgan.cli import app
from medgan.settings.study import read_study
from medgan.stages.translate import safe_name

IDS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[bold red]x[/bold red]",
    "=cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    'a,b;c"d',
    "a line %s {0} $HOME `id`",
    "CON",
    ".hidden",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    plans = [{"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN}]
    task = lesion_settings()["tasks"][0] | {"arms": [{"name": "target-only"}]}
    path = lesion_study(
        folder,
        subjects=len(IDS),
        translators=plans,
        tasks=[task],
        primary=None,
        direction={"source": "<b>dermoscopy</b>", "target": "clinical"},
        question="Is 1 < 2 & </h1><script>alert(2)</script>?",
        citations=["<iframe src=//example.org>: a set"],
    )
    table = folder / "phantoms" / "manifest.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = dict(zip(sorted({row["subject_id"] for row in rows}), IDS, strict=True))
    for row in rows:
        row["case_id"] = f"{names[row['subject_id']]}{row['domain']}"
        row["subject_id"] = names[row["subject_id"]]
        row["domain"] = row["domain"].replace("dermoscopy", "<b>dermoscopy</b>")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    run_here(path)
    return path


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, set[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name for name, _ in attrs}))


def test_report_shows_them_as_text(study: Path) -> None:
    text = (study.parent / "out" / "report" / "report.html").read_text(encoding="utf-8")
    tags = Tags(text).found
    assert sum(tag == "script" for tag, _ in tags) == 1
    assert not {"iframe", "b"} & {tag for tag, _ in tags}
    assert not [names for _, names in tags if any(name.startswith("on") for name in names)]
    assert "&lt;b&gt;dermoscopy" in text
    assert "1 &lt; 2 &amp;" in text


def test_names_of_files_are_harmless(study: Path) -> None:
    names = {path.name for path in (study.parent / "out").rglob("*")}
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9._-]+", name)] == []
    assert safe_name("../x") == safe_name("../x") != safe_name("../y")
    assert re.fullmatch(r"case-[0-9a-f]{16}", safe_name(IDS[0]))


def test_tables_keep_every_id_as_it_is(study: Path) -> None:
    with (study.parent / "out" / "report" / "rows.csv").open(newline="", encoding="utf-8") as file:
        subjects = {row["subject_id"] for row in csv.DictReader(file)}
    assert subjects <= set(IDS)
    assert len(subjects) > 1


def test_command_line_prints_them_as_they_are(study: Path) -> None:
    table = study.parent / "phantoms" / "manifest.csv"
    text = table.read_text(encoding="utf-8")
    try:
        table.write_text(re.sub(r"(\[bold red\]x\[/bold red\]clinical,.*?),\S+?\.png", r"\1,absent.png", text), "utf-8")
        said = CliRunner().invoke(app, ["check", str(study)])
    finally:
        table.write_text(text, encoding="utf-8")
    assert said.exit_code == 1
    assert "[bold red]x[/bold red]clinical" in said.output
    shown = CliRunner().invoke(app, ["status", str(study)])
    assert shown.exit_code == 0
    assert read_study(study).name == "lesions"
