"""The pages in docs/ and the code say the same."""

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import medgan.errors
from medgan.settings.study import Study

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"[A-Z][0-9]{3}")
LETTERS = {
    "SettingsError": "S",
    "ManifestError": "M",
    "ReadError": "R",
    "WriteError": "W",
    "GeometryError": "G",
    "IntensityError": "I",
    "DiscoverError": "D",
    "StoreError": "P",
    "CheckpointError": "C",
    "TrainingError": "T",
    "RunError": "J",
    "StatisticsError": "N",
}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_study_file", ROOT / "docs" / "make_study_file.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trees() -> Iterator[ast.Module]:
    for path in sorted((ROOT / "medgan").rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def codes_in_source() -> set[str]:
    """Every string in the package that is a code, however it gets into an error or a finding."""
    return {
        node.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }


def codes_on_page() -> list[str]:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([A-Z][0-9]{3})` \| \S", text, re.MULTILINE)


def test_every_error_code_is_explained_and_every_explained_one_is_used() -> None:
    page, source = codes_on_page(), codes_in_source()
    assert len(source) > 100
    assert sorted(page) == sorted(set(page)), "a code stands twice"
    assert source - set(page) == set(), "not explained in docs/errors.md"
    assert set(page) - source == set(), "explained, but no longer used"


def test_a_code_begins_with_the_letter_of_its_family() -> None:
    families = {name for name in vars(medgan.errors) if name.endswith("Error")} - {"MedganError"}
    assert set(LETTERS) == families
    raised = [
        (node.func.id, node.args[0].value)
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in LETTERS
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    assert len(raised) > 100
    wrong = [(family, code) for family, code in raised if not str(code).startswith(LETTERS[family])]
    assert not wrong


def test_the_tables_of_the_study_file_are_those_of_the_settings(generator: ModuleType) -> None:
    text = generator.PAGE.read_text(encoding="utf-8")
    assert generator.page_with_tables(text) == text, "run python docs/make_study_file.py"
    assert all(f"\n| `{key}` |" in text for key in Study.model_fields)


def test_every_key_has_a_meaning(generator: ModuleType) -> None:
    assert generator.keys_without_meaning() == []


def test_the_layers_on_the_page_are_those_that_are_checked() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("\n## Layers\n")[1].split("\n\nOne door")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in section.splitlines() if row.startswith("| `")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    checked = [re.split(r"\s*\|\s*", layer) for layer in contracts["contracts"][0]["layers"]]
    there = [[name for name in layer if name != "audit"] for layer in checked]  # nothing is in audit yet
    flat = [sorted(row) for row in [*rows[:-1], *([name] for name in reversed(rows[-1]))]]
    assert flat == [sorted(layer) for layer in there]
