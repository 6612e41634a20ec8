import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medgan.errors import MedganError, ReadError, StoreError, WriteError
from medgan.manifests.manifest import Case, Manifest
from medgan.samples import store as store_module
from medgan.samples.fill import prepare_into
from medgan.samples.footprint import predicted_bytes
from medgan.samples.prepared import save_prepared, sweep
from medgan.samples.store import PreparedStore
from medgan.settings.preparation import Preparation

PHOTOGRAPH = Preparation(preset="photograph", size_px=32)


def write_photograph(root, name, seed, size=(40, 48)):
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / f"{name}.png")
    Image.fromarray(np.where(rng.random(size) > 0.5, 255, 0).astype(np.uint8)).save(root / f"{name}_mask.png")


@pytest.fixture
def manifest(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for number in range(4):
        write_photograph(root, f"secret{number}", number)
    cases = tuple(
        Case(
            case_id=f"case{n}",
            subject_id=f"person{n}",
            domain="a",
            image=f"secret{n}.png",
            mask=f"secret{n}_mask.png" if n else None,
        )
        for n in range(4)
    )
    return Manifest(cases=cases, root=root)


@pytest.fixture
def store(tmp_path):
    return PreparedStore(tmp_path / "store", PHOTOGRAPH)


def test_a_case_is_prepared_once_and_found_again(store, manifest, monkeypatch):
    first = store.add(manifest.cases[1], manifest)
    assert first.shape == first.pixels.shape
    assert max(first.shape) == 32
    assert first.pixels.dtype == np.float32
    assert -1 <= first.pixels.min() < first.pixels.max() <= 1
    assert first.label.shape == first.field.shape == first.shape[1:]
    assert first.label_values == (0, 255) == tuple(np.unique(first.label))
    assert first.slices == 1
    assert len(first.field_shares) == 1
    monkeypatch.setattr(store_module, "fill", None)
    again = store.add(manifest.cases[1], manifest)
    assert again == first
    np.testing.assert_array_equal(again.pixels, first.pixels)
    assert store.add(dataclasses.replace(manifest.cases[1], case_id="other"), manifest).key == first.key


def test_without_a_mask_there_is_no_label(store, manifest):
    case = store.add(manifest.cases[0], manifest)
    assert case.label is None
    assert case.label_values is None


def test_the_key_depends_on_content_and_recipe_and_not_on_names(store, manifest, monkeypatch):
    case = manifest.cases[1]
    key = store.key_of(case, manifest)
    shutil.copy(manifest.root / case.image, manifest.root / "renamed.png")
    assert store.key_of(dataclasses.replace(case, image="renamed.png"), manifest) == key
    others = [
        store.key_of(dataclasses.replace(case, image="secret2.png"), manifest),
        store.key_of(dataclasses.replace(case, mask="secret2_mask.png"), manifest),
        store.key_of(dataclasses.replace(case, mask=None), manifest),
        PreparedStore(store.root, PHOTOGRAPH.model_copy(update={"size_px": 16})).key_of(case, manifest),
    ]
    monkeypatch.setattr(store_module, "VERSION", "another")
    others.append(store.key_of(case, manifest))
    assert len({key, *others}) == 6


def test_the_key_of_a_folder_covers_every_file_in_the_order_of_names(store, tmp_path):
    keys = []
    for files in (
        {"1.dcm": "x", "2.dcm": "y"},
        {"1.dcm": "x", "2.dcm": "z"},
        {"1.dcm": "y", "2.dcm": "x"},
        {"1.dcm": "xy"},
    ):
        folder = tmp_path / f"series{len(keys)}"
        folder.mkdir()
        for name in reversed(files):
            (folder / name).write_text(files[name])
        case = Case(case_id="c", subject_id="s", domain="a", image=folder.name)
        keys.append(store.key_of(case, Manifest(cases=(case,), root=tmp_path)))
    assert len(set(keys)) == 4


@pytest.mark.parametrize("name", ["pixels.npy", "label.npy", "field.npy"])
def test_a_flipped_bit_is_found(store, manifest, name):
    case = store.add(manifest.cases[1], manifest)
    raw = bytearray((case.folder / name).read_bytes())
    raw[-3] ^= 1
    (case.folder / name).write_bytes(raw)
    with pytest.raises(StoreError, match=rf"P001.*{name} has another SHA-256.*delete the folder"):
        store.add(manifest.cases[1], manifest)
    assert store.open(case.case, case.key, verify=False).shape == case.shape


@pytest.mark.parametrize("verify", [True, False])
def test_a_truncated_or_missing_file_is_found_even_unverified(store, manifest, verify):
    case = store.add(manifest.cases[1], manifest)
    raw = (case.folder / "pixels.npy").read_bytes()
    (case.folder / "pixels.npy").write_bytes(raw[:-1])
    with pytest.raises(StoreError, match=r"P001.*pixels\.npy is missing or has another size"):
        store.open(case.case, case.key, verify=verify)
    (case.folder / "pixels.npy").unlink()
    with pytest.raises(StoreError, match=r"P001.*pixels\.npy is missing"):
        store.open(case.case, case.key, verify=verify)
    with pytest.raises(StoreError, match=r"P001.*pixels\.npy cannot be read"):
        _ = dataclasses.replace(case).pixels


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_broken_sidecar_is_found(store, manifest, text):
    case = store.add(manifest.cases[1], manifest)
    (case.folder / "meta.json").write_text(text)
    with pytest.raises(StoreError, match=r"P001.*meta\.json"):
        store.open(case.case, case.key, verify=False)


def test_what_is_not_there_is_said_so(store, manifest):
    with pytest.raises(StoreError, match="P000"):
        store.open(manifest.cases[0], "0" * 64)


def test_a_crash_in_mid_write_leaves_nothing_that_is_taken_for_whole(store, manifest, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", crash)
    case = manifest.cases[1]
    with pytest.raises(KeyboardInterrupt):
        prepare_into(manifest, case, PHOTOGRAPH, store.folder_of(store.key_of(case, manifest)))
    monkeypatch.undo()
    assert [path for path in store.root.glob("*/*") if path.name != "x"] == []
    assert store.add(manifest.cases[1], manifest).label is not None


def test_leftovers_of_ended_processes_are_swept(store, manifest):
    case = store.add(manifest.cases[1], manifest)
    import os
    import socket

    dead, alive = (case.folder.parent / f".{socket.gethostname()}-{pid}-abc.tmp" for pid in (2**22 + 1, os.getpid()))
    dead.mkdir()
    alive.mkdir()
    sweep(store.root)
    assert not dead.exists()
    assert alive.exists()
    assert case.folder.exists()


def test_the_second_writer_leaves_the_first_ones_files(store, manifest, monkeypatch):
    case = store.add(manifest.cases[1], manifest)
    before = (case.folder / "pixels.npy").stat().st_mtime_ns
    from medgan.transforms.trace import Prepared

    save_prepared(Prepared(case.pixels, case.label, case.field, case.trace), case.folder, source="0")
    assert (case.folder / "pixels.npy").stat().st_mtime_ns == before
    assert [path.name for path in case.folder.parent.iterdir()] == [case.key]


def test_nothing_on_disk_names_a_person_or_a_path(store, manifest):
    case = store.add(manifest.cases[1], manifest)
    text = (case.folder / "meta.json").read_text()
    assert not [word for word in ("person1", "case1", "secret", str(manifest.root)) if word in text]
    assert len(json.loads(text)["source"]) == 64


@pytest.mark.parametrize("workers", [1, 3])
def test_many_cases_come_in_order_and_are_counted(store, manifest, workers):
    seen = []
    prepared = store.add_all(manifest, manifest, workers=workers, report=seen.append)
    assert [one.case for one in prepared] == list(manifest)
    assert seen == [1, 2, 3, 4]


def test_one_bad_case_ends_all_or_is_listed(store, manifest):
    (manifest.root / "secret2.png").write_bytes(b"")
    with pytest.raises(ReadError, match="R001"):
        store.add_all(manifest, manifest, workers=2)
    failed = {}
    prepared = store.add_all(manifest, manifest, on_error=lambda case, error: failed.update({case.case_id: error}))
    assert [one.case.case_id for one in prepared] == ["case0", "case1", "case3"]
    assert list(failed) == ["case2"]
    assert isinstance(failed["case2"], MedganError)


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(store, manifest, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: usage._replace(free=30_000))
    with pytest.raises(WriteError, match=r"W092.*will not fit"):
        store.add_all(manifest, manifest)
    assert not store.root.exists()


def test_what_is_there_already_needs_no_space(store, manifest, monkeypatch):
    store.add_all(manifest, manifest)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda _: usage._replace(free=0))
    assert len(store.add_all(manifest, manifest)) == 4


def test_a_full_disk_in_mid_write_is_an_error_with_a_remedy(store, manifest, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    case = manifest.cases[1]
    with pytest.raises(WriteError, match=r"W093.*No space left on device.*free some space"):
        prepare_into(manifest, case, PHOTOGRAPH, store.folder_of(store.key_of(case, manifest)))


def stored_bytes(case):
    return sum(path.stat().st_size for path in case.folder.iterdir())


@pytest.mark.parametrize("preset", ["photograph", "fundus"])
@pytest.mark.parametrize("size_px", [None, 24, 100])
def test_photographs_take_no_more_than_predicted(tmp_path, manifest, preset, size_px):
    store = PreparedStore(tmp_path / "other", Preparation(preset=preset, size_px=size_px))
    case = manifest.cases[1]
    predicted = predicted_bytes(manifest.image_path(case), store.preparation, has_label=True)
    assert 0.3 * predicted < stored_bytes(store.add(case, manifest)) + 16_384
    assert stored_bytes(store.add(case, manifest)) <= predicted


@pytest.mark.parametrize("spacing_mm", [None, (2.0, 2.0, 2.0), (1.0, 1.5, 0.7)])
def test_volumes_take_no_more_than_predicted(tmp_path, spacing_mm):
    volume = np.random.default_rng(0).normal(100, 20, (36, 40, 24)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "v.nii.gz")
    nib.save(nib.Nifti1Image((volume > 110).astype(np.uint8), np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "m.nii.gz")
    case = Case(case_id="v", subject_id="s", domain="a", image="v.nii.gz", mask="m.nii.gz")
    store = PreparedStore(tmp_path / "store", Preparation(preset="mr", spacing_mm=spacing_mm))
    prepared = store.add(case, Manifest(cases=(case,), root=tmp_path))
    predicted = predicted_bytes(tmp_path / "v.nii.gz", store.preparation, has_label=True)
    assert 0.4 * predicted < stored_bytes(prepared) <= predicted
    assert prepared.slices == prepared.shape[1] == len(prepared.field_shares)
    np.testing.assert_allclose(prepared.field_shares, prepared.field.mean(axis=(1, 2)))


def test_the_size_of_a_file_that_cannot_be_read_is_left_to_the_reader(tmp_path):
    (tmp_path / "bad.nii.gz").write_bytes(b"\x1f\x8bnothing")
    assert predicted_bytes(tmp_path / "bad.nii.gz", PHOTOGRAPH, has_label=False) == 0
    assert predicted_bytes(tmp_path / "absent.png", PHOTOGRAPH, has_label=False) == 0


def test_a_prepared_case_travels_without_its_arrays(store, manifest):
    case = store.add(manifest.cases[1], manifest)
    assert case.pixels.size > 0
    text = pickle.dumps(case)
    assert len(text) < 5_000
    np.testing.assert_array_equal(pickle.loads(text).pixels, case.pixels)  # noqa: S301


def test_running_out_of_maps_is_not_taken_for_damage(store, manifest, monkeypatch):
    case = store.add(manifest.cases[1], manifest)

    def full(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(np, "load", full)
    with pytest.raises(StoreError, match=r"P002.*vm\.max_map_count"):
        _ = dataclasses.replace(case).pixels


@pytest.mark.parametrize("spacing_mm", [None, (1.0, 1.0, 1.0)])
def test_a_dicom_series_is_predicted_from_one_header(tmp_path, spacing_mm):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    for number in range(5):
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = CTImageStorage
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.Rows, header.Columns, header.PixelSpacing, header.SliceThickness = 30, 20, [0.5, 0.5], 3.0
        header.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    preparation = Preparation(preset="ct", spacing_mm=spacing_mm)
    voxels = 5 * 30 * 20 if spacing_mm is None else 15 * 15 * 10
    predicted = predicted_bytes(tmp_path, preparation, has_label=False)
    assert 5 * voxels <= predicted - 16_384 <= 1.2 * 5 * voxels
