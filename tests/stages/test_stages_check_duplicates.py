"""Check: the same image twice, nearly the same image under two subjects, and contradictory labels."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from scipy import ndimage

from medgan.imaging.read import read_image
from medgan.manifests.case import Case
from medgan.manifests.twins import conflict
from medgan.settings.preparation import Preparation
from medgan.stages.check_duplicates import SeenCase, duplicate_findings, near_duplicates
from medgan.stages.check_thumbnail import Thumbnail, block_means, digest_of, image_digest, thumbnail_of
from medgan.transforms.prepare import prepare

PHOTOGRAPH = Preparation(preset="photograph")


def picture(seed: int, shape: tuple[int, int] = (160, 200)) -> np.ndarray:
    """Blobs of a seed, (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).normal(size=(*shape, 3))
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0))
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def look(
    path: Path, name: str, *, subject: str | None = None, preparation: Preparation = PHOTOGRAPH, **fields: object
) -> SeenCase:
    image = read_image(path)
    return SeenCase(
        case=Case(case_id=name, subject_id=subject or f"s-{name}", domain="a", image=path.name, **fields),
        pixels=image_digest(image),
        label=None,
        thumbnail=thumbnail_of(prepare(image, preparation)),
        kind="RGB photograph",
        is_dicom=False,
        spacing_mm=None,
    )


def found(*seen: SeenCase, allowed: bool = False) -> list[tuple[str, str]]:
    return [(one.code, one.severity) for one in duplicate_findings(seen, told=[], allowed=allowed)]


class TestSamePixels:
    @pytest.fixture
    def two(self, tmp_path):
        Pillow.fromarray(picture(0)).save(tmp_path / "a.png")
        tifffile.imwrite(tmp_path / "a.tif", picture(0), photometric="rgb")
        return tmp_path / "a.png", tmp_path / "a.tif"

    def test_in_two_formats_under_two_subjects(self, two):
        assert found(look(two[0], "x"), look(two[1], "y")) == [("M024", "error")]
        assert found(look(two[0], "x"), look(two[1], "y"), allowed=True) == [("M024", "warning")]

    def test_in_one_subject_and_with_two_grades(self, two):
        seen = look(two[0], "x", subject="s", grade=1), look(two[1], "y", subject="s", grade=2)
        assert found(*seen) == [("M028", "warning"), ("M054", "error")]
        seen = look(two[0], "x", subject="s", grade=1), look(two[1], "y", subject="s")
        assert found(*seen) == [("M028", "warning")], "a blank grade contradicts none"

    def test_a_volume_stored_in_another_order_and_type(self, make_nifti):
        array = np.random.default_rng(0).integers(0, 900, (9, 8, 7)).astype(np.int16)
        first = make_nifti(array, np.diag([2.0, 2, 2, 1]), name="a.nii.gz")
        affine = np.diag([-2.0, 2, 2, 1])
        affine[0, 3] = 16
        second = make_nifti(array[::-1].astype(np.float32), affine, name="b.nii")
        assert image_digest(read_image(first)) == image_digest(read_image(second))
        array[0, 0, 0] += 1
        assert image_digest(read_image(make_nifti(array, name="c.nii"))) != image_digest(read_image(first))

    def test_what_is_told_already_is_not_told_again(self, two):
        seen = [look(two[0], "x"), look(two[1], "y")]
        told = list(duplicate_findings(seen, told=[], allowed=False))
        assert list(duplicate_findings(seen, told=told, allowed=False)) == []

    def test_grey_as_three_equal_channels(self):
        grey = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
        assert digest_of(grey) == digest_of(np.repeat(grey, 3, axis=0)) == digest_of(grey.astype(np.float32))
        assert digest_of(grey) != digest_of(grey.reshape(1, 4, 3))
        assert digest_of(np.zeros((1, 2), np.float32)) == digest_of(-np.zeros((1, 2), np.float32))

    def test_masks_that_differ(self):
        case = Case(case_id="a", subject_id="s", domain="d", image="a")
        (one,) = conflict(case, case, what="pixels", differing=["their masks differ"])
        assert (one.code, one.severity) == ("M054", "error")


class TestNearDuplicates:
    @pytest.mark.parametrize("change", ["jpeg", "smaller", "darker", "grey", "cropped"])
    def test_a_changed_copy_is_found(self, tmp_path, change):
        original = Pillow.fromarray(picture(1))
        original.save(tmp_path / "a.png")
        changed = {
            "smaller": lambda: original.resize((120, 96)),
            "darker": lambda: original.point(lambda level: int(level * 0.7)),
            "grey": lambda: original.convert("L"),
            "cropped": lambda: original.crop((2, 2, 198, 158)),
            "jpeg": lambda: original,
        }[change]()
        changed.save(tmp_path / "b.jpg", quality=60)
        others = []
        for seed in range(2, 8):
            Pillow.fromarray(picture(seed)).save(tmp_path / f"{seed}.png")
            others.append(look(tmp_path / f"{seed}.png", str(seed)))
        seen = [look(tmp_path / "a.png", "x"), *others, look(tmp_path / "b.jpg", "y")]
        ((first, second, similarity),) = near_duplicates(seen)
        assert (first.case.case_id, second.case.case_id) == ("x", "y")
        assert similarity > 0.8

    def test_two_shots_of_one_subject_are_as_they_should_be(self, tmp_path):
        Pillow.fromarray(picture(1)).save(tmp_path / "a.png")
        Pillow.fromarray(picture(1)).save(tmp_path / "b.jpg", quality=60)
        assert (
            list(
                near_duplicates(
                    [look(tmp_path / "a.png", "x", subject="s"), look(tmp_path / "b.jpg", "y", subject="s")]
                )
            )
            == []
        )

    def test_plain_images_are_like_nothing(self, tmp_path):
        for name in "ab":
            Pillow.new("RGB", (64, 64), (9, 9, 9 + ord(name) - 97)).save(tmp_path / f"{name}.png")
        assert list(near_duplicates([look(tmp_path / "a.png", "x"), look(tmp_path / "b.png", "y")])) == []

    def test_many_copies_are_one_finding_each(self, tmp_path):
        for quality in range(50, 60):
            Pillow.fromarray(picture(1)).save(tmp_path / f"{quality}.jpg", quality=quality)
        seen = [look(path, path.stem) for path in sorted(tmp_path.glob("*.jpg"))]
        assert len(list(near_duplicates(seen))) == len(seen) - 1


def test_block_means_keep_the_mean_and_fit_any_size():
    values = np.random.default_rng(0).normal(size=(30, 7, 11))
    for shape in ((24, 24, 24), (5, 7, 3)):
        assert block_means(values, shape).mean() == pytest.approx(values.mean(), abs=1e-6)
    halves = block_means(values[:, :6, :10], (15, 3, 5))
    assert halves == pytest.approx(values[:, :6, :10].reshape(15, 2, 3, 2, 5, 2).mean(axis=(1, 3, 5)), abs=1e-6)


def test_a_thumbnail_is_small():
    image = np.zeros((64, 64), np.int8)
    assert Thumbnail(image, np.ones(63, np.int8)).is_plain


@pytest.mark.real_data
def test_real_photographs_of_different_people_are_told_apart():
    data = Path(os.environ.get("MEDGAN_DATA", "")) / "fundus_deepdrid" / "open"
    if not data.is_dir():
        pytest.skip("MEDGAN_DATA names no folder with fundus_deepdrid")
    fundus = Preparation(preset="fundus", size_px=128)
    names = [
        "mid/378_r1",
        "poor/414_r1",
        "poor/65_l2",
        "poor/315_r2",
        "poor/115_r2",
        "mid/135_l2",
        "mid/74_r2",
        "poor/233_r1",
    ]
    seen = [look(data / f"{name}.jpg", name, preparation=fundus) for name in names]
    assert list(near_duplicates(seen)) == []
