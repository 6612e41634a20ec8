"""Train and downstream: inside the fold, with equal steps, and with the images that the arm says."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_studies import finished_brains, finished_lesions, lesion_settings, write_settings

from medgan.errors import ManifestError, SettingsError, TrainingError
from medgan.manifests.manifest import Case
from medgan.settings.recipe import Recipe
from medgan.settings.study import read_study
from medgan.stages.arguments import JobArguments
from medgan.stages.downstream import label_values, read_task_recipe, run
from medgan.stages.materials import labelled, limited, open_materials, used_translators
from medgan.stages.progress import Progress
from medgan.stages.scoring import class_label, open_model
from medgan.stages.train import contract, read_recipe, sample_shape
from medgan.training.translator import SampleShape
from medgan.training.weights import read_weights

__all__ = ["finished_brains", "finished_lesions"]

PLACE = "fold0/seed0"
TASK = lesion_settings()["tasks"][0]


@pytest.fixture(scope="module")
def study(finished_lesions):
    return read_study(finished_lesions)


@pytest.fixture(scope="module")
def materials(study):
    return open_materials(study)


class TestFold:
    def test_nobody_is_both_trained_and_tested_on(self, study, materials):
        train, test = materials.folds.train(0), materials.folds.test(0)
        assert not train & test
        for path in (study.output / PLACE).rglob("rows.csv"):
            assert set(pd.read_csv(path, dtype=str).subject_id) == set(test), path

    def test_translators_learn_from_the_training_subjects_alone(self, study, materials):
        for name in ("cyclegan", "histogram"):
            info, _ = read_weights(study.output / PLACE / "train" / name)
            assert info.identity.context["training_subjects"] == len(materials.folds.train(0))
            assert info.identity.data == {"manifest": materials.manifest.digest}

    def test_every_arm_takes_the_same_steps(self, study):
        steps = {
            arm.name: read_weights(study.output / PLACE / "downstream" / "lesion" / "all" / arm.name)[0].step
            for arm in study.task("lesion").arms
        }
        assert steps == dict.fromkeys(("target-only", "transfer", "translated"), 2)

    def test_arms_see_the_cases_they_say(self, study):
        seen = {
            arm.name: read_weights(study.output / PLACE / "downstream" / "lesion" / "all" / arm.name)[
                0
            ].identity.context
            for arm in study.task("lesion").arms
        }
        assert {name: context["cases"] for name, context in seen.items()} == {
            "target-only": {"own": 4, "extra": 0},
            "transfer": {"own": 4, "extra": 4},
            "translated": {"own": 4, "extra": 4},
        }

    def test_a_judge_sees_each_source_image_before_and_after(self, study, materials):
        table = pd.read_csv(study.output / PLACE / "judge" / "lesion" / "all" / "rows.csv", dtype=str)
        assert set(table.tested_on) == {"source", "cyclegan"}
        assert set(table.arm) == {"target-only"}
        cases = {name: set(part.case_id) for name, part in table.groupby("tested_on")}
        assert cases["source"] == cases["cyclegan"]
        assert all(name.endswith("_dermoscopy") for name in cases["source"])


class TestSamples:
    def test_the_shape_is_the_crop_or_the_largest_image_rounded_up(self, materials):
        cases = materials.prepared(materials.cases(["clinical"], materials.folds.train(0)))
        assert sample_shape(Recipe(), cases) == SampleShape(3, 1, 32)
        assert sample_shape(Recipe(crop_px=16, neighbours=3), cases) == SampleShape(3, 3, 16)

    def test_grey_and_colour_do_not_mix(self, materials):
        cases = materials.prepared(materials.cases(["clinical"], materials.folds.train(0)))
        grey = replace(cases[0])
        grey.__dict__["pixels"] = np.zeros((1, 32, 32), np.float32)
        with pytest.raises(TrainingError, match=r"T010.*\[1, 3\] channels"):
            sample_shape(Recipe(), [grey, *cases])
        with pytest.raises(TrainingError, match=r"T010.*no cases"):
            sample_shape(Recipe(), [])

    def test_the_contract_says_what_the_ends_stand_for(self, materials):
        cases = materials.prepared(materials.cases(["clinical"], materials.folds.train(0)))
        assert contract(cases) == {"low": 0.0, "high": 255.0, "unit": "level", "per_volume": False}

    def test_volumes_with_windows_of_their_own_give_the_median(self, finished_brains):
        materials = open_materials(read_study(finished_brains))
        cases = materials.prepared(materials.manifest.of_domain("flair"))
        found = contract(cases)
        highs = sorted(case.trace.window.high for case in cases)
        assert found["per_volume"]
        assert found["high"] == pytest.approx((highs[2] + highs[3]) / 2)
        assert found["unit"] == "a.u."


class TestTargetCases:
    def cases(self):
        return [
            Case(case_id=f"{s}{i}", subject_id=f"S{s}", domain="d", image=f"{s}{i}.png")
            for s in range(8)
            for i in (1, 2)
        ]

    def test_a_larger_count_holds_the_smaller(self):
        chosen = {count: {case.case_id for case in limited(self.cases(), count, seed=3)} for count in ("2", "7", "12")}
        assert chosen["2"] < chosen["7"] < chosen["12"]
        assert [len(found) for found in chosen.values()] == [2, 7, 12]

    def test_whole_subjects_come_first(self):
        chosen = limited(self.cases(), "6", seed=3)
        assert len({case.subject_id for case in chosen}) == 3

    def test_the_choice_goes_by_the_seed_and_not_by_the_order_of_rows(self):
        one, two = limited(self.cases(), "4", seed=3), limited(self.cases()[::-1], "4", seed=3)
        assert one == two
        others = {tuple(case.case_id for case in limited(self.cases(), "4", seed=seed)) for seed in range(5)}
        assert len(others) > 1

    def test_all_are_all(self):
        assert limited(self.cases(), "all", seed=0) == self.cases()

    def test_a_case_without_a_label_is_left_out(self, study):
        cases = [replace(case, mask="m.png" if index % 2 else None) for index, case in enumerate(self.cases())]
        assert len(labelled(cases, study.task("lesion"))) == 8


def progress_in(folder):
    return Progress(folder / "progress.json", what="test", report=lambda line: None)


@pytest.mark.parametrize("use", ["alone", "before", "beside"])
def test_source_images_are_used_as_the_arm_says(study, tmp_path, use, monkeypatch):
    """What each step draws: only source images, source then target, or both in one batch."""
    drawn = []
    from medgan.stages import downstream

    def train(learner, draw, *, settings, **rest):
        drawn.extend(draw(step)["image"].numpy().copy() for step in range(settings.total_steps))
        raise StopIteration

    monkeypatch.setattr(downstream, "train", train)
    task = TASK | {
        "recipe": TASK["recipe"] | {"total_steps": 8, "batch_size": 4, "augment": []},
        "arms": [{"name": "target-only"}, {"name": "x", "images": "identity", "use": use, "fraction": 0.25}],
        "tested_on": [],
    }
    path = write_settings(
        tmp_path,
        lesion_settings(),
        tasks=[task],
        primary=None,
        manifest=str(study.manifest),
        data_root=str(study.data_root),
        output=str(study.output),
    )
    arguments = JobArguments(task="lesion", arm="x", target_cases="all", fold=0, seed=0)
    with pytest.raises(StopIteration):
        run(read_study(path), arguments, tmp_path, progress_in(tmp_path))
    materials = open_materials(study)
    known = {
        domain: {
            np.asarray(case.pixels).tobytes()
            for case in materials.prepared(materials.cases([domain], materials.folds.train(0)))
        }
        for domain in ("dermoscopy", "clinical")
    }
    shares = [np.mean([image.tobytes() in known["dermoscopy"] for image in batch]) for batch in drawn]
    assert all(image.tobytes() in known["dermoscopy"] | known["clinical"] for batch in drawn for image in batch), (
        "an image of a test subject, or none of the study"
    )
    if use == "alone":
        assert set(shares) == {1.0}
    elif use == "before":
        assert shares == [1.0, 1.0, *[0.0] * 6]
    else:
        assert 0 < np.mean(shares) < 0.6


def test_recipes_that_do_not_fit_name_every_wrong_key(study):
    plan = study.translator("cyclegan").model_copy(update={"recipe": {"bloks": 2, "learning_rate": -1}})
    with pytest.raises(SettingsError, match=r"S002.*translator cyclegan.*learning_rate.*bloks.*did you mean 'blocks'"):
        read_recipe(plan)
    task = study.task("lesion").model_copy(update={"recipe": {"wdth": 8}})
    with pytest.raises(SettingsError, match=r"S002.*task lesion.*did you mean 'width'"):
        read_task_recipe(task)


def test_mask_values_become_classes(study):
    task = study.task("lesion").model_copy(update={"classes": 3, "mask_values": (255, 7)})
    assert label_values(task) == {0: 0, 255: 1, 7: 2}
    raw = np.array([[0, 255], [7, 0]], dtype=np.uint8)
    np.testing.assert_array_equal(class_label(raw, task.mask_values), [[0, 1], [2, 0]])
    with pytest.raises(ManifestError, match=r"M052.*got 7; expected 0 and 255"):
        class_label(raw, (255,))


def test_identity_joins_where_similarity_is_measured(study):
    assert used_translators(study) == ["histogram", "cyclegan"]
    assert used_translators(study.model_copy(update={"similarity": ("ssim",)})) == ["identity", "histogram", "cyclegan"]


def test_weights_say_how_their_images_are_prepared(study):
    folder = study.output / PLACE / "downstream" / "lesion" / "all" / "target-only"
    model = open_model(folder)
    assert model.preparation == study.preparation
    assert model.task.mask_values == (1,)
    assert json.loads((folder / "weights.json").read_text())["step"] == 2
