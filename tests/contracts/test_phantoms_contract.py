"""What every phantom study keeps to: seeded, subject by subject, complete and readable."""

import hashlib
import inspect
from pathlib import Path

import pytest

from medgan.discover import load, names
from medgan.errors import SettingsError
from medgan.imaging.read import read_image, read_label
from medgan.manifests.manifest import Manifest, read_manifest

PHANTOMS = names("medgan.phantoms")
_SIZE_PX = 32


def _write(name: str, folder: Path, *, seed: int, subjects: int) -> Manifest:
    path = load("medgan.phantoms", name).write_study(folder, seed=seed, subjects=subjects, size_px=_SIZE_PX)
    assert path == folder / "manifest.csv"
    return read_manifest(path, root=folder)


def _digests(study: Manifest, subject: str) -> dict[str, str]:
    cases = [case for case in study if case.subject_id == subject]
    paths = {name for case in cases for name in (case.image, case.mask, *case.extra.values()) if name}
    files = [study.root / name for name in paths if (study.root / name).is_file()]
    return {str(file.relative_to(study.root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_phantoms_are_found():
    assert {"fundus", "lesion", "ct", "brain"} <= set(PHANTOMS)


@pytest.mark.parametrize("name", PHANTOMS)
def test_write_study_has_the_common_signature(name: str):
    parameters = inspect.signature(load("medgan.phantoms", name).write_study).parameters
    assert next(iter(parameters)) == "folder"
    for keyword in ("seed", "subjects", "size_px", "first_subject"):
        assert parameters[keyword].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["size_px"].default is not inspect.Parameter.empty


@pytest.mark.parametrize("name", PHANTOMS)
def test_subject_is_the_same_whatever_the_number_of_subjects(name: str, tmp_path: Path):
    few = _write(name, tmp_path / "few", seed=7, subjects=1)
    many = _write(name, tmp_path / "many", seed=7, subjects=2)
    other = _write(name, tmp_path / "other", seed=8, subjects=1)
    subject = few.cases[0].subject_id
    assert few.cases == many.cases[: len(few.cases)]
    assert _digests(few, subject) == _digests(many, subject)
    changed = _digests(other, subject)
    images = [case.image for case in few]
    assert all(changed.get(image) != _digests(few, subject)[image] for image in images)


@pytest.mark.parametrize("name", PHANTOMS)
def test_further_subjects_are_other_people(name: str, tmp_path: Path):
    path = load("medgan.phantoms", name).write_study(tmp_path, seed=7, subjects=1, size_px=_SIZE_PX, first_subject=1)
    further = read_manifest(path, root=tmp_path)
    assert {case.subject_id for case in further} == {case.subject_id for case in _second(name, tmp_path / "both")}


def _second(name: str, folder: Path) -> list:
    study = _write(name, folder, seed=7, subjects=2)
    last = study.cases[-1].subject_id
    return [case for case in study if case.subject_id == last]


@pytest.mark.parametrize("name", PHANTOMS)
def test_every_subject_has_both_domains_and_every_file_can_be_read(name: str, tmp_path: Path):
    study = _write(name, tmp_path, seed=3, subjects=2)
    assert len(study.domains) == 2
    for subject in {case.subject_id for case in study}:
        assert sorted(case.domain for case in study if case.subject_id == subject) == list(study.domains)
    for case in study:
        image = read_image(study.image_path(case))
        assert image.pixels.std() > 0
        mask = study.mask_path(case)
        if mask is not None:
            assert read_label(mask, like=image).shape[-2:] == image.pixels.shape[-2:]


@pytest.mark.parametrize("name", PHANTOMS)
def test_study_without_subjects_is_refused(name: str, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"S060"):
        load("medgan.phantoms", name).write_study(tmp_path, seed=0, subjects=0)
