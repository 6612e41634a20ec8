"""Lesion phantoms: exact masks and two looks that differ as claimed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from scipy import ndimage

from medgan.errors import SettingsError
from medgan.manifests.manifest import read_manifest
from medgan.phantoms.lesion import DOMAINS, LesionPhoto, render_lesion, write_study


def _photo(seed: int, *, domain: str, malignant: bool = False, skin_type: int = 2) -> LesionPhoto:
    return render_lesion(
        np.random.default_rng(seed), size_px=96, domain=domain, malignant=malignant, skin_type=skin_type
    )


@pytest.mark.parametrize("domain", DOMAINS)
def test_mask_is_the_dark_part(domain: str):
    for seed in range(4):
        photo = _photo(seed, domain=domain)
        grey = ndimage.gaussian_filter(photo.pixels.astype(float).mean(axis=0), 1.5)
        inside = grey[ndimage.binary_erosion(photo.mask, iterations=2)].mean()
        ring = ndimage.binary_dilation(photo.mask, iterations=9) & ~ndimage.binary_dilation(photo.mask, iterations=4)
        assert inside < 0.9 * grey[ring].mean()


@pytest.mark.parametrize("domain", DOMAINS)
def test_border_lies_on_the_mask(domain: str):
    photo = _photo(3, domain=domain, malignant=True, skin_type=1)
    grey = ndimage.gaussian_filter(photo.pixels.astype(float).mean(axis=0), 1.0)
    steps = ndimage.gaussian_gradient_magnitude(grey, 1.0)
    edge = ndimage.binary_dilation(photo.mask, iterations=2) & ~ndimage.binary_erosion(photo.mask, iterations=3)
    far = ~ndimage.binary_dilation(photo.mask, iterations=8)
    assert steps[edge].mean() > 2.0 * np.median(steps[far])


def test_lesion_is_one_piece_inside_the_frame():
    for seed in range(6):
        for domain in DOMAINS:
            mask = _photo(seed, domain=domain, malignant=True).mask
            pieces, count = ndimage.label(mask)
            largest = np.bincount(pieces.ravel())[1:].max()
            assert count >= 1
            assert largest > 0.95 * mask.sum()
            assert mask.mean() < 0.75


def test_looks_differ_as_claimed():
    groups = {domain: [_photo(seed, domain=domain) for seed in range(12)] for domain in DOMAINS}
    share = {domain: np.mean([photo.mask.mean() for photo in photos]) for domain, photos in groups.items()}
    assert share["clinical"] < 0.6 * share["dermoscopy"]
    warmth = {
        domain: np.mean([np.log(photo.pixels[0].mean() / photo.pixels[2].mean()) for photo in photos])
        for domain, photos in groups.items()
    }
    assert warmth["clinical"] > warmth["dermoscopy"] + 0.1


def test_darker_skin_types_are_darker():
    means = [_photo(1, domain="clinical", skin_type=kind).pixels.mean() for kind in range(1, 7)]
    assert means == sorted(means, reverse=True)


def test_study_masks_are_binary_and_domains_unpaired(tmp_path: Path):
    study = read_manifest(write_study(tmp_path, seed=4, subjects=3, size_px=48), root=tmp_path)
    assert study.domains == ("clinical", "dermoscopy")
    for case in study:
        path = study.mask_path(case)
        assert path is not None
        with PillowImage.open(path) as picture:
            assert set(np.unique(np.asarray(picture))) == {0, 1}
        assert case.pair_id is None
        assert case.grade in (0, 1)


@pytest.mark.parametrize(("domain", "skin_type"), [("xray", 1), ("clinical", 0), ("clinical", 7)])
def test_unknown_look_is_refused(domain: str, skin_type: int):
    with pytest.raises(SettingsError, match=r"S061"):
        _photo(0, domain=domain, skin_type=skin_type)
