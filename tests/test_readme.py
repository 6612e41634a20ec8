"""What the README says is so: commands, options, columns, methods, and every block of code."""

import ast
import importlib
import re
import shlex
import types
from pathlib import Path

import pytest
import torch
import yaml
from typer.main import get_command

from medgan import discover, read_study
from medgan.cli import app
from medgan.manifests.case import OWN_COLUMNS, RARE_COLUMNS
from medgan.settings.recipe import Recipe
from medgan.settings.study import Study, Task, TranslatorPlan
from medgan.stages.train import check_domains_taken, read_recipe
from medgan.training.learner import freeze_all_but
from medgan.training.translator import SampleShape, Translator

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
TEST_COMMAND = '-m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"'

COMMANDS = get_command(app).commands


def blocks(kind: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def yaml_blocks() -> list[str]:
    return [block for page in PAGES for block in blocks("yaml", page.read_text(encoding="utf-8"))]


def command_lines() -> list[str]:
    """Every ``medgan ...`` of the README and the docs: lines of shell blocks, and what stands in backticks."""
    lines: list[str] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines += [line for block in blocks("sh", text) for line in block.splitlines() if line.startswith("medgan ")]
        lines += re.findall(r"`(medgan [a-z][^`]*)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return sorted(set(lines))


def table_after(heading: str) -> list[str]:
    """First column of the first table below a heading, without backticks."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z0-9_]+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize("line", command_lines())
def test_a_command_is_there_with_its_options(line: str) -> None:
    name, *words = shlex.split(line)[1:]
    assert name in COMMANDS, f"there is no `medgan {name}`"
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    used = {word for word in words if word.startswith("--")}
    assert used <= known, f"medgan {name} has no {', '.join(sorted(used - known))}"


def test_the_commands_of_the_readme_are_found() -> None:
    found = {line.split()[1] for line in command_lines()}
    assert {"demo", "check", "run", "status", "train", "translate", "measure", "downstream"} <= found


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.split("\n")[0][:30])
def test_a_python_block_compiles_and_its_names_are_there(block: str) -> None:
    tree = ast.parse(block)
    compile(tree, "README.md", "exec")
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(str(node.module))
        assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_the_method_of_the_readme_trains_and_translates() -> None:
    [block] = [block for block in blocks("python") if "method = " in block]
    module = types.ModuleType("affine_colours")
    exec(compile(block, "README.md", "exec"), module.__dict__)  # noqa: S102
    assert issubclass(module.method, Translator)
    torch.manual_seed(0)
    learner = module.method(Recipe(), shape=SampleShape(3, 1, 32))
    batch = {"a": torch.rand(2, 3, 32, 32) - 1, "b": 0.5 * torch.rand(2, 3, 32, 32)}
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.05)
    totals = []
    for _ in range(30):
        freeze_all_but(learner, "generator")
        [turn] = learner.training_step(batch)
        total = torch.stack(list(turn.losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.2 * totals[0]
    assert learner.translate(batch["a"], to="b").shape == (2, 3, 32, 32)


def test_the_study_files_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDGAN_DATA", str(tmp_path))
    written = [block for block in yaml_blocks() if block.startswith("name:")]
    assert len(written) == 2
    for number, block in enumerate(written):
        path = tmp_path / f"study{number}.yaml"
        path.write_text(block, encoding="utf-8")
        study = read_study(path)
        assert study.primary
        assert study.margin
        for name in re.findall(r"^  (\w+): \{run_folds", block, re.MULTILINE):
            assert read_study(path, profile=name).seeds == (0,)


def test_parts_of_study_files_are_valid() -> None:
    parts = [yaml.safe_load(block) for block in yaml_blocks() if not block.startswith("name:")]
    assert len(parts) == 4
    for part in parts:
        assert part.keys() <= Study.model_fields.keys()
        for plan in part.get("translators", ()):
            read_recipe(TranslatorPlan.model_validate(plan))
            check_domains_taken(TranslatorPlan.model_validate(plan))
        for task in part.get("tasks", ()):
            Task.model_validate(task)


def test_the_manifest_columns_are_those_of_a_manifest() -> None:
    assert table_after("The manifest") == [*OWN_COLUMNS, *RARE_COLUMNS]


def test_the_methods_are_all_there() -> None:
    assert sorted(table_after("Methods")) == discover.names("medgan.methods")
    needs_pairs = {name: discover.load("medgan.methods", name).method.needs_pairs for name in table_after("Methods")}
    said = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (yes|no) \|", README, re.MULTILINE))
    assert {name: answer == "yes" for name, answer in said.items()} == needs_pairs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    # The pictures of docs/results are made from finished studies.
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target and "docs/results/" not in target]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing


def test_the_tests_are_run_alike_everywhere() -> None:
    [line] = [line for block in blocks("sh") for line in block.splitlines() if "pytest" in line]
    assert line.endswith(TEST_COMMAND)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert line.replace(".venv/bin/", "$(BIN)/") in makefile
    assert "make --no-print-directory test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
