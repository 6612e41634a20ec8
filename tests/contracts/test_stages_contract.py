"""Laws that every stage keeps; a new file in ``medgan/stages`` with a ``run`` is tested on arrival."""

import inspect
import re
from pathlib import Path

import pytest
from tiny_studies import brain_settings, lesion_settings, write_settings
from typer.main import get_command

from medgan import discover
from medgan.cli import app
from medgan.settings.study import Study, read_study
from medgan.stages.arguments import JobArguments
from medgan.stages.progress import Progress
from medgan.workflow.plan import plan_study

PACKAGE = "medgan.stages"
MODULES = {name: discover.load(PACKAGE, name) for name in discover.names(PACKAGE)}
STAGES = {name: module for name, module in MODULES.items() if hasattr(module, "run")}


def test_there_are_stages():
    assert {"prepare", "train", "translate", "downstream", "judge", "measure", "report"} <= set(STAGES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is(name):
    first = (MODULES[name].__doc__ or "").splitlines()[0]
    assert re.fullmatch(r"[A-Z].{10,}\.", first), first


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_called_alike(name):
    run = STAGES[name].run
    signature = inspect.signature(run, eval_str=True)
    given = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    assert given == {"study": Study, "arguments": JobArguments, "folder": Path, "progress": Progress}
    assert list(given) == ["study", "arguments", "folder", "progress"]
    assert signature.return_annotation == list[Path]
    assert (run.__doc__ or "").strip()


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_is_a_command(name):
    command = get_command(app).commands[name]
    assert command.help
    assert {"study", "profile", "output"} <= {parameter.name for parameter in command.params}


def test_every_stage_is_planned(tmp_path):
    studies = [
        read_study(write_settings(tmp_path / settings["name"], settings))
        for settings in (lesion_settings(), brain_settings())
    ]
    planned = {job.stage for study in studies for job in plan_study(study)}
    assert planned == set(STAGES)
