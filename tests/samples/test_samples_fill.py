"""Preparing in child processes: what they may do to one case, and that they do nothing to the others."""

import os

import hostile_preparing
import numpy as np
import pytest
from PIL import Image

from medgan.errors import ReadError
from medgan.imaging import read as read_module
from medgan.manifests.manifest import Case, Manifest
from medgan.samples import fill as fill_module
from medgan.samples.store import PreparedStore
from medgan.settings.cores import usable_cores
from medgan.settings.preparation import Preparation


@pytest.fixture
def manifest(tmp_path):
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    cases = tuple(
        Case(case_id=f"case{n}", subject_id=f"person{n}", domain="a", image=f"{n}.png", row=n + 2) for n in range(4)
    )
    return Manifest(cases=cases, root=tmp_path)


@pytest.fixture
def store(tmp_path):
    return PreparedStore(tmp_path / "store", Preparation(preset="photograph", size_px=32))


def test_no_file_is_decoded_in_this_process(store, manifest, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("decoded where a crash would end the run")

    monkeypatch.setattr(read_module, "_read", refuse)
    assert store.add(manifest.cases[0], manifest).shape == (3, 27, 32)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_decoder_that_crashes_costs_one_case(store, manifest, monkeypatch, workers):
    monkeypatch.setattr(fill_module, "prepare_into", hostile_preparing.crash_on_one)
    failed = {}
    prepared = store.add_all(
        manifest, manifest, workers=workers, on_error=lambda case, error: failed.update({case.case_id: error})
    )
    assert [one.case.case_id for one in prepared] == ["case0", "case1", "case3"]
    assert [(name, error.code, error.where) for name, error in failed.items()] == [
        ("case2", "R072", "row 4 (case case2)")
    ]
    with pytest.raises(ReadError, match=r"R072.*row 4 \(case case2\): the decoder crashed; got SIGSEGV"):
        store.add_all(manifest, manifest, workers=workers)


def test_what_a_killed_child_left_is_swept(store, manifest, monkeypatch):
    monkeypatch.setattr(fill_module, "prepare_into", hostile_preparing.half_write_and_hang)
    monkeypatch.setattr(fill_module, "_seconds", lambda *_: 1.0)
    with pytest.raises(ReadError, match="R070"):
        store.add(manifest.cases[0], manifest)
    assert len(list(store.root.glob("*/.*.tmp"))) == 1
    monkeypatch.undo()
    assert len(store.add_all(manifest, manifest)) == 4
    assert not list(store.root.glob("*/.*.tmp"))


def test_each_worker_has_a_child_of_its_own(store, manifest, monkeypatch):
    """Two cases are at work in two processes at the same time: one child between them would never end."""
    monkeypatch.setattr(fill_module, "prepare_into", hostile_preparing.meet_another)
    assert len(store.add_all(manifest, manifest, workers=2)) == 4


def test_children_make_the_same_arrays_as_this_process(store, manifest, tmp_path):
    made = store.add(manifest.cases[0], manifest)
    fill_module.prepare_into(manifest, manifest.cases[0], store.preparation, tmp_path / "here")
    np.testing.assert_array_equal(made.pixels, np.load(tmp_path / "here" / "pixels.npy"))
    np.testing.assert_array_equal(made.field, np.load(tmp_path / "here" / "field.npy"))


@pytest.mark.parametrize(("text", "expected"), [("150000 100000", 2), ("20000 100000", 1), ("max 100000", 8)])
def test_cores_are_those_that_the_container_is_given(monkeypatch, tmp_path, text, expected):
    from medgan.settings import cores

    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores() == expected


def test_two_pairs_with_equal_headers_are_two_images(tmp_path):
    """The header of a pair says nothing of its voxels, which lie in another file."""
    import nibabel as nib

    volumes = [np.random.default_rng(n).normal(100, 20, (16, 20, 12)).astype(np.float32) for n in range(2)]
    for number, values in enumerate(volumes):
        nib.save(nib.Nifti1Pair(values, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / f"{number}.hdr")
    assert (tmp_path / "0.hdr").read_bytes() == (tmp_path / "1.hdr").read_bytes()
    cases = tuple(Case(case_id=f"c{n}", subject_id=f"s{n}", domain="a", image=f"{n}.hdr") for n in range(2))
    manifest = Manifest(cases=cases, root=tmp_path)
    one, two = PreparedStore(tmp_path / "store", Preparation(preset="mr")).add_all(manifest, manifest)
    assert one.key != two.key
    assert one.pixels_digest != two.pixels_digest
