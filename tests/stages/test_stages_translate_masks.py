"""Masks of translated cases: the same labels, whole, and nothing that programs wrote beside them."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from medgan.errors import ReadError
from medgan.imaging.read import read_image, read_label
from medgan.manifests.file_checks import files_of
from medgan.manifests.manifest import Case, Manifest
from medgan.stages.translate_masks import copy_mask

LABELS = (np.arange(40 * 48).reshape(40, 48) % 7 == 0).astype(np.uint8) * 255


def one_case(root: Path, image: str, mask: str) -> tuple[Manifest, Case]:
    case = Case(case_id="c", subject_id="s", domain="a", image=image, mask=mask)
    return Manifest(cases=(case,), root=root), case


def photograph(root: Path) -> str:
    Pillow.fromarray(np.zeros((40, 48, 3), np.uint8)).save(root / "photo.png")
    return "photo.png"


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_texts_beside_a_png_masks_labels_stay_behind(tmp_path, mode):
    texts = PngInfo()
    texts.add_text("Author", "Dr Secretname")
    texts.add_itxt("Comment", "Secretname, Jane", zip=True)
    picture = Pillow.fromarray(LABELS)
    if mode == "P":
        picture.putpalette([value for level in range(256) for value in (level, 0, 255 - level)])
    picture.convert(mode).save(tmp_path / "mask.png", pnginfo=texts)
    manifest, case = one_case(tmp_path, photograph(tmp_path), "mask.png")
    made = copy_mask(manifest, case, tmp_path / "out" / "c", cap=50.0)
    raw = made.read_bytes()
    assert b"Secretname" in (tmp_path / "mask.png").read_bytes()
    assert b"Secretname" not in raw
    assert b"tEXt" not in raw
    assert b"iTXt" not in raw
    image = read_image(tmp_path / "photo.png")
    before, after = (read_label(path, like=image) for path in (tmp_path / "mask.png", made))
    np.testing.assert_array_equal(before, after)
    assert before.dtype == after.dtype
    with Pillow.open(tmp_path / "mask.png") as old, Pillow.open(made) as new:
        assert (old.mode, old.getpalette()) == (new.mode, new.getpalette())


def test_texts_beside_a_tiff_masks_labels_stay_behind(tmp_path):
    Pillow.fromarray(LABELS).save(tmp_path / "mask.tif", description="Secretname", artist="Secretname")
    manifest, case = one_case(tmp_path, photograph(tmp_path), "mask.tif")
    made = copy_mask(manifest, case, tmp_path / "out" / "c", cap=50.0)
    assert b"Secretname" not in made.read_bytes()
    np.testing.assert_array_equal(read_label(made, like=read_image(tmp_path / "photo.png")), LABELS)


def volume(root: Path) -> tuple[str, np.ndarray]:
    values = np.random.default_rng(0).normal(100, 10, (6, 5, 4)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), root / "scan.nii.gz")
    return "scan.nii.gz", (values > 100).astype(np.uint8)


@pytest.mark.parametrize("packed", [False, True])
def test_a_pair_of_header_and_voxels_is_copied_whole(tmp_path, packed):
    image, labels = volume(tmp_path)
    nib.save(nib.Nifti1Pair(labels, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "secret.hdr")
    if packed:
        voxels = tmp_path / "secret.img"
        (tmp_path / "secret.img.gz").write_bytes(gzip.compress(voxels.read_bytes()))
        voxels.unlink()
    manifest, case = one_case(tmp_path, image, "secret.hdr")
    made = copy_mask(manifest, case, tmp_path / "out" / "c", cap=50.0)
    names = ["c.hdr", "c.img.gz" if packed else "c.img"]
    assert [path.name for path in files_of(made)] == names
    assert sorted(path.name for path in made.parent.iterdir()) == names
    like = read_image(tmp_path / image)
    np.testing.assert_array_equal(read_label(made, like=like), read_label(tmp_path / "secret.hdr", like=like))
    assert read_label(made, like=like).any()


def test_a_pair_without_its_voxels_is_refused(tmp_path):
    image, labels = volume(tmp_path)
    nib.save(nib.Nifti1Pair(labels, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "secret.hdr")
    (tmp_path / "secret.img").unlink()
    manifest, case = one_case(tmp_path, image, "secret.hdr")
    with pytest.raises(ReadError, match="R045"):
        copy_mask(manifest, case, tmp_path / "out" / "c", cap=50.0)


def test_one_nifti_file_stays_one(tmp_path):
    image, labels = volume(tmp_path)
    nib.save(nib.Nifti1Image(labels, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "mask.nii.gz")
    manifest, case = one_case(tmp_path, image, "mask.nii.gz")
    made = copy_mask(manifest, case, tmp_path / "out" / "c", cap=50.0)
    assert made.read_bytes() == (tmp_path / "mask.nii.gz").read_bytes()
    assert files_of(made) == [made]
