"""A study file is read whole, or refused with every wrong key named."""

import json
from pathlib import Path

import pytest
import yaml
from tiny_studies import brain_settings, lesion_settings, write_settings

from medgan.errors import SettingsError
from medgan.settings.study import Study, read_study


@pytest.fixture
def read(tmp_path):
    """Read the lesions' study file with some settings changed."""

    def read(*, profile=None, **changes):
        return read_study(write_settings(tmp_path, lesion_settings(), **changes), profile=profile)

    return read


@pytest.fixture
def read_task(read):
    """As ``read``, with the settings of the one task changed."""

    def read_task(**changes):
        return read(primary=None, tasks=[lesion_settings()["tasks"][0] | changes])

    return read_task


def test_a_sound_file_gives_the_study(read, tmp_path):
    study = read()
    assert study.manifest == (tmp_path / "phantoms" / "manifest.csv").resolve()
    assert study.folds_to_run == (0,)
    assert study.translator("cyclegan").recipe["crop_px"] == 32
    assert study.task("lesion").baseline == "target-only"


def test_what_is_written_out_reads_back_as_the_same_study(read, tmp_path):
    """``medgan run`` hands its jobs the resolved study as JSON."""
    study = read()
    path = tmp_path / "study.json"
    path.write_text(json.dumps(study.model_dump(mode="json")))
    assert read_study(path) == study


def test_every_wrong_key_is_named_with_the_nearest_known_one(read):
    with pytest.raises(SettingsError, match="S002") as caught:
        read(foldz=3, preparation={"preset": "photograph", "sizepx": 64}, seeds=["zero"], device="gpu")
    message = str(caught.value)
    for part in ("foldz", "'folds'", "preparation.sizepx", "'size_px'", "seeds.0", "device"):
        assert part in message
    assert "study.yaml" in message


def test_a_wrong_key_of_a_task_is_named_with_its_place(read_task):
    with pytest.raises(SettingsError, match=r"S002.*tasks\.0\.metrix.*did you mean 'metrics'"):
        read_task(metrix=["dice"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"folds": "five"}, "folds"),
        ({"folds": 0}, "folds"),
        ({"seeds": 0}, "seeds"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"seeds": [0, 0]}, "seeds: 0 stands twice"),
        ({"run_folds": []}, "run_folds"),
        ({"run_folds": [2]}, "fold 2 does not exist; there are 2"),
        ({"run_folds": [1, 0, 1]}, "run_folds: 1 stands twice"),
        ({"name": "../elsewhere"}, "name"),
        ({"margin": 0}, "margin"),
        ({"translators": [{"name": "x", "method": "identity"}] * 2, "tasks": []}, "translators: 'x' stands twice"),
        ({"translators": [{"name": "identity", "method": "cyclegan"}], "tasks": []}, "'identity' has a meaning"),
        ({"translators": [{"name": "source", "method": "cyclegan"}], "tasks": []}, "'source' has a meaning"),
        ({"tasks": lesion_settings()["tasks"] * 2}, "tasks: 'lesion' stands twice"),
    ],
)
def test_settings_that_cannot_be_are_refused(read, changes, told):
    with pytest.raises(SettingsError, match="S002") as caught:
        read(**{"primary": None} | changes)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "similarity"}, "'similarity' has a meaning"),
        ({"task": "classification"}, "classification does not learn a mask"),
        ({"label": "grade"}, "segmentation does not learn a grade"),
        ({"mask_values": [0]}, "mask_values: 0 is the background"),
        ({"arms": [{"name": "target-only"}] * 2}, "'target-only' stands twice"),
        ({"arms": [{"name": "other"}]}, "baseline: 'target-only' is not one of the arms other"),
        ({"arms": [{"name": "target-only"}, {"name": "x", "images": "pix2pix"}]}, "'pix2pix' is not a translator"),
        ({"arms": [{"name": "target-only", "fraction": 1.0}]}, "fraction"),
        ({"tested_on": ["pix2pix"]}, "'pix2pix' is not a translator; there are cyclegan, histogram, identity"),
        ({"tested_on": ["cyclegan", "cyclegan"]}, "tested_on: 'cyclegan' stands twice"),
        ({"target_cases": []}, "target_cases"),
        ({"target_cases": [0]}, "target_cases"),
        ({"target_cases": [4, "some"]}, "target_cases"),
        ({"target_cases": [4, 4]}, "target_cases: 4 stands twice"),
        ({"classes": 4}, "mask_values: 1 values for 4 classes"),
        ({"classes": 3, "mask_values": [2, 2]}, "mask_values: 2 stands twice"),
        (
            {"baseline": "s", "target_cases": [4, "all"], "arms": [{"name": "s", "images": "identity"}]},
            "baseline: 's' sees no target case",
        ),
    ],
)
def test_tasks_that_cannot_be_are_refused(read_task, changes, told):
    with pytest.raises(SettingsError, match="S002") as caught:
        read_task(**changes)
    assert told in str(caught.value)


@pytest.mark.parametrize("primary", ["lesion/translated/dice", "lesion/translated/dice/all", "lesion/cyclegan/dice"])
def test_a_primary_comparison_that_is_made(read, primary):
    assert read(primary=primary).primary == primary


@pytest.mark.parametrize(
    "primary",
    [
        "lesion/translatd/dice",
        "lesion/target-only/dice",
        "lesion/translated/jaccard",
        "lesion/translated/dice/20",
        "leison/translated/dice",
        "similarity/cyclegan/ssim",
        "dice",
    ],
)
def test_a_primary_comparison_that_is_never_made_is_refused(read, primary):
    """Else the study would run for days and end without a verdict."""
    with pytest.raises(SettingsError, match=r"S002.*primary: .* names no comparison"):
        read(primary=primary)


def test_a_primary_similarity(tmp_path):
    assert read_study(write_settings(tmp_path, brain_settings())).primary == "similarity/histogram/ssim"
    with pytest.raises(SettingsError, match=r"S002.*primary"):
        read_study(write_settings(tmp_path, brain_settings(), primary="similarity/histogram/psnr"))


def test_classification_takes_photographs(tmp_path):
    task = {"name": "grade", "task": "classification", "label": "grade", "classes": 5}
    with pytest.raises(SettingsError, match=r"S002.*tasks.grade: classification takes photographs, not mr"):
        read_study(write_settings(tmp_path, brain_settings(), tasks=[task]))


def test_small_numbers_survive_the_resolved_study(read, tmp_path):
    """JSON writes 5e-05, which YAML would take for text."""
    plan = {"name": "cyclegan", "method": "cyclegan", "recipe": {"learning_rate": 0.00005}}
    path = tmp_path / "study.json"
    path.write_text(json.dumps(read(translators=[plan]).model_dump(mode="json")))
    assert read_study(path).translator("cyclegan").recipe["learning_rate"] == 0.00005


def test_an_arm_without_target_cases_is_trained_once(read_task):
    arms = [{"name": "target-only"}, {"name": "source-only", "images": "identity", "use": "alone"}]
    task = read_task(target_cases=[2, "all"], arms=arms, tested_on=[]).task("lesion")
    trained = [(arm.name, count) for count in task.target_cases for arm in task.arms if task.trains(arm, count)]
    assert trained == [("target-only", 2), ("source-only", 2), ("target-only", "all")]


class TestProfiles:
    def test_a_profile_overlays_named_lists_entry_by_entry(self, read):
        small = {
            "preparation": {"size_px": 16},
            "seeds": [4],
            "translators": [{"name": "cyclegan", "recipe": {"blocks": 2}}],
            "tasks": [{"name": "lesion", "recipe": {"total_steps": 7}}],
        }
        plain = read(profiles={"small": small})
        study = read(profile="small", profiles={"small": small})
        assert study.seeds == (4,)
        assert (study.preparation.preset, study.preparation.size_px) == ("photograph", 16)
        assert [plan.name for plan in study.translators] == ["histogram", "cyclegan"]
        assert study.translator("histogram") == plain.translator("histogram")
        assert study.translator("cyclegan").recipe == plain.translator("cyclegan").recipe | {"blocks": 2}
        assert study.task("lesion").recipe == {"total_steps": 7, "batch_size": 2, "width": 8}
        assert study.task("lesion").arms == plain.task("lesion").arms
        assert plain.seeds == (0,)

    def test_an_unknown_profile(self, read):
        with pytest.raises(SettingsError, match=r"S003.*'smal'.*expected small.*did you mean 'small'"):
            read(profile="smal", profiles={"small": {}})
        with pytest.raises(SettingsError, match=r"S003.*expected none"):
            read(profile="small")

    def test_a_profile_that_is_no_mapping(self, read):
        with pytest.raises(SettingsError, match=r"S001.*'small'.*NoneType"):
            read(profile="small", profiles={"small": None})

    def test_a_change_to_something_that_the_study_does_not_have_is_not_lost(self, read):
        with pytest.raises(SettingsError, match=r"S006.*'cyclegann'.*expected one of histogram, cyclegan"):
            read(profile="small", profiles={"small": {"translators": [{"name": "cyclegann", "recipe": {}}]}})

    def test_a_wrong_key_in_a_profile(self, read):
        with pytest.raises(SettingsError, match=r"S002.*foldz"):
            read(profile="small", profiles={"small": {"foldz": 3}})


class TestPaths:
    def test_variables_and_home_are_expanded_and_the_rest_is_relative_to_the_file(self, read, tmp_path, monkeypatch):
        monkeypatch.setenv("MEDGAN_TEST_IMAGES", str(tmp_path / "images"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        study = read(data_root="${MEDGAN_TEST_IMAGES}/fundus", output="~/results", manifest="tables/x.csv")
        assert study.data_root == (tmp_path / "images" / "fundus").resolve()
        assert study.output == (tmp_path / "home" / "results").resolve()
        assert study.manifest == (tmp_path / "tables" / "x.csv").resolve()

    @pytest.mark.parametrize("text", ["${MEDGAN_TEST_UNSET}/fundus", "$MEDGAN_TEST_UNSET/fundus"])
    def test_a_variable_that_is_not_set(self, read, monkeypatch, text):
        monkeypatch.delenv("MEDGAN_TEST_UNSET", raising=False)
        with pytest.raises(SettingsError, match=r"S005.*data_root.*export MEDGAN_TEST_UNSET="):
            read(data_root=text)

    def test_the_output_of_the_command_line_goes_before_the_files(self, tmp_path):
        path = write_settings(tmp_path, lesion_settings())
        assert read_study(path, output=tmp_path / "mine").output == (tmp_path / "mine").resolve()


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "S000"), (b"folds: [1,", "S001"), (b"- folds", "S001"), (b"", "S001"), (b"name: \xff", "S001")],
)
def test_a_file_that_is_no_study(tmp_path, content, code):
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=code):
        read_study(path)


def test_unknown_names(read):
    study = read()
    assert study.translator("identity").method == "identity"
    with pytest.raises(SettingsError, match=r"S004.*expected histogram, cyclegan"):
        study.translator("pix2pix")
    with pytest.raises(SettingsError, match=r"S004.*expected lesion"):
        study.task("grade")


def test_the_schema_describes_every_key():
    schema = Study.model_json_schema()
    assert set(schema["properties"]) == set(Study.model_fields)
    assert schema["additionalProperties"] is False


PIPELINES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_the_study_files_that_come_along_are_sound(path, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_DATA", str(tmp_path))
    profiles = yaml.safe_load(path.read_text())["profiles"]
    for profile in (None, *profiles):
        study = read_study(path, profile=profile)
        assert study.primary
        assert study.margin
        assert study.manifest.is_file()


def test_there_are_study_files():
    assert PIPELINES


def test_weights_of_a_recipes_networks_are_relative_to_the_study_file(read, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_TEST_RUNS", str(tmp_path / "runs"))
    extra = {
        "weight_mask": 1.0,
        "segmenter": {"network": "run", "weights": "seg"},
        "features": {"network": "vgg19", "weights": "$MEDGAN_TEST_RUNS/vgg19.pth"},
    }
    plan = lesion_settings()["translators"][0] | {"name": "kept", "method": "cyclegan", "recipe": {"extra": extra}}
    study = read(translators=[*lesion_settings()["translators"], plan])
    found = study.translator("kept").recipe["extra"]
    assert found["segmenter"]["weights"] == str((tmp_path / "seg").resolve())
    assert found["features"]["weights"] == str((tmp_path / "runs" / "vgg19.pth").resolve())
    path = tmp_path / "study.json"
    path.write_text(json.dumps(study.model_dump(mode="json")))
    assert read_study(path) == study


def test_a_style_image_is_relative_to_the_study_file(read, tmp_path):
    plan = {"name": "styled", "method": "johnson_style", "recipe": {"style_image": "style.png"}}
    study = read(translators=[*lesion_settings()["translators"], plan])
    assert study.translator("styled").recipe["style_image"] == str((tmp_path / "style.png").resolve())


def test_an_unset_variable_in_weights_is_named_by_its_place(read, monkeypatch):
    monkeypatch.delenv("MEDGAN_TEST_UNSET", raising=False)
    recipe = {"extra": {"features": {"network": "vgg19", "weights": "$MEDGAN_TEST_UNSET/vgg19.pth"}}}
    plan = {"name": "kept", "method": "cyclegan", "recipe": recipe}
    with pytest.raises(SettingsError, match=r"S005.*translators\.recipe\.extra\.features\.weights"):
        read(translators=[*lesion_settings()["translators"], plan])
