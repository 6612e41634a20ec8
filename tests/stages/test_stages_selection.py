"""The checkpoint that is used: chosen by held-out training subjects, not by test subjects; alarms on their way out."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_studies import (
    TINY_CYCLEGAN,
    brain_settings,
    brain_study,
    lesion_settings,
    lesion_study,
    run_here,
    write_settings,
)

from medgan.errors import SettingsError, TrainingError
from medgan.methods.srgan import SRGANRecipe
from medgan.settings.selection import Selection
from medgan.settings.study import read_study
from medgan.stages import train as train_stage
from medgan.stages.materials import open_materials
from medgan.stages.progress import Progress
from medgan.stages.selection import hold_out, require_both
from medgan.stages.task_validation import TaskScore
from medgan.stages.trained import open_run
from medgan.stages.validation import PairedScore, UnpairedScore
from medgan.training.checkpoint import find_checkpoint, load_checkpoint
from medgan.training.log import read_log
from medgan.training.weights import read_weights
from medgan.workflow.display import _note
from medgan.workflow.plan import plan_study

BEST = {"take": "best", "share": 0.3, "every": 1}
TRAIN = "fold0/seed0/train"


def with_best(settings, **recipe):
    """The lesion study with the CycleGAN and the task chosen by held-out subjects."""
    translator = {
        "name": "cyclegan",
        "method": "cyclegan",
        "recipe": {**TINY_CYCLEGAN, "total_steps": 3, **recipe},
        "selection": BEST,
    }
    task = settings["tasks"][0] | {
        "selection": BEST,
        "recipe": {"total_steps": 3, "batch_size": 2, "width": 8},
        "arms": [{"name": "target-only"}, {"name": "translated", "images": "cyclegan", "use": "alone"}],
    }
    return settings | {"translators": [settings["translators"][0], translator], "tasks": [task]}


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """A finished study of lesions, chosen by held-out subjects."""
    folder = tmp_path_factory.mktemp("chosen")
    lesion_study(folder, subjects=12)
    path = write_settings(folder, with_best(lesion_settings()))
    run_here(path)
    return read_study(path)


def runs_in(study):
    return sorted(path.parent for path in study.output.glob("fold0/seed0/**/weights.json"))


class TestStudy:
    def test_nobody_who_is_tested_is_held_out_and_nobody_held_out_is_trained_on(self, chosen):
        folds = open_materials(chosen).folds
        seen = [(run, read_weights(run)[0].identity.context) for run in runs_in(chosen) if run.name != "histogram"]
        assert len(seen) == 3
        for run, context in seen:
            held = set(context["held_out"])
            assert held, run
            assert held <= folds.train(0)
            assert not held & folds.test(0)
        translator = {run.name: context for run, context in seen}["cyclegan"]
        assert translator["training_subjects"] == len(folds.train(0)) - len(translator["held_out"])

    def test_what_is_drawn_is_of_nobody_held_out(self, chosen, tmp_path, monkeypatch):
        drawn = []

        def no_training(learner, draw, *, identity, validate, **rest):
            drawn.extend(draw(step) for step in range(12))
            drawn.append(identity.context["held_out"])
            raise StopIteration

        monkeypatch.setattr(train_stage, "train", no_training)
        materials = open_materials(chosen)
        cases = [
            materials.prepared(materials.cases([domain], materials.folds.train(0)))
            for domain in ("dermoscopy", "clinical")
        ]
        progress = Progress(tmp_path / "progress.json", what="test", report=lambda line: None)
        with pytest.raises(StopIteration):
            train_stage.train_translator(
                chosen.translator("cyclegan"), *cases, materials=materials, seed=0, folder=tmp_path, progress=progress
            )
        held = drawn.pop()
        allowed = {
            np.asarray(case.pixels).tobytes() for side in cases for case in side if case.case.subject_id not in held
        }
        images = [image.numpy().tobytes() for batch in drawn for side in "ab" for image in batch[side]]
        assert set(images) <= allowed
        assert len(set(images)) > 4

    def test_the_weights_are_the_best_checkpoints_and_say_its_step_and_score(self, chosen):
        for run in runs_in(chosen):
            record = json.loads((run / "weights.json").read_text())
            if run.name == "histogram":
                assert (record["checkpoint"], record["score"], record["scored_by"]) == ("last", None, "")
                continue
            scores = {line["step"]: line["score"] for line in read_log(run) if "score" in line}
            assert sorted(scores) == [1, 2, 3]
            best = max(scores, key=lambda step: (scores[step], -step))
            assert (record["checkpoint"], record["step"], record["score"]) == ("best", best, scores[best])
            assert "held-out subjects" in record["scored_by"]
            expected = load_checkpoint(run, name=f"step_{best:08d}").tensors["learner"]
            found = read_weights(run)[1]
            assert all(np.array_equal(found[name], tensor) for name, tensor in expected.items())

    def test_the_report_tells_each_runs_checkpoint(self, chosen):
        page = (chosen.output / "report" / "report.html").read_text()
        assert "Of 3 of 3 runs the checkpoint that scored best on held-out training subjects was used." in page
        assert "No alarm in 3 runs." in page
        record = json.loads((chosen.output / TRAIN / "cyclegan" / "weights.json").read_text())
        assert f'<td>best</td><td class="num">{record["step"]}</td>' in page
        assert f"{record['score']:.4g}" in page

    def test_selection_changes_the_plan_only_where_it_selects(self, chosen):
        def digests(study):
            return {job.id: job.digest for job in plan_study(study)}

        last = chosen.translators[1].model_copy(update={"selection": Selection()})
        other = last.model_copy(update={"selection": Selection(share=0.4)})
        studies = [
            chosen.model_copy(update={"translators": (chosen.translators[0], plan)})
            for plan in (chosen.translators[1], last, other)
        ]
        found = [digests(study)[f"{TRAIN}/cyclegan"] for study in studies]
        assert found[0] != found[1] == found[2]

    def test_an_unknown_key_is_refused_with_the_nearest(self, tmp_path):
        entry = {"name": "x", "method": "cyclegan", "selection": {"take": "best", "shares": 0.2}}
        path = write_settings(tmp_path, brain_settings(), translators=[entry], primary=None)
        with pytest.raises(SettingsError, match=r"S002.*selection.shares.*did you mean 'share'"):
            read_study(path)


def killed_at(cut):
    """Training that ends after so many steps, as if it were killed."""
    real = train_stage.train

    def killed(*args, on_step, **rest):
        def then(step):
            on_step(step)
            if step == cut:
                raise KeyboardInterrupt

        return real(*args, on_step=then, **rest)

    return killed


def test_best_score_and_step_survive_an_interruption(tmp_path):
    """With pairs: pix2pix on brains, cut and gone on with, equals the run that was never cut."""
    recipe = {"total_steps": 5, "crop_px": 32, "generator_width": 4, "discriminator_width": 4, "patch": 16}
    plan = {"name": "p2p", "method": "pix2pix", "recipe": recipe, "selection": BEST}
    outcomes = []
    brain_study(tmp_path)
    for name, cut in (("whole", None), ("cut", 3)):
        path = write_settings(tmp_path, brain_settings(), translators=[plan], primary=None, output=name)
        study = read_study(path)
        run_here(path, until="prepare")
        run = study.output / TRAIN / "p2p"
        if cut:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(train_stage, "train", killed_at(cut))
                with pytest.raises(KeyboardInterrupt):
                    run_here(path, until=f"{TRAIN}/p2p")
        run_here(path, until=f"{TRAIN}/p2p")
        info, _ = read_weights(run)
        outcomes.append((info.checkpoint, info.step, info.score, info.sha256, find_checkpoint(run, name="best").name))
        assert "SSIM" in info.scored_by
    assert outcomes[0] == outcomes[1]
    assert open_run(run, device="cpu").target == "flair"


class TestScores:
    def test_with_pairs_the_truth_scores_one_and_the_input_less(self, tmp_path):
        path = brain_study(tmp_path)
        run_here(path, until="prepare")
        materials = open_materials(read_study(path))
        source, target = (materials.prepared(materials.manifest.of_domain(name)) for name in ("t1", "flair"))
        identity = _learner(materials, source)
        assert PairedScore(target, target, neighbours=1)(identity) == pytest.approx(1.0, abs=1e-6)
        assert PairedScore(source, target, neighbours=1)(identity) < 0.99

    def test_without_pairs_real_targets_score_higher_than_the_input(self, chosen):
        materials = open_materials(chosen)
        source, target = (materials.prepared(materials.manifest.of_domain(n)) for n in ("dermoscopy", "clinical"))
        identity = _learner(materials, source)
        same = UnpairedScore(target[:6], target[6:], neighbours=1)(identity)
        other = UnpairedScore(source[:6], target[6:], neighbours=1)(identity)
        assert other < same <= 0
        assert UnpairedScore(target, target, neighbours=1)(identity) == 0

    def test_a_task_is_scored_on_its_own_labels(self, chosen):
        materials = open_materials(chosen)
        held = materials.prepared(materials.manifest.of_domain("clinical"))[:4]
        score = TaskScore(chosen.task("lesion"), held, preparation=chosen.preparation)
        assert score(_Knowing(held)) == 1.0
        assert score(_Knowing(held, wrong=True)) == 0.0


class TestHoldOut:
    def cases(self, materials, domains):
        return [case for name in domains for case in materials.prepared(materials.manifest.of_domain(name))]

    def test_whole_subjects_of_every_domain_by_their_ids_and_the_seed(self, chosen):
        cases = self.cases(open_materials(chosen), ("dermoscopy", "clinical"))
        train, held = hold_out(cases, Selection(take="best", share=0.25), seed=3)
        subjects = [{case.case.subject_id for case in part} for part in (train, held)]
        assert not subjects[0] & subjects[1]
        assert len(train) + len(held) == len(cases)
        assert {case.case.domain for case in held} == {case.case.domain for case in train}
        assert len(subjects[1]) == 3
        again = hold_out(cases[::-1], Selection(take="best", share=0.25), seed=3)[1]
        assert {case.case.subject_id for case in again} == subjects[1]
        assert any(
            {case.case.subject_id for case in hold_out(cases, Selection(share=0.25), seed=seed)[1]} != subjects[1]
            for seed in range(5)
        )

    def test_one_subject_alone_cannot_be_held_out(self, chosen):
        cases = self.cases(open_materials(chosen), ("clinical",))[:1]
        parts = hold_out(cases, Selection(take="best"), seed=0)
        with pytest.raises(TrainingError, match=r"T013.*1 cases to train on and 0"):
            require_both(*parts, what="translator x")


def test_a_failed_run_leaves_a_plot_and_its_alarm_is_told_everywhere(tmp_path, capsys):
    lesion_study(tmp_path)
    recipe = TINY_CYCLEGAN | {"total_steps": 130, "learning_rate": 300.0, "weight_identity": 0.0}
    plan = {"name": "wild", "method": "cyclegan", "recipe": recipe}
    path = write_settings(tmp_path, lesion_settings(), translators=[plan], tasks=[], primary=None)
    with pytest.raises(TrainingError, match=r"T00[167].*last good checkpoint.*losses\.png there shows"):
        run_here(path, until=f"{TRAIN}/wild")
    run = read_study(path).output / TRAIN / "wild"
    with Image.open(run / "losses.png") as picture:
        assert picture.width > 400
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    alarm = [line for line in read_log(run) if "alarm" in line][-1]
    assert alarm["fatal"]
    # Nothing is called done, and the weights of a failed run are not exported.
    assert not (run / "weights.json").exists()


def test_alarms_stand_in_the_progress_file_and_on_the_terminal(tmp_path):
    lines = []
    progress = Progress(tmp_path / "progress.json", what="fold0/train/x", report=lines.append)
    progress.alarm("step 40: collapse: all alike")
    assert lines == ["fold0/train/x: ALARM: step 40: collapse: all alike"]
    progress(40, 100, doing="steps")
    state = json.loads((tmp_path / "progress.json").read_text())
    assert state["alarms"] == ["step 40: collapse: all alike"]
    assert _note(state).endswith("ALARM: step 40: collapse: all alike")
    assert "ALARM" not in _note({**state, "alarms": []})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lesions", "brains"])
def test_a_short_healthy_run_on_phantoms_raises_no_alarm(tmp_path, kind):
    write, settings = {"lesions": (lesion_study, lesion_settings), "brains": (brain_study, brain_settings)}[kind]
    recipe = {
        "lesions": {**TINY_CYCLEGAN, "total_steps": 240},
        "brains": {"total_steps": 300, "crop_px": 32, "generator_width": 8, "discriminator_width": 8, "patch": 16},
    }[kind]
    plan = {"name": "x", "method": "cyclegan" if kind == "lesions" else "pix2pix", "recipe": recipe}
    write(tmp_path)
    path = write_settings(tmp_path, settings(), translators=[plan], tasks=[], primary=None, preview_every=40)
    run_here(path, until=f"{TRAIN}/x")
    lines = read_log(read_study(path).output / TRAIN / "x")
    assert lines[-1]["step"] == recipe["total_steps"]
    assert [line for line in lines if "alarm" in line] == []


def _learner(materials, cases):
    from medgan.methods.identity import method
    from medgan.training.translator import SampleShape

    class Given(method):
        """Identity with a parameter, as every learner that is scored has."""

        def __init__(self):
            import torch

            super().__init__(method.recipe_type(), shape=SampleShape(cases[0].shape[0], 1, 32))
            self.unused = torch.nn.Parameter(torch.zeros(1))

    return Given()


class _Knowing:
    """Knows the true labels by their images."""

    size_multiple = 16

    def __init__(self, cases, *, wrong=False):
        from types import SimpleNamespace

        import torch

        self.recipe = SimpleNamespace(neighbours=1)
        self._answers = [(torch.from_numpy(np.array(case.pixels)), np.array(case.label)) for case in cases]
        self._wrong = wrong

    def parameters(self):
        import torch

        return iter([torch.zeros(1)])

    def predict(self, batch):
        import torch

        label = next(label for pixels, label in self._answers if torch.equal(pixels, batch[0]))
        found = torch.from_numpy((label > 0).astype(np.int64))[None]
        return torch.zeros_like(found) if self._wrong else found


def test_a_recipe_that_makes_its_own_pairs_is_scored_without_pairs(tmp_path):
    recipe = SRGANRecipe.tiny().model_dump(mode="json", exclude_defaults=True) | {"low_resolution": "made"}
    plan = {"name": "fine", "method": "srgan", "recipe": recipe, "selection": BEST}
    path = lesion_study(tmp_path, subjects=12, translators=[plan], tasks=[], primary=None, margin=None)
    run_here(path, until=f"{TRAIN}/fine")
    scored_by = read_weights(path.parent / "out" / TRAIN / "fine")[0].scored_by
    assert "sliced Wasserstein" in scored_by
