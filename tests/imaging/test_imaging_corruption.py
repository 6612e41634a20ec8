"""Damaged volumes: an error, or the very same voxels on the very same grid."""

import importlib.util
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "corruption.py"


@pytest.fixture(scope="module")
def corruption():
    spec = importlib.util.spec_from_file_location("corruption", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcomes(corruption, cases):
    return corruption.count_outcomes(cases, {"medgan": corruption.by_medgan})["medgan"]


def test_no_damage_to_a_packed_volume_is_silent(corruption, tmp_path):
    volumes = corruption.make_volumes(tmp_path, ending=".nii.gz")
    found = outcomes(corruption, corruption.damaged_files(volumes, corruption.PACKED, tmp_path, count=120, seed=20))
    assert found["silent"] == found["noted"] == 0, found
    assert found["error"] > 110  # a bit of the gzip header's time is nobody's loss


def test_no_change_of_a_plain_volumes_size_is_silent(corruption, tmp_path):
    volumes = corruption.make_volumes(tmp_path, ending=".nii")
    found = outcomes(corruption, corruption.damaged_files(volumes, corruption.PLAIN, tmp_path, count=60, seed=21))
    assert found == {"error": 60}


def test_a_plain_header_hides_nothing_but_its_rescale(corruption, tmp_path):
    """No checksum guards it; but size, type, voxel sizes, qform and sform must agree with one another and the file."""
    whole = corruption.make_volumes(tmp_path, ending=".nii")[0]
    expected, raw, path = corruption.by_medgan(whole), whole.read_bytes(), tmp_path / "damaged.nii"
    fields = nib.Nifti1Header.template_dtype.fields
    silent = Counter()
    for bit in range(0, 8 * 348, 3):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(damaged))
        if corruption.outcome(corruption.by_medgan, path, expected) == "silent":
            silent[next(name for name, (kind, at) in fields.items() if at <= bit // 8 < at + kind.itemsize)] += 1
    assert set(silent) == {"scl_slope", "scl_inter"}


def test_no_damage_to_a_series_is_silent(corruption, tmp_path):
    whole, other = corruption.make_series(tmp_path, name="whole"), corruption.make_series(tmp_path, name="another")
    found = outcomes(corruption, corruption.damaged_series(whole, other, tmp_path, count=25, seed=22))
    assert found["silent"] == 0, found
    assert found["error"] + found["noted"] == 20  # an end slice cut to nothing is no DICOM file, which is noted
    assert found["same"] == 5  # names that are swapped: a slice's place is told by its header


def test_the_campaign_finds_what_is_silent(corruption, tmp_path):
    """The same damage, read by a reader that checks nothing, must be counted."""
    volumes = corruption.make_volumes(tmp_path, ending=".nii.gz")
    cases = corruption.damaged_files(volumes, (corruption.cut,), tmp_path, count=10, seed=23)
    found = corruption.count_outcomes(cases, {"zeros": lambda path: corruption.Read(np.zeros(path.stat().st_size), 0)})
    assert found["zeros"] == {"silent": 10, "(cut)": 10}
