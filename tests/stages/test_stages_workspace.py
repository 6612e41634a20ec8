"""Where results lie: done, begun, put aside; nothing is lost and nothing is mixed."""

import json

import pytest

from medgan.errors import RunError
from medgan.stages.workspace import Workspace, arm_job, judge_job, measure_job, replace_text, train_job, translate_job

PUT = {"digest": "d1", "needs": ()}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path)


def made(workspace, job, *, text="result", digest="d1", needs=()):
    folder = workspace.begin(job, digest=digest, needs=needs)
    (folder / "out.txt").write_text(text)
    workspace.finish(job, digest=digest, needs=needs, outputs=[folder / "out.txt"], seconds=1.0, cpu_seconds=1.0)
    return folder


def test_ids_differ():
    ids = [
        train_job("x", 0, 0),
        translate_job("x", 0, 0),
        arm_job("x", "all", "x", 0, 0),
        judge_job("x", "all", 0, 0),
        measure_job(0, 0),
        train_job("x", 1, 0),
        train_job("x", 0, 1),
    ]
    assert len(set(ids)) == len(ids)


def test_a_finished_job_is_current_until_something_changes(workspace):
    made(workspace, "a")
    made(workspace, "b", needs=("a",))
    assert workspace.is_current("b", digest="d1", needs=("a",))
    assert not workspace.is_current("b", digest="d2", needs=("a",))
    made(workspace, "a", text="other")
    assert not workspace.is_current("b", digest="d1", needs=("a",))


def test_made_again_with_the_same_result_keeps_what_depends_on_it(workspace):
    made(workspace, "a")
    made(workspace, "b", needs=("a",))
    made(workspace, "a")
    assert workspace.is_current("b", digest="d1", needs=("a",))


def test_a_job_without_its_mark_is_not_finished(workspace):
    folder = workspace.begin("a", **PUT)
    (folder / "out.txt").write_text("half")
    assert workspace.done("a") is None
    with pytest.raises(RunError, match=r"J010.*a is not finished"):
        workspace.require("a")
    (folder / "done.json").write_text('{"settings": ')
    assert workspace.done("a") is None


def test_an_interrupted_job_goes_on_in_its_folder(workspace):
    folder = workspace.begin("a", **PUT)
    (folder / "checkpoint").write_text("step 50")
    assert workspace.begin("a", **PUT) == folder
    assert (folder / "checkpoint").read_text() == "step 50"
    assert not (workspace.root / "replaced").exists()


def test_begun_with_other_settings_is_put_aside_and_nothing_is_lost(workspace):
    for number, digest in enumerate(("d1", "d2", "d3")):
        made(workspace, "fold0/a", text=f"result {number}", digest=digest)
    assert (workspace.folder("fold0/a") / "out.txt").read_text() == "result 2"
    aside = sorted((workspace.root / "replaced").iterdir())
    assert [(path / "out.txt").read_text() for path in aside] == ["result 0", "result 1"]


def test_begun_from_other_results_is_put_aside(workspace):
    made(workspace, "a")
    made(workspace, "b", needs=("a",), text="from the first")
    made(workspace, "a", text="other")
    folder = workspace.begin("b", digest="d1", needs=("a",))
    assert not (folder / "out.txt").exists()
    [aside] = (workspace.root / "replaced").iterdir()
    assert (aside / "out.txt").read_text() == "from the first"


def test_what_has_changed_is_told_with_both_values_and_where_the_old_results_are(workspace):
    lines = []
    made(workspace, "a")
    asked = {"recipe": {"steps": 2}, "manifest": "a" * 64}
    workspace.begin("b", digest="d1", needs=("a",), asked=asked, report=lines.append)
    (workspace.folder("b") / "out.txt").write_text("half")
    changed = {"recipe": {"steps": 3}, "manifest": "b" * 64}
    assert [tuple(change) for change in workspace.changes("b", changed)] == [
        ("manifest", "a" * 12, "b" * 12),
        ("recipe.steps", "2", "3"),
    ]
    assert lines == []
    workspace.begin("b", digest="d2", needs=("a",), asked=changed, report=lines.append)
    assert lines == [
        "b: begun otherwise before (manifest aaaaaaaaaaaa -> bbbbbbbbbbbb; recipe.steps 2 -> 3); "
        "what was there is in replaced/b.1"
    ]
    (workspace.folder("b") / "out.txt").write_text("half")
    made(workspace, "a", text="other")
    workspace.begin("b", digest="d2", needs=("a",), asked=changed, report=lines.append)
    assert lines[-1].startswith("b: begun otherwise before (a ")
    assert lines[-1].endswith("what was there is in replaced/b.2")


def test_a_job_begun_by_an_older_version_goes_on(workspace):
    folder = workspace.begin("a", **PUT)
    (folder / "begun.json").write_text(json.dumps({"settings": "d1", "inputs": {}}))
    (folder / "checkpoint").write_text("step 50")
    assert (workspace.begin("a", **PUT, asked={"x": 1}) / "checkpoint").exists()
    assert workspace.changes("a", {"x": 1}) == []


def test_an_empty_folder_is_no_result(workspace):
    """The workflow makes folders before it runs a job."""
    workspace.folder("a").mkdir()
    workspace.begin("a", **PUT)
    assert not (workspace.root / "replaced").exists()


def test_a_folder_of_unknown_origin_is_put_aside(workspace):
    workspace.folder("a").mkdir()
    (workspace.folder("a") / "stranger.txt").write_text("?")
    assert not (workspace.begin("a", **PUT) / "stranger.txt").exists()
    [aside] = (workspace.root / "replaced").iterdir()
    assert (aside / "stranger.txt").exists()


def test_json_is_written_only_where_it_changes(workspace):
    path = workspace.write_json("plan.json", {"jobs": []})
    before = path.stat().st_mtime_ns
    workspace.write_json("plan.json", {"jobs": []})
    assert path.stat().st_mtime_ns == before
    workspace.write_json("plan.json", {"jobs": [1]})
    assert json.loads(path.read_text()) == {"jobs": [1]}


def test_text_is_replaced_whole(tmp_path):
    replace_text(tmp_path / "new" / "x.txt", "one")
    replace_text(tmp_path / "new" / "x.txt", "two")
    assert (tmp_path / "new" / "x.txt").read_text() == "two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.txt"]
