"""Check: everything that is wrong with a study, in one pass."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow
from tiny_studies import brain_study, lesion_settings, lesion_study, write_settings

from medgan.errors import DiscoverError, ManifestError, SettingsError
from medgan.manifests.manifest import Case, Manifest, read_manifest
from medgan.settings.study import read_study
from medgan.stages.check import check_study
from medgan.stages.check_header import header_names_subject
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


FEW = "M057"  # of six phantoms three are tested


def codes(study):
    return {finding.code for finding in check_study(study)} - {FEW}


@pytest.mark.parametrize(("make", "changes"), [(lesion_study, {"subjects": 12}), (brain_study, {"run_folds": None})])
def test_clean_phantoms_have_no_finding(make, changes, tmp_path):
    assert check_study(read_study(make(tmp_path, **changes))) == []


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
        pictures[2].stem,
        pictures[4].stem,
        "G003",  # the mask's size
        "histogram_matchin",
        "bloks",
        "patch",
        "total_stepz",
        "dicee",
    ):
        assert part in told, part
    assert sum(pictures[3].stem in str(finding) for finding in findings) == 1
    assert all(finding.severity == "error" for finding in findings if finding.code != FEW)
    assert len(findings) == len(set(findings))


def test_errors_come_before_warnings(folder):
    edit_rows(folder, lambda lines: [*lines, lines[1].replace("L0000_dermoscopy,", "twin,", 1)])
    picture = folder / "phantoms" / "dermoscopy"
    (picture / "twin.png").write_bytes((picture / "L0000_dermoscopy.png").read_bytes())
    edit_rows(folder, lambda lines: [*lines[:-1], lines[-1].replace("dermoscopy/L0000_dermoscopy", "dermoscopy/twin")])
    next(iter(sorted((folder / "phantoms" / "clinical").glob("*.png")))).write_bytes(b"x")
    found = check_study(read(folder))
    assert [(finding.code, finding.severity) for finding in found] == [
        ("R002", "error"),
        ("M028", "warning"),
        (FEW, "warning"),
    ]


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


def test_grey_and_colour_in_one_domain(folder):
    pictures = sorted((folder / "phantoms" / "clinical").glob("*.png"))
    with Pillow.open(pictures[2]) as colour:
        grey = colour.convert("L")
    grey.save(pictures[2])
    (found,) = [one for one in check_study(read(folder)) if one.code != FEW]
    assert (found.code, found.severity) == ("M055", "error")
    assert "1 grey photograph such as case L0002" in found.message
    assert "5 RGB photographs such as case L0000" in found.message


def test_the_same_pixels_in_another_file_under_another_subject(folder):
    first, second = sorted((folder / "phantoms" / "clinical").glob("*.png"))[:2]
    with Pillow.open(first) as picture:
        picture.save(second, compress_level=1, pnginfo=None)
    assert first.read_bytes() != second.read_bytes()
    assert {"M024", "M054"} <= codes(read(folder))
    allowed = {one.code: one.severity for one in check_study(read(folder, allow_duplicates=True))}
    assert allowed["M024"] == "warning"


def test_few_subjects_tested_are_told_once(folder):
    (found,) = check_study(read(folder))
    assert (found.code, found.severity) == (FEW, "warning")
    assert "3 subjects of dermoscopy and 3 subjects of clinical" in found.message
    assert "0.25" in found.message
    assert check_study(read(folder, run_folds=None)) == []


class TestVolumes:
    def study(self, tmp_path, **changes):
        return read_study(brain_study(tmp_path, run_folds=None, **changes))

    def thicken(self, tmp_path):
        """Give the volumes of one subject slices that are twice as thick."""
        first = sorted((tmp_path / "phantoms").rglob("*.nii.gz"))[0].name[:5]
        for path in (tmp_path / "phantoms").rglob(f"{first}*.nii.gz"):
            image = nib.load(path)
            affine = image.affine @ np.diag([1, 1, 2, 1])
            nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), affine), path)
        return first

    def test_mixed_spacing_is_told_where_nothing_resamples(self, tmp_path):
        study = self.study(tmp_path, tasks=[], similarity=[], primary=None)
        self.thicken(tmp_path)
        assert "G052" in codes(study)
        resampled = study.preparation.model_copy(update={"spacing_mm": (8.0, 8.0, 8.0)})
        assert not {"G052", "G058"} & codes(study.model_copy(update={"preparation": resampled}))

    def test_beyond_the_tolerance_it_is_an_error_with_the_case(self, tmp_path):
        study = self.study(tmp_path, spacing_tolerance=1.5)
        assert check_study(study) == []
        name = self.thicken(tmp_path)
        found = [one for one in check_study(study) if one.code == "G058"]
        assert len(found) == 2
        assert all(one.severity == "error" and name in one.where for one in found)
        assert "within a factor of 1.5" in found[0].message


class TestHeaders:
    """A row that repeats what the header says of the patient."""

    @pytest.fixture
    def manifest(self, make_dicom_series, tmp_path):
        make_dicom_series(np.arange(60, dtype=np.uint16).reshape(3, 4, 5), PatientID="Secret77")
        return Manifest(cases=(), root=tmp_path)

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ({"subject_id": "secret77"}, "subject_id is the header's PatientID"),
            ({"case_id": "Secret77", "subject_id": "Secret77"}, "subject_id and case_id is"),
            ({"case_id": "Test^Phantom"}, "case_id is the header's PatientName"),
        ],
    )
    def test_is_told_without_the_value(self, manifest, row, told):
        case = Case(**{"case_id": "c", "subject_id": "s", "domain": "ct", "image": "series", "row": 5} | row)
        (found,) = header_names_subject(manifest, case)
        assert (found.code, found.severity) == ("M056", "warning")
        assert told in found.message
        assert "secret" not in str(found).lower()
        assert "phantom" not in str(found).lower()

    def test_a_path_that_names_the_patient(self, make_dicom_series, manifest):
        make_dicom_series(np.zeros((3, 4, 5), np.uint16), name="Secret77/scan", PatientID="Secret77")
        (found,) = header_names_subject(manifest, Case(case_id="c", subject_id="s", domain="d", image="Secret77/scan"))
        assert "the image's path is the header's PatientID" in found.message

    def test_a_pseudonym_may_stand_anywhere(self, make_dicom_series, manifest):
        pixels = np.zeros((3, 4, 5), np.uint16)
        make_dicom_series(pixels, name="clean", PatientID="P7", PatientIdentityRemoved="YES")
        case = Case(case_id="c", subject_id="P7", domain="d", image="clean")
        assert list(header_names_subject(manifest, case)) == []
        other = Case(case_id="c", subject_id="S1", domain="d", image="series")
        assert list(header_names_subject(manifest, other)) == []


def test_the_pass_can_show_how_far_it_is(folder):
    shown = []

    def over(sequence, *, description):
        shown.append((description, len(sequence)))
        return sequence

    check_study(read(folder), over=over)
    assert shown == [("reading cases", 12)]


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


def test_a_table_without_a_row_that_can_be_used_is_explained(folder):
    edit_rows(folder, lambda lines: [lines[0], lines[1].replace("dermoscopy/", "../", 1)])
    assert "M006" in codes(read(folder))


def test_an_empty_mask_is_told_once(folder):
    mask = next((folder / "phantoms" / "masks").glob("*_clinical.png"))
    mask.write_bytes(b"")
    found = [one for one in check_study(read(folder)) if one.code != FEW]
    assert [one.code for one in found] == ["M042"], [str(one) for one in found]
