"""The table of methods: what it trains, keeps and writes, on tiny tensors; no number of it is asserted."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medgan import discover
from medgan.downstream.classification import ClassifierRecipe
from medgan.downstream.segmentation import SegmenterRecipe
from medgan.imaging.intensity import Window
from medgan.manifests.manifest import Case
from medgan.samples.prepared import open_prepared, save_prepared
from medgan.transforms.trace import Prepared, Trace

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import methods
import methods_data
import methods_facts
import methods_judges
import methods_measures
import methods_page
import methods_runs
import methods_sheets
import methods_table
import methods_tasks

PX = 32


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    for name in ("generator_width", "discriminator_width", "width"):
        monkeypatch.setitem(methods_table.NARROW, name, 8)


@pytest.fixture
def make_case(tmp_path):
    rng = np.random.default_rng(0)

    def make(name, subject, *, domain, pair=None, side=36, level=None):
        noise = rng.uniform(-1, 1, size=(3, side, side)).astype(np.float32)
        pixels = noise if level is None else level + 0.01 * noise
        label = np.zeros((side, side), np.uint8)
        label[8:20, 8:24] = 255
        trace = Trace(
            preset="photograph",
            source_shape=pixels.shape,
            prepared_shape=pixels.shape,
            window=Window(low=0, high=255, unit="level"),
        )
        folder = tmp_path / "store" / domain / name
        save_prepared(Prepared(pixels, label, np.ones((side, side), bool), trace), folder, source="0" * 64)
        row = Case(
            case_id=f"{domain}-{name}", subject_id=subject, domain=domain, image="x.png", pair_id=pair, quality=1
        )
        return open_prepared(row, f"{domain}{name}", folder)

    return make


@pytest.fixture
def make_flat(make_case):
    """A case of one level, but for a little noise."""
    return lambda name, level: make_case(name, name, domain=f"flat{level}", level=level)


@pytest.fixture
def make_task(make_case):
    sides = {
        part: tuple(
            [make_case(f"{part}{n}", f"{part}{n // 2}", domain=d, pair=f"{part}{n}") for n in range(6)] for d in "ab"
        )
        for part in ("train", "test")
    }

    def make(**changed):
        paired = changed.get("paired", True)
        cut = {"size_px": PX, "count": 5, "seed": 0}
        settings = {
            "name": "t1_to_flair",
            "title": "a to b",
            "size_px": PX,
            "steps": 1,
            "batch_size": 2,
            "label_value": 255,
            "measures": tuple(name for name in methods_measures.MEASURES if name != "quality"),
            "paired": True,
        }
        return methods_data.Task(
            train=sides["train"],
            test=methods_data.samples_of(sides["test"][0], partners=sides["test"][1] if paired else (), **cut),
            real=methods_data.samples_of(sides["test"][1], **cut),
            known=methods_data.samples_of(sides["train"][1], **cut),
            **{**settings, **changed},
        )

    return make


def judges_of(task, folder):
    return methods_judges.Judges(
        task,
        folder,
        features="random",
        segmenter=SegmenterRecipe(total_steps=1, batch_size=2, width=8),
        classifier=ClassifierRecipe(total_steps=1, batch_size=2),
    )


def test_methods_are_trained_measured_and_kept(make_task, tmp_path, monkeypatch):
    task, labels = make_task(), ("identity", "histogram_matching", "cyclegan", "pix2pix", "no-such", "cyclegan:no-such")
    monkeypatch.setattr(methods, "RUNS", {task.name: labels})
    work, results = tmp_path / "work", tmp_path / "results"
    told = list(methods.run(task, labels, judges_of(task, work / "judges"), work=work))
    assert len(told) == 6
    assert [line for line in told if "no such" in line] == told[-2:]
    monkeypatch.setattr(methods_runs, "train", None)  # what is there is not trained again
    monkeypatch.setattr(methods_judges, "train", None)
    assert list(methods.run(task, labels, judges_of(task, work / "judges"), work=work)) == told
    methods.write(task, judges_of(task, work / "judges"), work=work, results=results)
    found = json.loads((results / f"{task.name}.json").read_text())
    assert [row["label"] for row in found["rows"]] == list(labels[:4])
    rows = {row["label"]: row for row in found["rows"]}
    assert rows["identity"]["measures"]["kept"]["value"] == pytest.approx(1, abs=1e-3)
    assert rows["cyclegan"]["steps"] == 1
    assert rows["cyclegan"]["step_cpu_s"] > 0
    assert rows["pix2pix"]["needs_pairs"]
    for row in rows.values():
        assert set(row["measures"]) == set(task.measures)
        assert len(row["measures"]["mae"]["by_subject"]) == row["measures"]["mae"]["n_subjects"] == 3
    sheet = np.asarray(Image.open(results / f"{task.name}.png"))
    assert sheet.shape[1] > 6 * 128


def test_what_another_machine_wrote_is_kept_beside_what_is_run_here(make_task, tmp_path, monkeypatch):
    task, results = make_task(), tmp_path / "results"
    monkeypatch.setattr(methods, "RUNS", {task.name: ("identity", "histogram_matching", "pix2pix")})
    monkeypatch.setattr(methods_page, "RUNS", methods.RUNS)

    def write(folder, label, machine, **changed):
        monkeypatch.setattr(methods_runs, "processor", lambda: machine)
        other = make_task(**changed)
        judges = judges_of(other, tmp_path / "judges")  # the same for all: their weights came along
        assert len(list(methods.run(other, [label], judges, work=tmp_path / folder))) == 1
        methods.write(other, judges, work=tmp_path / folder, results=results)
        return json.loads((results / f"{task.name}.json").read_text())["rows"]

    write("first", "pix2pix", "one")
    before = methods_sheets.columns_of(results / f"{task.name}.png", ["pix2pix"], closed=True)["pix2pix"]
    rows = write("second", "identity", "another")
    assert [(row["label"], row["machine"].split(",")[0]) for row in rows] == [
        ("identity", "another"),
        ("pix2pix", "one"),
    ]
    columns = methods_sheets.columns_of(results / f"{task.name}.png", ["identity", "pix2pix"], closed=True)
    np.testing.assert_array_equal(columns["pix2pix"], before)
    shown = np.array(columns["identity"][1])[::4, ::4].astype(float)  # a corner of the picture of 32 px in its 128
    expected = methods_sheets.picture(task.test[1].image).astype(float)
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.8
    assert [row["label"] for row in write("third", "identity", "another", batch_size=3)] == ["identity"]


def test_a_sheet_of_several_bands_gives_its_columns_back(make_task, tmp_path):
    task, rng = make_task(), np.random.default_rng(1)
    made = {f"m{n}": [rng.integers(0, 256, (128, 128, 3)).astype(np.uint8) for _ in range(4)] for n in range(11)}
    methods_sheets.sheet(task, list(made.items()), tmp_path / "sheet.png")
    found = methods_sheets.columns_of(tmp_path / "sheet.png", list(made), closed=True)
    for label, pictures in made.items():
        np.testing.assert_array_equal(found[label], pictures, err_msg=label)
    with pytest.raises(ValueError, match=r"no sheet of|methods take"):
        methods_sheets.columns_of(tmp_path / "sheet.png", list(made)[:3], closed=True)


def test_times_of_other_machines_are_told_apart():
    rows = [
        {"label": label, "machine": machine, "step_cpu_s": 0.1 + n}
        for n, (label, machine) in enumerate([("cut", "old"), ("cyclegan", "new")])
    ]
    assert methods_page._machines({"rows": rows}) == {"old": " (A)", "new": " (B)"}
    assert methods_page._machines({"rows": rows[:1]}) == {"old": ""}
    assert methods_facts.faster("task", "cut", "cyclegan")({"task": {"rows": rows}}) is None
    rows[1]["machine"] = "old"
    assert methods_facts.faster("task", "cut", "cyclegan")({"task": {"rows": rows}})[0]


def test_other_settings_are_trained_anew(make_task, tmp_path, monkeypatch):
    first = methods_runs.outcome("histogram_matching", make_task(), tmp_path)
    calls = []
    monkeypatch.setattr(methods_runs, "train", lambda *args, **kwargs: calls.append(1) or methods.outcome)
    again = methods_runs.outcome("histogram_matching", make_task(), tmp_path)
    np.testing.assert_allclose(again.outputs, first.outputs, atol=1e-3)
    assert not calls
    with pytest.raises(AttributeError):  # the stand-in gives no summary
        methods_runs.outcome("histogram_matching", make_task(batch_size=3), tmp_path)
    assert calls


@pytest.fixture
def three_sites(make_task, make_case):
    task = make_task(paired=False, measures=("domain", "sliced_wasserstein", "kept"), targets=("b", "c"), batch_size=1)
    third = [make_case(f"train{n}", f"train{n // 2}", domain="c") for n in range(6)]
    sent = [replace(one, name=f"{one.name} to {to}", to=to, target=None) for one in task.test for to in "bc"]
    real = [replace(one, to=to) for to in "bc" for one in task.real]
    return replace(task, train=(*task.train, third), test=sent, real=real, known=real)


def test_several_targets_are_learnt_at_once_or_each_by_itself(three_sites, tmp_path, monkeypatch):
    task, results = three_sites, tmp_path / "results"
    sides = []
    kept = methods_runs.trained
    monkeypatch.setattr(methods_runs, "trained", lambda *args, **named: sides.append(args[1]) or kept(*args, **named))
    labels = ("identity", "stargan", "cyclegan")
    monkeypatch.setattr(methods, "RUNS", {task.name: labels})
    monkeypatch.setitem(methods_table.NARROW, "discriminator_halvings", 3)
    judges = judges_of(task, tmp_path / "judges")
    list(methods.run(task, labels, judges, work=tmp_path / "work"))
    assert [len(one) for one in sides] == [2, 2, 3, 2, 2]
    assert [one[1] for one in sides if len(one) == 2] == 2 * list(task.train[1:])
    methods.write(task, judges, work=tmp_path / "work", results=results)
    told = json.loads((results / f"{task.name}.json").read_text())
    rows = {row["label"]: row for row in told["rows"]}
    assert rows["stargan"]["steps"] == 5  # one of the generator
    assert rows["identity"]["measures"]["kept"]["value"] == pytest.approx(1, abs=1e-3)
    assert rows["stargan"]["measures"]["domain"]["n_images"] == 10
    assert told["targets"] == ["b", "c"]
    said = methods_page._setting(told)
    assert "6 of `b` (3 subjects) and 6 of `c` (3 subjects); measured on 5 images of 3 other subjects" in said
    assert "each sent to every target, and on 5 of `b` (3 subjects) and 5 of `c` (3 subjects)" in said
    columns = methods_sheets.columns_of(
        results / f"{task.name}.png", list(labels), closed=False, row_labels=methods_sheets.row_labels_of(task)
    )
    np.testing.assert_array_equal(columns["identity"][0], columns["identity"][1])  # one image, to b and to c


@pytest.mark.parametrize("at_once", [True, False])
def test_each_output_is_of_the_domain_that_it_was_sent_to(three_sites, make_flat, tmp_path, monkeypatch, at_once):
    method = discover.load("medgan.methods", "histogram_matching").method
    monkeypatch.setattr(method, "many_domains", at_once)
    levels = {"b": -0.5, "c": 0.5}
    sides = (three_sites.train[0], *([make_flat(f"{to}{n}", level) for n in range(2)] for to, level in levels.items()))
    task = replace(three_sites, train=sides)
    made = methods_runs._made("histogram_matching", methods_runs.recipe_of("histogram_matching", task), task, tmp_path)
    for sample, output in zip(task.test, made.outputs, strict=True):
        assert output.mean() == pytest.approx(levels[sample.to], abs=0.05)
    rows = methods_measures.measured(made.outputs, replace(task, measures=("kept",)), None)
    assert set(rows["kept"]["of_target"]) == {"b", "c"}


def test_the_judge_of_domains_has_a_class_for_each(three_sites, tmp_path):
    found = judges_of(three_sites, tmp_path).domains(np.stack([sample.image for sample in three_sites.test]))
    assert found.shape == (len(three_sites.test), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_single_images_have_a_training_each(make_task, make_flat, tmp_path, monkeypatch):
    task = make_task(measures=("reference", "kept"), single=True, crop_px=16, paired=False)
    levels = [-0.8, -0.4, 0.0, 0.4, 0.8]
    chosen = (task.train[0][:5], [make_flat(f"{n}", level) for n, level in enumerate(levels)])
    task = replace(task, train=chosen, test=task.test[:5], real=task.real[:5])
    shown = []
    kept = methods_runs.trained
    monkeypatch.setattr(methods_runs, "trained", lambda *args, **named: shown.append(args) or kept(*args, **named))
    made = methods_runs.outcome("histogram_matching", task, tmp_path)
    assert [[len(side) for side in args[1]] for args in shown] == [[1, 1]] * 5
    assert [args[1][0][0].key for args in shown] == [case.key for case in chosen[0]]
    assert {args[0].recipe.crop_px for args in shown} == {16}
    np.testing.assert_allclose(made.outputs.mean(axis=(1, 2, 3)), levels, atol=0.05)
    told = {**methods._task_told(task, judges_of(task, tmp_path)), "rows": []}
    assert "nothing is held out" in methods_page._setting(told)


def test_training_that_fails_is_a_row_of_its_own(make_task, tmp_path):
    task = make_task()
    made = methods_runs.outcome("pix2pix", replace(task, train=(task.train[0], task.train[1][:2])), tmp_path)
    assert "M010" in made.facts["failed"]
    assert not len(made.outputs)


def test_a_preset_keeps_its_own_settings(make_task, monkeypatch):
    from medgan.methods.pix2pix import Pix2PixRecipe
    from medgan.settings.recipe import Preset

    monkeypatch.setattr(Pix2PixRecipe, "presets", {"pixel": Preset("one pixel", {"patch": 1})})
    assert methods_runs.recipe_of("pix2pix:pixel", make_task()).patch == 1
    assert methods_runs.recipe_of("pix2pix", make_task()).patch == 16
    assert methods_runs.recipe_of("identity", make_task()).total_steps == 0


def test_rates_are_five_times_the_published_but_for_those_named(make_task):
    rates = [methods_runs.recipe_of(label, make_task()).learning_rate for label in ("stargan", "stargan:change")]
    assert rates == pytest.approx([5e-4, 1e-4])


def test_test_images_go_round_the_subjects(make_case):
    cases = [make_case(f"{n}", "many" if n < 5 else f"s{n}", domain="c") for n in range(8)]
    names = [sample.subject for sample in methods_data.samples_of(cases, size_px=PX, count=5, seed=0)]
    assert sorted(names[:4]) == ["many", "s5", "s6", "s7"]
    assert names[4] == "many"


def test_masks_become_pictures_and_slices_lose_their_detail(make_case, tmp_path):
    case = make_case("one", "s", domain="c")
    mask = methods_data.derived(case, tmp_path, what="mask", make=methods_tasks._mask_image)
    assert mask.case.pair_id == case.case.case_id
    assert set(np.unique(mask.pixels)) == {-1, 1}
    assert mask.shape == case.shape


def test_the_page_says_what_was_measured_and_what_was_not(make_task, tmp_path, monkeypatch):
    task = make_task()
    work, results = tmp_path / "work", tmp_path / "results"
    for module in (methods, methods_page):
        monkeypatch.setattr(module, "RUNS", {task.name: ("identity", "cyclegan"), "super_resolution": ("identity",)})
    list(methods.run(task, ("identity",), judges_of(task, work / "judges"), work=work))
    methods.write(task, judges_of(task, work / "judges"), work=work, results=results)
    blank = "".join(
        f"<!-- {n}: begin -->\nold\n<!-- {n}: end -->\nkept\n" for n in ("facts", task.name, "super_resolution")
    )
    text = methods_page.with_tables(blank, methods_page.read(results))
    assert "old" not in text
    assert text.count("kept\n") == 3
    assert "| `cyclegan` | not measured yet |" in text
    assert "<!-- super_resolution: begin -->\nnot measured yet\n" in text
    assert f"results/methods/{task.name}.png" in text
    with pytest.raises(ValueError, match="has no part"):
        methods_page.with_tables("nothing", methods_page.read(results))


def test_a_finding_is_seen_where_its_interval_says_so():
    def results(own, other):
        rows = [
            {"label": label, "measures": {"ssim": {"by_subject": dict(zip("abc", values, strict=True))}}}
            for label, values in (("arm", own), ("baseline", other))
        ]
        return {"task": {"rows": rows}}

    look = methods_facts.differs("task", "ssim", "arm", "baseline", sign=-1)
    assert look({}) is None
    assert look(results([0.1, 0.2, 0.3], [0.5, 0.6, 0.71]))[0]
    assert not look(results([0.5, 0.6, 0.71], [0.1, 0.2, 0.3]))[0]
    assert not look(results([0.1, 0.6, 0.3], [0.5, 0.2, 0.31]))[0]
    collapsed = results([0.5, 0.6, 0.71], [0.1, 0.2, 0.3])
    collapsed["task"]["rows"][0]["ignores_source"] = True
    assert not look(collapsed)[0]
    assert methods_facts.collapses_or_loses("task", "ssim", "arm", "baseline")(collapsed)[0]
    table = methods_facts.facts_table({})
    assert table.count("not measured yet") == len(methods_facts.FACTS)


def test_the_committed_page_is_that_of_the_committed_results():
    text = methods_page.PAGE.read_text(encoding="utf-8")
    assert methods_page.with_tables(text, methods_page.read(methods.RESULTS)) == text, "run benchmarks/methods.py page"


def test_every_task_has_a_list_of_methods():
    assert set(methods_table.RUNS) == set(methods_tasks.TASKS)
