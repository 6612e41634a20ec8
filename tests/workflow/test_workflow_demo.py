"""The demo's study is sound and its phantoms are made once."""

import pytest

from medgan.settings.study import read_study
from medgan.stages.downstream import read_task_recipe
from medgan.stages.train import read_recipe
from medgan.workflow import demo
from medgan.workflow.plan import plan_study


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SUBJECTS", 5)
    return tmp_path / "demo"


def test_the_demo_is_a_study(folder):
    path = demo.make_demo(folder)
    study = read_study(path)
    assert study.manifest.is_file()
    assert study.output.is_relative_to(folder.resolve())
    assert plan_study(study)[-1].id == "report"
    for plan in study.translators:
        read_recipe(plan)
    for task in study.tasks:
        read_task_recipe(task)


def test_phantoms_are_made_once_and_half_made_ones_again(folder):
    demo.make_demo(folder)
    manifest = folder / "phantoms" / "manifest.csv"
    before = manifest.stat().st_mtime_ns
    demo.make_demo(folder)
    assert manifest.stat().st_mtime_ns == before
    content = manifest.read_bytes()
    manifest.unlink()
    (folder / "phantoms" / "stranger.txt").write_text("left by a run that was cut short")
    demo.make_demo(folder)
    assert manifest.read_bytes() == content
    assert not (folder / "phantoms" / "stranger.txt").exists()
