"""Translate: what goes in comes out on its own grid, in its own format, with its masks, labels and origin."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from tiny_studies import finished_lesions, lesion_settings, lesion_study, run_here, write_settings

from medgan.errors import CheckpointError, GeometryError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import Manifest, read_manifest, write_manifest
from medgan.settings.study import read_study
from medgan.stages.trained import open_run
from medgan.stages.translate import safe_name, translate_manifest
from medgan.stages.workspace import file_digest
from medgan.workflow.plan import plan_study

__all__ = ["finished_lesions"]

SAME = [{"name": "same", "method": "identity"}]


def identity_run(path: Path) -> tuple[Path, Manifest]:
    """The run of a study's identity translator, and the study's manifest."""
    run_here(path, until="fold0/seed0/train/same")
    study = read_study(path)
    return study.output / "fold0" / "seed0" / "train" / "same", read_manifest(study.manifest, root=study.data_root)


def study_without_tasks(folder: Path, **changes: object) -> Path:
    settings = lesion_settings() | {"translators": SAME, "tasks": [], "primary": None, "stratify": "none"}
    return write_settings(folder, settings, **changes)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """An identity run on photographs, 40 px wide but prepared at 32, and their manifest."""
    folder = tmp_path_factory.mktemp("photographs")
    path = lesion_study(folder, subjects=5)
    for picture in (folder / "phantoms").rglob("*.png"):
        how = Pillow.Resampling.NEAREST if "masks" in picture.parts else Pillow.Resampling.BICUBIC
        with Pillow.open(picture) as opened:
            opened.resize((40, 36), how).save(picture)
    return identity_run(study_without_tasks(path.parent, preparation={"preset": "photograph", "size_px": 32}))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """An identity run on CT, with each scan as NIfTI and as a DICOM series."""
    from medgan.phantoms import ct

    folder = tmp_path_factory.mktemp("scans")
    ct.write_study(folder / "phantoms", seed=0, subjects=5, size_px=32, slices=4, dicom=True)
    direction = {"source": "contrast", "target": "noncontrast"}
    return identity_run(study_without_tasks(folder, preparation={"preset": "ct"}, direction=direction))


class TestIdentity:
    def test_photographs_come_back_pixel_by_pixel(self, photographs, tmp_path):
        run, manifest = photographs
        cases = manifest.of_domain("dermoscopy").cases
        translated = translate_manifest(open_run(run), manifest, tmp_path, cases=cases)
        assert len(translated) == len(cases) == 5
        for before, after in zip(cases, translated, strict=True):
            with Pillow.open(manifest.image_path(before)) as one, Pillow.open(translated.image_path(after)) as two:
                assert (one.size, one.mode, one.format) == (two.size, two.mode, two.format)
                assert one.tobytes() == two.tobytes()

    def test_volumes_come_back_voxel_by_voxel_with_their_header(self, scans, tmp_path):
        run, manifest = scans
        case = manifest.of_domain("contrast").cases[0]
        trained = open_run(run)
        assert trained.windows["contrast"] == trained.windows["noncontrast"]
        translated = translate_manifest(trained, manifest, tmp_path, cases=[case])
        before, after = nib.load(manifest.image_path(case)), nib.load(translated.image_path(translated.cases[0]))
        np.testing.assert_array_equal(np.asanyarray(before.dataobj), np.asanyarray(after.dataobj))
        np.testing.assert_array_equal(before.affine, after.affine)
        assert before.header == after.header
        assert before.get_data_dtype() == after.get_data_dtype()

    def test_a_dicom_series_comes_back_as_a_derived_series(self, scans, tmp_path):
        run, manifest = scans
        case = manifest.of_domain("contrast").cases[0]
        case = replace(case, image=case.extra["dicom"])
        translated = translate_manifest(open_run(run), manifest, tmp_path, cases=[case])
        folder = translated.image_path(translated.cases[0])
        before, after = read_image(manifest.image_path(case)), read_image(folder)
        np.testing.assert_array_equal(before.pixels, after.pixels)
        assert before.geometry == after.geometry
        old, new = (
            pydicom.dcmread(next(iter(sorted(place.iterdir())))) for place in (manifest.image_path(case), folder)
        )
        assert old.SeriesInstanceUID != new.SeriesInstanceUID
        assert (old.StudyInstanceUID, old.PatientID) == (new.StudyInstanceUID, new.PatientID)
        assert "DERIVED" in new.ImageType


class TestManifest:
    def test_it_names_its_parent_and_run_and_keeps_the_labels(self, photographs, tmp_path):
        run, manifest = photographs
        cases = manifest.of_domain("dermoscopy").cases
        trained = open_run(run)
        translate_manifest(trained, manifest, tmp_path, cases=cases)
        translated = read_manifest(tmp_path / "manifest.csv", root=tmp_path)
        assert translated.parent == manifest.digest
        assert translated.run == trained.run == file_digest(run / "weights.safetensors")[:12]
        for before, after in zip(cases, translated, strict=True):
            assert (after.domain, after.extra["translated_from"]) == ("clinical", "dermoscopy")
            assert (after.case_id, after.subject_id, after.grade) == (before.case_id, before.subject_id, before.grade)
            assert after.extra["skin_type"] == before.extra["skin_type"]

    def test_masks_are_copied_and_absent_ones_stay_absent(self, photographs, tmp_path):
        run, manifest = photographs
        first, second = manifest.of_domain("dermoscopy").cases[:2]
        translated = translate_manifest(open_run(run), manifest, tmp_path, cases=[first, replace(second, mask=None)])
        with (
            Pillow.open(translated.mask_path(translated.cases[0])) as new,
            Pillow.open(manifest.mask_path(first)) as old,
        ):
            assert (new.mode, new.tobytes()) == (old.mode, old.tobytes())
        assert translated.cases[1].mask is None

    @pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "a/b", "a b", "x" * 300, ".hidden", "é"])
    def test_hostile_ids_become_harmless_names(self, photographs, tmp_path, hostile):
        run, manifest = photographs
        one, two = (replace(case, case_id=name) for case, name in zip(manifest.cases[:2], (hostile, "b"), strict=True))
        own = Manifest(cases=(one, two), root=manifest.root)
        write_manifest(own, tmp_path / "cases.csv")
        translated = translate_manifest(open_run(run), read_manifest(tmp_path / "cases.csv", root=own.root), tmp_path)
        assert translated.cases[0].case_id == hostile
        for case in translated:
            path = translated.image_path(case).resolve()
            assert path.parent == (tmp_path / "images").resolve()
            assert path.is_file()
        with (tmp_path / "manifest.csv").open(newline="") as table:
            assert next(csv.DictReader(table))["case_id"] == hostile

    def test_names_keep_cases_apart(self):
        assert safe_name("BR012_t1.v2") == "BR012_t1.v2"
        names = [safe_name(name) for name in ("a/b", "a\\b", "a b", "<b>", "", "..", "a\n")]
        assert len(set(names)) == len(names)
        assert all(name.startswith("case-") for name in names)


class TestFolder:
    def test_images_of_another_run_are_not_taken_for_ones_own(self, photographs, tmp_path):
        run, manifest = photographs
        case = manifest.of_domain("dermoscopy").cases[0]
        other = manifest.image_path(manifest.of_domain("clinical").cases[0])
        (tmp_path / "images").mkdir()
        shutil.copyfile(other, tmp_path / "images" / f"{case.case_id}.png")
        translated = translate_manifest(open_run(run), manifest, tmp_path, cases=[case])
        before, after = (read_image(m.image_path(c)) for m, c in ((manifest, case), (translated, translated.cases[0])))
        np.testing.assert_array_equal(before.pixels, after.pixels)

    def test_an_interrupted_job_goes_on(self, photographs, tmp_path):
        run, manifest = photographs
        cases = manifest.of_domain("dermoscopy").cases
        translate_manifest(open_run(run), manifest, tmp_path, cases=cases[:2])
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
        translated = translate_manifest(open_run(run), manifest, tmp_path, cases=cases, go_on=True)
        assert len(translated) == 5
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())

    def test_the_job_answers_for_every_file_it_wrote(self, scans, tmp_path):
        """Also where an image is a folder of slices."""
        _, manifest = scans
        cases = tuple(replace(case, image=case.extra["dicom"]) for case in manifest)
        write_manifest(replace(manifest, cases=cases), manifest.root / "series.csv")
        path = study_without_tasks(
            manifest.root.parent,
            preparation={"preset": "ct"},
            direction={"source": "contrast", "target": "noncontrast"},
            manifest="phantoms/series.csv",
            output=str(tmp_path / "out"),
        )
        run_here(path, until="fold0/seed0/translate/same")
        study = read_study(path)
        folder = study.output / "fold0" / "seed0" / "translate" / "same"
        written = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        own = {"begun.json", "done.json", "progress.json"}
        assert set(json.loads((folder / "done.json").read_text())["outputs"]) == written - own
        assert any(name.endswith(".dcm") for name in written)


class TestTrained:
    def test_one_image(self, photographs):
        run, manifest = photographs
        image = read_image(manifest.image_path(manifest.cases[0]))
        trained = open_run(run)
        np.testing.assert_array_equal(trained.translate(image).pixels, image.pixels)
        np.testing.assert_array_equal(trained.translate(image, to="dermoscopy").pixels, image.pixels)
        with pytest.raises(CheckpointError, match=r"C004.*'mars'.*'clinical'"):
            trained.translate(image, to="mars")

    def test_slices_go_through_in_batches_of_any_size(self, scans):
        run, _ = scans
        trained = open_run(run)
        volume = np.random.default_rng(0).uniform(-1, 1, size=(1, 5, 10, 12)).astype(np.float32)
        for size in (1, 2, 5, 8):
            np.testing.assert_array_equal(trained.translate_array(volume, batch_size=size), volume)
        with pytest.raises(GeometryError, match=r"G005.*got 3"):
            trained.translate_array(np.zeros((3, 8, 8), np.float32))

    def test_only_a_translators_run_is_opened(self, finished_lesions, tmp_path):
        study = read_study(finished_lesions)
        arm = next(job for job in plan_study(study) if job.stage == "downstream")
        with pytest.raises(CheckpointError, match=r"C004.*not a translator's run"):
            open_run(study.output / arm.id)
        with pytest.raises(CheckpointError, match="C001"):
            open_run(tmp_path)


def test_a_study_translates_only_what_it_needs(finished_lesions):
    """All source images where an arm trains on them, else those of the test subjects; none of another domain."""
    study = read_study(finished_lesions)
    place = study.output / "fold0" / "seed0" / "translate"
    counts = {
        name: len(read_manifest(place / name / "manifest.csv", root=place / name)) for name in ("histogram", "cyclegan")
    }
    assert counts == {"histogram": 4, "cyclegan": 8}
