"""Derived objects have no error that dciodvfy finds, or none that their source did not have."""

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import dicom_objects as objects
import numpy as np
import pytest

from medgan.imaging.derivation import Derivation
from medgan.imaging.image import Image
from medgan.imaging.read import read_image
from medgan.imaging.write import write_image
from medgan.imaging.write_dicom_seg import write_segmentation

pytestmark = [
    pytest.mark.dciodvfy,
    pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed: apt install dicom3tools"),
]

# Synthetic Data came into the standard in 2023; Debian's dicom3tools is of 2022 and does not know its tag.
TOO_NEW = "not a recognized standard attribute - (0x0008,0x001c)"
DERIVATION = Derivation(method="cyclegan", run="0a1b2c3d4e5f", weights_sha256="ab" * 32, source="a", target="b")


def errors(path: Path) -> Counter:
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert lines, "dciodvfy says at least what object it took the file for"
    return Counter(line for line in lines if line.startswith("Error") and TOO_NEW not in line)


def all_errors(folder: Path) -> Counter:
    return sum((errors(path) for path in sorted(folder.iterdir())), Counter())


def other_modality(image: Image) -> Image:
    """An MR in HU, a CT in arbitrary units."""
    if image.stored.unit == "HU":
        return replace(image.with_pixels(np.abs(image.pixels) * 1.37), stored=replace(image.stored, unit="a.u."))
    values = np.clip(image.pixels, 0, 4000).astype(np.int32) - 1000
    return replace(image.with_pixels(values), stored=replace(image.stored, unit="HU"))


@pytest.fixture
def sources(rng, tmp_path) -> dict[str, Path]:
    grey = rng.integers(0, 4096, size=(3, 6, 5)).astype(np.uint16)
    colour = rng.integers(0, 256, size=(6, 5, 3)).astype(np.uint8)
    made = {
        "ct": objects.ct(tmp_path / "ct", grey),
        "mr": objects.mr(tmp_path / "mr", grey),
        "pet": objects.pet(tmp_path / "pet", grey.astype(np.int16)),
        "enhanced": objects.enhanced_mr(tmp_path / "enhanced", grey, order=[2, 0, 1]),
    }
    made |= {kind: objects.picture(tmp_path / kind, kind, grey[0], shown="MONOCHROME1") for kind in ("CR", "DX")}
    made |= {kind: objects.picture(tmp_path / kind, kind, colour, shown="RGB") for kind in ("US", "SC", "XC", "OP")}
    return made


def test_the_sources_conform_and_an_error_is_seen(sources, tmp_path):
    for name, path in sources.items():
        assert not all_errors(path), name
    (broken,) = objects.picture(
        tmp_path / "x", "CR", np.zeros((4, 4), np.uint16), shown="MONOCHROME1", StudyID=None
    ).iterdir()
    assert any("StudyID" in line for line in errors(broken))


def test_derived_objects_of_every_class_conform(sources, tmp_path):
    for name, path in sources.items():
        image = read_image(path)
        write_image(image, tmp_path / "out" / name, like=image, derivation=DERIVATION)
        assert not all_errors(tmp_path / "out" / name), name


def test_objects_of_another_modality_than_their_source_s_conform(sources, tmp_path):
    for name in ("ct", "mr", "pet", "enhanced"):
        image = read_image(sources[name])
        write_image(other_modality(image), tmp_path / "out" / name, like=image, derivation=DERIVATION)
        again = read_image(tmp_path / "out" / name)
        assert again.stored.modality == ("MR" if name == "ct" else "CT")
        assert not all_errors(tmp_path / "out" / name), name


def test_segmentations_conform(sources, tmp_path):
    for name, path in sources.items():
        image = read_image(path)
        labels = np.arange(image.pixels[0].size).reshape(image.pixels.shape[1:]) % 3
        write_segmentation(labels, tmp_path / f"{name}.dcm", like=image, names=["liver", "x"], derivation=DERIVATION)
        assert not errors(tmp_path / f"{name}.dcm"), name


def test_a_series_with_a_poor_header_is_mended(rng, make_dicom_series, tmp_path):
    image = read_image(make_dicom_series(rng.integers(0, 4096, size=(3, 4, 5)).astype(np.uint16)))
    assert all_errors(image.path)
    for name, result in (("same", image), ("other", other_modality(image))):
        write_image(result, tmp_path / name, like=image, derivation=DERIVATION)
        assert not all_errors(tmp_path / name)


REAL = {
    "dicom_series/ct_body_j2k/*": set(),
    "dicom_series/mr_j2k_fragments": {"InversionTime"},
    "dicom_series/mr_sag_hfdr": set(),
    "dicom_series/mr_t1_7t_oblique": set(),
    "dicom_series/mr_enhanced_siemens_xa10/6_1.dcm": {"Parallel Acquisition Technique", "ParallelReductionFactor"},
    "dicom_series/mr_epi_siemens_mosaic/epi_pe_ap-00001.dcm": set(),
    "dicom_odd/pydicom/CT_small.dcm": set(),
    "dicom_odd/pydicom/MR_small_bigendian.dcm": set(),
    "dicom_odd/pydicom/MR_small_implicit.dcm": set(),
    "dicom_odd/pydicom-data/eCT_Supplemental.dcm": {"Rescale Type"},
    "dicom_odd/pydicom-data/RG1_J2KI.dcm": set(),
    "dicom_odd/pydicom-data/OBXXXX1A_rle.dcm": set(),
    "dicom_odd/pydicom-data/US1_J2KI.dcm": set(),
    "dicom_odd/pydicom-data/mlut_18.dcm": set(),
    "dicom_odd/pydicom/SC_rgb_jpeg_dcmtk.dcm": set(),
    "dicom_odd/pydicom/JPEGLSNearLossless_16.dcm": set(),
    "dicom_odd/pydicom/JPEG2000.dcm": set(),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_series_have_no_error_that_their_source_has_not(data_root, tmp_path, name):
    image = read_image(sorted(data_root.glob(name))[0])
    write_image(image, tmp_path / "same", like=image, derivation=DERIVATION)
    for path in (sorted((tmp_path / "same").iterdir())[0], sorted((tmp_path / "same").iterdir())[-1]):
        left = errors(path)
        assert all(any(known in line for known in REAL[name]) for line in left), left
    if image.is_volume and image.stored.unit in ("HU", "a.u."):
        write_image(other_modality(image), tmp_path / "other", like=image, derivation=DERIVATION)
        assert not errors(sorted((tmp_path / "other").iterdir())[0])
