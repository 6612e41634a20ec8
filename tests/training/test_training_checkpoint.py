"""Checkpoints and weights: whole or refused, nothing executed."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from training_toy import Toy, draw_toy
from typer.testing import CliRunner

import medgan
from medgan.cli import app
from medgan.errors import CheckpointError, RunError, WriteError
from medgan.settings.selection import Selection
from medgan.stages.selection import export_chosen
from medgan.training import checkpoint
from medgan.training.checkpoint import Snapshot, find_checkpoint, load_checkpoint, save_checkpoint
from medgan.training.lock import hold_lock
from medgan.training.log import read_log
from medgan.training.loop import LoopSettings, train
from medgan.training.mend import set_aside
from medgan.training.tensor_files import read_record, read_tensors, sha256, write_record, write_tensors
from medgan.training.weights import export_weights, load_weights, read_weights


def snapshot(step, **changes):
    base = {
        "step": step,
        "identity": {"method": "toy"},
        "settings": {"seed": 0},
        "tensors": {"learner": {"weight": torch.full((2, 3), float(step))}, "optimizers": {}},
        "extra": {"pool": torch.arange(4)},
        "progress": {"best": 0.1 + 0.2},
    }
    return Snapshot(**{**base, **changes})


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3, dtype=torch.int64),
        torch.tensor([[0.1, float("nan")]]),
        torch.linspace(0, 1, 20).reshape(4, 5).t(),
        torch.linspace(0, 1, 6).bfloat16(),
        torch.zeros(0, 3),
        torch.tensor([True, False]),
    ],
    ids=str,
)
def test_tensors_come_back_bit_for_bit(tmp_path, tensor):
    digest = write_tensors(tmp_path / "x.safetensors", {"one": tensor, "tied": tensor})
    back = read_tensors(tmp_path / "x.safetensors", digest=digest)
    for name in ("one", "tied"):
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name].nan_to_num(7), tensor.nan_to_num(7))


def test_a_snapshot_comes_back_as_it_was(tmp_path):
    assert save_checkpoint(tmp_path, snapshot(7)).name == "step_00000007"
    back = load_checkpoint(tmp_path)
    wanted = snapshot(7)
    assert (back.step, back.identity, back.settings) == (7, wanted.identity, wanted.settings)
    assert back.progress == wanted.progress
    assert torch.equal(back.tensors["learner"]["weight"], wanted.tensors["learner"]["weight"])
    assert torch.equal(back.extra["pool"], wanted.extra["pool"])


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step in (1, 2, 3, 4):
        save_checkpoint(tmp_path, snapshot(step), best=step == 1)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "names.json",
        "step_00000001",
        "step_00000003",
        "step_00000004",
    ]
    assert load_checkpoint(tmp_path).step == 4
    assert load_checkpoint(tmp_path, name="best").step == 1
    assert load_checkpoint(tmp_path, name="step_00000003").step == 3


def test_the_newest_is_told_by_number_not_by_letter(tmp_path):
    for step in (99_999_999, 100_000_000):
        save_checkpoint(tmp_path, snapshot(step), keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").glob("step_*")] == ["step_100000000"]


@pytest.mark.parametrize("name", ["last", "best", "step_00000003", "../elsewhere"])
def test_no_checkpoint_is_said(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="C001"):
        load_checkpoint(tmp_path, name=name)


@pytest.mark.parametrize("crash_at", ["write_tensors", "write_record", "rename"])
def test_a_crash_in_mid_checkpoint_leaves_the_one_before(tmp_path, monkeypatch, crash_at):
    save_checkpoint(tmp_path, snapshot(1))
    with monkeypatch.context() as patch:

        def crash(*args, **kwargs):
            raise KeyboardInterrupt

        if crash_at == "rename":
            patch.setattr(Path, "rename", crash)
        else:
            patch.setattr(checkpoint, crash_at, crash)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(tmp_path, snapshot(2))
    assert list((tmp_path / "checkpoints").glob(".step_*"))
    assert load_checkpoint(tmp_path).step == 1
    save_checkpoint(tmp_path, snapshot(2))
    assert load_checkpoint(tmp_path).step == 2
    assert not list((tmp_path / "checkpoints").glob(".step_*"))


def test_a_crash_between_renaming_and_naming_leaves_the_new_one(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, snapshot(1))
    names = (tmp_path / "checkpoints" / "names.json").read_text()
    save_checkpoint(tmp_path, snapshot(2))
    (tmp_path / "checkpoints" / "names.json").write_text(names)
    assert load_checkpoint(tmp_path).step == 2


def _cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def _lie(path):
    path.write_text(path.read_text().replace('"step": 2', '"step": 3'))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("learner.safetensors", _cut),
        ("learner.safetensors", _flip),
        ("extra_0.safetensors", _flip),
        ("optimizers.safetensors", Path.unlink),
        ("checkpoint.json", _cut),
        ("checkpoint.json", _lie),
        ("checkpoint.json", Path.unlink),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_last_good_one_named(tmp_path, name, damage):
    save_checkpoint(tmp_path, snapshot(1))
    folder = save_checkpoint(tmp_path, snapshot(2))
    damage(folder / name)
    with pytest.raises(CheckpointError, match=rf"C002.*{name}.*set step_00000002 aside.*step_00000001"):
        load_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, snapshot(1))

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(WriteError, match=r"W012.*No space left"):
        save_checkpoint(tmp_path, snapshot(2))
    assert load_checkpoint(tmp_path).step == 1


def test_another_versions_checkpoint_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_FORMAT", 2)
        save_checkpoint(tmp_path, snapshot(1))
    with pytest.raises(CheckpointError, match=r"C006.*got 2; expected 1"):
        load_checkpoint(tmp_path)


def test_with_no_other_a_damaged_checkpoint_names_none(tmp_path):
    _cut(save_checkpoint(tmp_path, snapshot(1)) / "learner.safetensors")
    with pytest.raises(CheckpointError, match=r"C002.*start the run again"):
        load_checkpoint(tmp_path)


def test_damaged_ones_are_set_aside_by_the_command_that_the_error_names(tmp_path):
    wanted = LoopSettings(total_steps=6, device="cpu", precision="fp32", checkpoint_every_steps=2, preview_every=None)
    train(Toy(), draw_toy, run=tmp_path / "whole", settings=wanted)
    last = train(Toy(), draw_toy, run=tmp_path / "run", settings=wanted).checkpoint
    _flip(last / "learner.safetensors")
    with pytest.raises(CheckpointError) as error:
        train(Toy(), draw_toy, run=tmp_path / "run", settings=wanted)
    command = error.value.remedy.split("`")[1].split()
    assert command[:2] == ["medgan", "checkpoints"]
    told = CliRunner().invoke(app, command[1:-1])
    assert told.exit_code == 1
    assert "step_00000006: the file is damaged (learner.safetensors)" in told.output
    assert "step_00000004: whole" in told.output
    done = CliRunner().invoke(app, command[1:])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == ["step_00000006: set aside as damaged_step_00000006", "step_00000004: whole"]
    assert train(Toy(), draw_toy, run=tmp_path / "run", settings=wanted).resumed_from == 4
    whole, again = (load_checkpoint(tmp_path / name).tensors["learner"] for name in ("whole", "run"))
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())
    assert (tmp_path / "run" / "checkpoints" / "damaged_step_00000006" / "learner.safetensors").exists()


def test_with_all_damaged_it_begins_anew(tmp_path):
    wanted = LoopSettings(total_steps=4, device="cpu", precision="fp32", checkpoint_every_steps=2, preview_every=None)
    train(Toy(), draw_toy, run=tmp_path, settings=wanted)
    for folder in (tmp_path / "checkpoints").glob("step_*"):
        _flip(folder / "learner.safetensors")
    done = CliRunner().invoke(app, ["checkpoints", str(tmp_path), "--set-aside"])
    assert done.exit_code == 0, done.output
    assert "begins anew" in done.output
    assert train(Toy(), draw_toy, run=tmp_path, settings=wanted).resumed_from == 0
    with pytest.raises(CheckpointError, match="C001"):
        set_aside(tmp_path / "checkpoints")


def test_a_checkpoint_is_not_set_aside_under_a_running_process(tmp_path):
    _flip(save_checkpoint(tmp_path, snapshot(1)) / "learner.safetensors")
    with hold_lock(tmp_path), pytest.raises(RunError, match="J001"):
        set_aside(tmp_path)
    assert (tmp_path / "checkpoints" / "step_00000001").exists()


def test_damaged_weights_are_written_again_byte_by_byte(trained):
    run = trained()
    export_weights(run)
    before = {name: (run / name).read_bytes() for name in ("weights.json", "weights.safetensors")}
    _flip(run / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"C002.*medgan checkpoints .* --export` writes them again"):
        read_weights(run)
    done = CliRunner().invoke(app, ["checkpoints", str(run), "--export"])
    assert done.exit_code == 0, done.output
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_checkpoint_killed_while_it_was_replaced_is_put_back(tmp_path):
    wanted = LoopSettings(total_steps=3, device="cpu", precision="fp32", preview_every=None, checkpoint_every_steps=1)
    train(Toy(), draw_toy, run=tmp_path / "whole", settings=wanted)
    train(Toy(), draw_toy, run=tmp_path / "killed", settings=wanted)
    place = tmp_path / "killed" / "checkpoints"
    for name in ("step_00000002", "step_00000003"):
        (place / name).rename(place / f".{name}.old")
    summary = train(Toy(), draw_toy, run=tmp_path / "killed", settings=wanted)
    assert summary.resumed_from == 3
    kept = [sorted(path.name for path in (tmp_path / run / "checkpoints").iterdir()) for run in ("whole", "killed")]
    assert kept[0] == kept[1]


def scored(run, scores, *, stop=None):
    """Train as many steps as there are scores, each validated with its own; perhaps killed after a step."""
    last = find_checkpoint(run)
    at = [load_checkpoint(run).step if last else 0]

    def count(step):
        at[0] = step
        if step == stop:
            raise KeyboardInterrupt

    wanted = LoopSettings(
        total_steps=len(scores),
        device="cpu",
        precision="fp32",
        preview_every=None,
        validate_every=1,
        checkpoint_every_steps=2,
        keep_checkpoints=3,
    )

    class Counted(Toy):
        def training_step(self, batch):
            at[0] = self.step + 1
            return super().training_step(batch)

    return train(Counted(), draw_toy, run=run, settings=wanted, validate=lambda _: scores[at[0] - 1], on_step=count)


def damage_best(run):
    """Flip a bit of the best checkpoint; its name."""
    best = find_checkpoint(run, name="best")
    _flip(best / "learner.safetensors")
    return best.name


def test_in_place_of_a_best_checkpoint_that_was_set_aside_stands_the_one_gone_on_from(tmp_path, caplog):
    scores = [0.9, 0.1, 0.0, 0.05]
    with pytest.raises(KeyboardInterrupt):
        scored(tmp_path, scores, stop=2)
    assert damage_best(tmp_path) == "step_00000001"
    assert set_aside(tmp_path) == ["step_00000001"]
    summary = scored(tmp_path, scores)
    assert (summary.best_score, load_checkpoint(tmp_path, name="best").step) == (0.1, 2)
    assert "the best checkpoint is gone: that of step 2 stands in for it" in caplog.text
    assert [line["step"] for line in read_log(tmp_path) if "best_was_gone" in line] == [2]


@pytest.mark.parametrize(("scores", "bar"), [([0.9, 0.1, 0.2, 0.3], 0.1), ([0.5, 0.9, 0.7, 0.4, 0.6, 0.2], 0.5)])
def test_later_ones_are_held_to_the_best_that_is_left(tmp_path, scores, bar):
    """In the second case to one that was the best before the one that was set aside."""
    with pytest.raises(KeyboardInterrupt):
        scored(tmp_path, scores, stop=2 if bar == 0.1 else 4)
    name = damage_best(tmp_path)
    assert set_aside(tmp_path) == [name]
    summary = scored(tmp_path, scores)
    best = load_checkpoint(tmp_path, name="best")
    later = scores[best.step - 1]
    assert summary.best_score == best.progress["best"] == later > bar
    assert later == max(score for step, score in enumerate(scores, 1) if f"step_{step:08d}" != name and score != 0.7)


def test_after_the_end_the_weights_are_the_best_of_what_is_left_and_say_so(tmp_path):
    scores = [0.9, 0.1, 0.2]
    scored(tmp_path, scores)
    assert damage_best(tmp_path) == "step_00000001"
    with pytest.raises(CheckpointError, match=r"C002.*set step_00000001 aside with"):
        scored(tmp_path, scores)  # before any weights are wanted
    set_aside(tmp_path)
    scored(tmp_path, scores)
    export_chosen(tmp_path, Selection(take="best"), scored_by="a score")
    info = read_weights(tmp_path)[0]
    assert (info.checkpoint, info.step, info.score) == ("best", 3, 0.2)


@pytest.mark.parametrize("damaged", ["weights.safetensors", "weights.json"])
def test_weights_of_the_best_checkpoint_are_written_again_from_it(tmp_path, damaged):
    run, scores = tmp_path, iter([2.0, 1.0, 0.0])
    wanted = LoopSettings(total_steps=3, device="cpu", precision="fp32", preview_every=None, validate_every=1)
    train(Toy(), draw_toy, run=run, settings=wanted, validate=lambda _: next(scores))
    best, last = (load_checkpoint(run, name=name).step for name in ("best", "last"))
    assert best < last
    export_weights(run, name="best", scored_by="a score")
    before = (run / "weights.safetensors").read_bytes()
    _flip(run / damaged)
    assert CliRunner().invoke(app, ["checkpoints", str(run), "--export"]).exit_code == 0
    assert (run / "weights.safetensors").read_bytes() == before
    assert read_weights(run)[0].step == best


@pytest.mark.parametrize("name", ["learner.safetensors", "extra_0.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("save", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_renamed_pickle_in_a_checkpoint_whose_digest_fits_is_refused_and_not_executed(tmp_path, name, save):
    folder, fired = save_checkpoint(tmp_path, snapshot(1)), tmp_path / "fired"
    with (folder / name).open("wb") as file:
        save(Bomb(fired), file)
    if name != "checkpoint.json":
        record = read_record(folder / "checkpoint.json")
        record["files"][name] = sha256(folder / name)
        write_record(folder / "checkpoint.json", record)
    with pytest.raises(CheckpointError, match="C003"):
        load_checkpoint(tmp_path)
    assert not fired.exists()


@pytest.mark.parametrize("save", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_pickle_renamed_to_weights_is_refused_and_not_executed(trained, tmp_path, save):
    run = trained()
    export_weights(run)
    fired = tmp_path / "fired"
    with (run / "weights.safetensors").open("wb") as file:
        save(Bomb(fired), file)
    record = read_record(run / "weights.json")
    write_record(run / "weights.json", {**record, "weights": sha256(run / "weights.safetensors")})
    with pytest.raises(CheckpointError, match="C003"):
        read_weights(run)
    assert not fired.exists()


def test_pickles_of_old_protocols_and_object_arrays_are_not_executed(tmp_path):
    """They have no mark to be known by; what reads them knows no pickles."""
    folder, fired = save_checkpoint(tmp_path, snapshot(1)), tmp_path / "fired"
    (folder / "learner.safetensors").write_bytes(pickle.dumps(Bomb(fired), protocol=0))
    record = read_record(folder / "checkpoint.json")
    record["files"]["learner.safetensors"] = sha256(folder / "learner.safetensors")
    write_record(folder / "checkpoint.json", record)
    with pytest.raises(CheckpointError, match=r"C002.*not a safetensors file"):
        load_checkpoint(tmp_path)
    assert not fired.exists()


def test_training_goes_on_from_the_good_one_when_told(tmp_path):
    wanted = LoopSettings(total_steps=4, device="cpu", precision="fp32", checkpoint_every_steps=2, preview_every=None)
    last = train(Toy(), draw_toy, run=tmp_path, settings=wanted).checkpoint
    whole = load_checkpoint(tmp_path).tensors["learner"]
    _flip(last / "optimizers.safetensors")
    with pytest.raises(CheckpointError, match="C002"):
        train(Toy(), draw_toy, run=tmp_path, settings=wanted)
    (last / "checkpoint.json").unlink()
    last.rename(tmp_path / "aside")
    assert train(Toy(), draw_toy, run=tmp_path, settings=wanted).resumed_from == 2
    again = load_checkpoint(tmp_path).tensors["learner"]
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())


@pytest.mark.parametrize("read", [load_checkpoint, read_weights])
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors", "model"])
@pytest.mark.parametrize("save", [pickle.dump, torch.save], ids=["pickle", "torch"])
def test_a_pickle_is_refused_and_not_executed(tmp_path, read, name, save):
    fired = tmp_path / "fired"
    with (tmp_path / name).open("wb") as file:
        save(Bomb(fired), file)
    with pytest.raises(CheckpointError, match="C003"):
        read(tmp_path / name)
    assert not fired.exists()


def test_a_pickle_inside_a_checkpoint_is_refused_and_not_executed(tmp_path):
    folder = save_checkpoint(tmp_path, snapshot(1))
    fired = tmp_path / "fired"
    (folder / "learner.safetensors").write_bytes(pickle.dumps(Bomb(fired)))
    with pytest.raises(CheckpointError, match="C003"):
        load_checkpoint(tmp_path)
    assert not fired.exists()


def test_a_record_knows_when_it_was_changed(tmp_path):
    write_record(tmp_path / "r.json", {"step": 1, "note": "µ"})
    assert read_record(tmp_path / "r.json") == {"step": 1, "note": "µ"}
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(CheckpointError, match="C002"):
        read_record(tmp_path / "r.json")


@pytest.fixture
def trained(tmp_path):
    def make(**changes):
        base = {"total_steps": 3, "device": "cpu", "precision": "fp32", "preview_every": None}
        train(Toy(), draw_toy, run=tmp_path, settings=LoopSettings(**{**base, **changes}))
        return tmp_path

    return make


@pytest.mark.parametrize("decay", [None, 0.9])
def test_weights_rebuild_the_learner(trained, decay):
    run = trained(ema_decay=decay)
    assert export_weights(run).name == "weights.json"
    info, tensors = read_weights(run)
    learner = Toy().eval()
    load_weights(learner, tensors)
    parts = load_checkpoint(run).tensors
    averaged = parts.get("ema", parts["learner"])["g.0.weight"]
    assert torch.equal(learner.g[0].weight, averaged)
    assert torch.equal(averaged, parts["learner"]["g.0.weight"]) is (decay is None)
    assert (info.step, info.averaged, info.medgan_version) == (3, decay is not None, medgan.__version__)
    assert info.identity.method == "training_toy.Toy"


def test_weights_carry_no_optimizer_and_no_pool(trained):
    run = trained()
    export_weights(run)
    _, tensors = read_weights(run)
    assert all(name.startswith(("g.", "d.")) for name in tensors)
    assert load_checkpoint(run).extra["pool"].shape == (3, 2, 1, 4, 4)


def test_damaged_weights_are_refused(trained):
    run = trained()
    with pytest.raises(CheckpointError, match="C001"):
        read_weights(run)
    export_weights(run)
    _flip(run / "weights.safetensors")
    with pytest.raises(CheckpointError, match="C002"):
        read_weights(run)


def test_weights_of_another_learner_are_refused(trained):
    run = trained()
    export_weights(run)
    _, tensors = read_weights(run)
    learner = Toy()
    learner.g = torch.nn.Conv2d(3, 3, 1)
    with pytest.raises(CheckpointError, match="C004"):
        load_weights(learner, tensors)


def test_a_half_written_record_is_never_seen(tmp_path):
    assert find_checkpoint(tmp_path) is None
    write_record(tmp_path / "r.json", {"a": 1})
    assert json.loads((tmp_path / "r.json").read_text())["a"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
