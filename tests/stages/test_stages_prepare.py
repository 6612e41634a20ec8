"""Prepare: equal arrays under two subjects, voxels that are not finite, and how many cases are prepared at a time."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow
from tiny_studies import brain_study, lesion_study, medgan, run_here

from medgan.errors import ManifestError, ReadError
from medgan.samples.store import PreparedStore
from medgan.settings.cores import usable_cores
from medgan.settings.study import read_study
from medgan.workflow.plan import plan_study


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def write_rows(path, rows):
    with path.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def summary_of(study):
    return json.loads((study.output / "prepare" / "summary.json").read_text())


def with_a_twin(path):
    """Save one subject's picture and mask as TIFF under another subject: other bytes, equal pixels."""
    study = read_study(path)
    rows = rows_of(study.manifest)
    first, second = [row for row in rows if row["domain"] == "dermoscopy"][:2]
    for column in ("image", "mask"):
        name = f"twin_{column}.tif"
        with Pillow.open(study.data_root / first[column]) as picture:
            picture.save(study.data_root / name)
        second[column] = name
    second.update(grade=first["grade"], quality=first["quality"])
    write_rows(study.manifest, rows)
    return study, first["case_id"], second["case_id"]


class TestTwins:
    def test_equal_prepared_pixels_under_two_subjects_stop_it(self, tmp_path):
        path = lesion_study(tmp_path)
        study, _, _ = with_a_twin(path)
        with pytest.raises(ManifestError, match=r"M024.*row \d+ .* and row \d+ .*the same prepared pixels") as caught:
            run_here(path, until="prepare")
        assert "twin" not in str(caught.value)
        assert not (study.output / "prepare" / "done.json").exists()

    def test_keeping_going_does_not_choose_between_them(self, tmp_path):
        path = lesion_study(tmp_path, keep_going=True)
        with_a_twin(path)
        with pytest.raises(ManifestError, match="M024"):
            run_here(path, until="prepare")

    def test_the_override_is_recorded(self, tmp_path):
        path = lesion_study(tmp_path, allow_duplicates=True)
        study, first, second = with_a_twin(path)
        run_here(path, until="prepare")
        assert summary_of(study)["duplicates_allowed"] == [[first, second]]

    def test_masks_that_contradict_one_another_stop_it_all_the_same(self, tmp_path):
        path = lesion_study(tmp_path, allow_duplicates=True)
        study, _, _ = with_a_twin(path)
        mask = study.data_root / "twin_mask.tif"
        with Pillow.open(mask) as picture:
            labels = np.array(picture)
        labels[:8, :8] = labels.max() - labels[:8, :8]
        Pillow.fromarray(labels).save(mask)
        with pytest.raises(ManifestError, match=r"M054.*their masks differ"):
            run_here(path, until="prepare")

    def test_without_twins_nothing_is_recorded(self, tmp_path):
        path = lesion_study(tmp_path)
        run_here(path, until="prepare")
        assert summary_of(read_study(path))["duplicates_allowed"] == []


def with_holes(path):
    """Put two NaN and an infinite voxel into one volume."""
    study = read_study(path)
    row = rows_of(study.manifest)[0]
    place = study.data_root / row["image"]
    image = nib.load(place)
    values = np.asarray(image.get_fdata(dtype=np.float32)).copy()
    values[0, 0, :2], values[0, 1, 0] = np.nan, np.inf
    nib.save(nib.Nifti1Image(values, image.affine), place)
    return study, row["case_id"]


class TestNotFinite:
    def test_it_is_refused_and_the_remedy_names_the_setting(self, tmp_path):
        path = brain_study(tmp_path)
        with_holes(path)
        with pytest.raises(ReadError, match=r"R009.*2 NaN and 1 infinite.*preparation\.fill_not_finite"):
            run_here(path, until="prepare")

    def test_it_is_filled_where_the_study_says_so_and_counted(self, tmp_path):
        preparation = read_study(brain_study(tmp_path / "first")).preparation.model_dump(exclude_unset=True)
        path = brain_study(tmp_path / "second", preparation=preparation | {"fill_not_finite": 0})
        study, case_id = with_holes(path)
        run_here(path, until="prepare")
        summary = summary_of(study)
        assert summary["filled_voxels"] == {case_id: 3}
        assert summary["losses"]["not finite, filled"] == 1

    @pytest.mark.parametrize("value", ["nan", ".inf", "-.inf"])
    def test_it_is_not_filled_with_what_is_not_finite_itself(self, tmp_path, value):
        path = brain_study(tmp_path)
        text = path.read_text()
        assert "preset: mr" in text
        path.write_text(text.replace("preset: mr", f"preset: mr\n  fill_not_finite: {value}"))
        with pytest.raises(Exception, match="fill_not_finite"):
            read_study(path)


class TestCores:
    def test_all_are_used_where_nothing_is_said(self, tmp_path, monkeypatch):
        path = lesion_study(tmp_path)
        seen = []
        add_all = PreparedStore.add_all
        monkeypatch.setattr(
            PreparedStore,
            "add_all",
            lambda store, *rows, workers, **others: seen.append(workers) or add_all(store, *rows, workers=1, **others),
        )
        run_here(path, until="prepare")
        assert seen == [usable_cores()]
        assert plan_study(read_study(path))[0].threads == usable_cores()
        assert plan_study(read_study(lesion_study(tmp_path / "three", preparing_threads=3)))[0].threads == 3

    def test_the_number_changes_no_result(self, tmp_path):
        path = lesion_study(tmp_path)
        study = read_study(path)
        contents = []
        for cores in (1, 2):
            out = tmp_path / f"out{cores}"
            done = medgan("prepare", path, "--cores", str(cores), "--output", out)
            assert done.returncode == 0, done.stderr
            contents.append((out / "prepare" / "summary.json").read_text())
        assert contents[0] == contents[1]
        digests = {job.digest for n in (1, 5) for job in plan_study(study.model_copy(update={"preparing_threads": n}))}
        assert len(digests) == len(plan_study(study))
