"""Check: everything that is wrong with a study, in one pass."""

import pytest
from PIL import Image as Pillow
from tiny_studies import brain_study, lesion_settings, lesion_study, write_settings

from medgan.errors import DiscoverError, ManifestError, SettingsError
from medgan.manifests.manifest import read_manifest
from medgan.settings.study import read_study
from medgan.stages.check import check_study
from medgan.stages.choices import scored_in, wrong_choices
from medgan.stages.prepare import run, study_folds

TASK = lesion_settings()["tasks"][0]


@pytest.fixture
def folder(tmp_path):
    """Phantoms of six subjects with their study file."""
    lesion_study(tmp_path, subjects=6)
    return tmp_path


def read(folder, **changes):
    return read_study(write_settings(folder, lesion_settings(), **changes))


def edit_rows(folder, change):
    path = folder / "phantoms" / "manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def codes(study):
    return {finding.code for finding in check_study(study)}


@pytest.mark.parametrize("make", [lesion_study, brain_study])
def test_clean_phantoms_have_no_finding(make, tmp_path):
    assert check_study(read_study(make(tmp_path))) == []


def test_bad_rows_bad_files_and_wrong_recipes_are_found_in_one_pass(folder):
    def spoil(lines):
        lines[1] = lines[1].replace("dermoscopy/", "../", 1)
        lines[3] = lines[3].replace(",1,,", ",one,,").replace(",0,,", ",one,,")
        return [*lines, "L0999_clinical,L0999,clinical,clinical/absent.png,masks/absent.png,,,,,"]

    edit_rows(folder, spoil)
    pictures = sorted((folder / "phantoms" / "clinical").glob("*.png"))
    pictures[2].write_bytes(b"no picture at all")
    pictures[3].write_bytes(b"")
    pictures[4].write_bytes(pictures[4].read_bytes()[:200])
    mask = folder / "phantoms" / "masks" / pictures[5].name
    Pillow.new("L", (16, 16)).save(mask)
    plans = [
        {"name": "histogram", "method": "histogram_matchin"},
        {"name": "cyclegan", "method": "cyclegan", "recipe": {"bloks": 2, "patch": 71}},
    ]
    task = TASK | {"recipe": {"total_stepz": 3}, "metrics": ["dicee"]}
    findings = check_study(read(folder, translators=plans, tasks=[task], primary=None))
    told = "\n".join(map(str, findings))
    for part in (
        "M006",  # leaves the data root
        "M005",  # not a number
        "absent.png",
        "M042",  # empty
        pictures[2].name,
        pictures[4].name,
        "G003",  # the mask's size
        "histogram_matchin",
        "bloks",
        "patch",
        "total_stepz",
        "dicee",
    ):
        assert part in told, part
    assert sum(pictures[3].name in str(finding) for finding in findings) == 1
    assert all(finding.severity == "error" for finding in findings)
    assert len(findings) == len(set(findings))


def test_errors_come_before_warnings(folder):
    edit_rows(folder, lambda lines: [*lines, lines[1].replace("L0000_dermoscopy,", "twin,", 1)])
    picture = folder / "phantoms" / "dermoscopy"
    (picture / "twin.png").write_bytes((picture / "L0000_dermoscopy.png").read_bytes())
    edit_rows(folder, lambda lines: [*lines[:-1], lines[-1].replace("dermoscopy/L0000_dermoscopy", "dermoscopy/twin")])
    next(iter(sorted((folder / "phantoms" / "clinical").glob("*.png")))).write_bytes(b"x")
    found = check_study(read(folder))
    assert [finding.severity for finding in found] == ["error", "warning"]


def test_no_manifest_is_one_finding(folder):
    assert codes(read(folder, manifest="absent.csv")) == {"M000"}


def test_a_missing_domain(folder):
    assert "M004" in codes(read(folder, direction={"source": "dermoscopy", "target": "clinic"}))


def test_too_few_subjects_hide_nothing_else(folder):
    next(iter((folder / "phantoms" / "clinical").glob("*.png"))).write_bytes(b"x")
    assert {"M022", "R002"} <= codes(read(folder, folds=7))


def test_masks_are_asked_for_where_a_task_learns_them(folder):
    edit_rows(folder, lambda lines: [lines[0], lines[1].replace("masks/L0000_dermoscopy.png", ""), *lines[2:]])
    assert codes(read(folder)) == {"M045"}
    only = TASK | {"arms": [{"name": "target-only"}], "tested_on": []}
    assert codes(read(folder, tasks=[only], primary=None)) == set()


def test_mask_values_that_no_task_names(folder):
    two = TASK | {"mask_values": [2]}
    assert codes(read(folder, tasks=[two])) == {"M052"}


def test_the_first_job_ends_at_a_bad_manifest(folder):
    """Without `medgan check` before it: the same photograph of two people would be trained and tested on."""
    first, second = sorted((folder / "phantoms" / "clinical").glob("*.png"))[:2]
    second.write_bytes(first.read_bytes())
    with pytest.raises(ManifestError, match=r"M024.*L0000_clinical.*L0001_clinical"):
        run(read(folder), None, folder / "out", None)


def test_a_fold_that_the_manifest_does_not_give(folder):
    def split(lines):
        cells = [line.split(",") for line in lines]
        at = cells[0].index("split")
        for row in cells[1:]:
            row[at] = "test" if row[1] in {"L0000", "L0001"} else "train"
        return [",".join(row) for row in cells]

    edit_rows(folder, split)
    assert codes(read(folder)) == set()
    assert codes(read(folder, run_folds=[0, 1])) == {"M021"}
    assert codes(read(folder, run_folds=None)) == {"M021"}
    assert codes(read(folder, run_folds=None, folds=1)) == set()
    study = read(folder)
    folds = study_folds(study, read_manifest(study.manifest, root=study.data_root))
    assert folds.test(0) == {"L0000", "L0001"}


class TestChoices:
    def test_a_sound_study(self, folder):
        assert wrong_choices(read(folder)) == []

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"metrics": ["dicee"]}, r"S007.*task lesion.*dicee.*did you mean 'dice'"),
            ({"metrics": ["kappa"]}, r"S007.*kappa"),
            ({"metrics": ["precision"]}, r"S007.*precision"),
            ({"metrics": ["dice"], "classes": 3, "mask_values": [1, 2]}, r"S007.*did you mean 'dice_1'"),
            ({"task": "clasification", "label": "grade", "metrics": []}, r"D001.*did you mean 'classification'"),
            ({"recipe": {"network": "resnet"}}, r"S002.*task lesion.*network"),
            ({"recipe": {"augment": ["flip"]}}, r"S002.*flip"),
        ],
    )
    def test_a_wrong_choice_of_a_task(self, folder, changes, told):
        [error] = wrong_choices(read(folder, tasks=[TASK | changes], primary=None))
        assert isinstance(error, SettingsError | DiscoverError)
        with pytest.raises(type(error), match=told):
            raise error

    def test_a_wrong_metric_of_similarity(self, folder):
        [error] = wrong_choices(read(folder, similarity=["ssim", "dice"]))
        assert "S007" in str(error)
        assert "similarity" in str(error)

    def test_scores_that_a_task_gives(self, folder):
        lesion = read(folder).task("lesion")
        assert {"dice", "hd95_px"} <= set(scored_in(lesion))
        two = lesion.model_copy(update={"classes": 3, "mask_values": (1, 2)})
        assert {"dice_1", "dice_2"} <= set(scored_in(two))
        assert "dice" not in scored_in(two)
        grade = lesion.model_copy(update={"label": "grade"})
        assert {"kappa_quadratic", "expected_class"} <= set(scored_in(grade))

    def test_the_first_job_ends_at_a_wrong_choice(self, folder):
        study = read(folder, tasks=[TASK | {"recipe": {"total_stepz": 3}}])
        with pytest.raises(SettingsError, match=r"S002.*total_stepz.*did you mean 'total_steps'"):
            run(study, None, folder / "out", None)
