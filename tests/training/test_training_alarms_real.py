"""Real photographs and volumes raise no alarm: neither as they are, nor in a short healthy run."""

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from training_misbehaving import settings

from medgan.methods.cyclegan import CycleGAN
from medgan.methods.pix2pix import Pix2Pix
from medgan.training.alarms import pictures
from medgan.training.loop import train
from medgan.training.translator import SampleShape

pytestmark = pytest.mark.real_data
SIZE_PX = 64


@pytest.fixture(scope="module")
def data():
    root = os.environ.get("MEDGAN_DATA", "")
    if not root or not (Path(root) / "fundus_deepdrid" / "manifest.csv").is_file():
        pytest.skip("needs the real images that MEDGAN_DATA names")
    return Path(root)


def photographs(folder, domain, count, *, size_px):
    """(count, 3, size_px, size_px) in [-1, 1], shrunk; None cuts squares of 128 px out of the middle."""
    with (folder / "manifest.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["domain"] == domain]
    found = []
    for row in rows[:: max(1, len(rows) // count)][:count]:
        with Image.open(folder / row["path"]) as opened:
            picture = opened.convert("RGB")
        left, top = (picture.width - 128) // 2, (picture.height - 128) // 2
        picture = (
            picture.resize((size_px, size_px), Image.Resampling.LANCZOS)
            if size_px
            else picture.crop((left, top, left + 128, top + 128))
        )
        found.append(np.asarray(picture, dtype=np.float32) / 127.5 - 1.0)
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()


def slices(folder, kind, count):
    """Axial slices of registered volumes, (count, 1, 64, 64) in [-1, 1]; ``kind`` names the column of their path."""
    with (folder / "manifest.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    found = []
    for number in range(count):
        volume = np.asarray(nib.load(folder / rows[number % len(rows)][kind]).dataobj, dtype=np.float32)
        plane = volume[:, :, volume.shape[2] // 2 + 2 * (number // len(rows))]
        image = Image.fromarray(plane / np.percentile(volume[volume > 0], 99.5)).resize((SIZE_PX, SIZE_PX))
        found.append(np.clip(np.asarray(image), 0, 1) * 2 - 1)
    return torch.from_numpy(np.stack(found))[:, None]


@pytest.mark.parametrize("size_px", [64, 128, None])
@pytest.mark.parametrize(
    ("folder", "source", "target"),
    [
        ("fundus_deepdrid", "poor", "good"),
        ("derm_isic2017", "dermoscopy", "dermoscopy"),
        ("derm_padufes", "clinical", "clinical"),
    ],
)
def test_real_photographs_in_the_place_of_translations_raise_none(data, folder, source, target, size_px):
    a, b = (photographs(data / folder, domain, 24, size_px=size_px) for domain in (source, target))
    for start in range(0, 16, 4):
        # Of one domain alone, no picture stands on two sides.
        fake, real_b = (b[start + shift : start + shift + 4] for shift in (4, 8))
        one = pictures.Translation("fake_b", fake, a[start : start + 4], real_b, paired=False)
        raised = [finding for finding in pictures.findings(one) if finding.present]
        assert not raised


def test_true_flair_in_the_place_of_a_translation_raises_none(data):
    a, b = (slices(data / "brain_t1_flair", kind, 16) for kind in ("path", "path_flair"))
    for start in range(0, 16, 4):
        at = slice(start, start + 4)
        one = pictures.Translation("fake_b", b[at], a[at], b[at], paired=True)
        assert not [finding for finding in pictures.findings(one) if finding.present]
        # Grey and white matter change places between T1 and FLAIR, which alone is not enough for a warning.
        one = pictures.Translation("fake_b", b[at], a[at], b.roll(4, 0)[at], paired=False)
        assert not [finding for finding in pictures.findings(one) if finding.present]


@pytest.mark.slow
def test_a_short_cyclegan_on_fundus_photographs_raises_none(data, tmp_path):
    a, b = (photographs(data / "fundus_deepdrid", kind, 24, size_px=SIZE_PX) for kind in ("poor", "good"))
    torch.manual_seed(0)
    recipe = CycleGAN.recipe_type.tiny().model_copy(update={"total_steps": 240})
    learner = CycleGAN(recipe, shape=SampleShape(3, 1, SIZE_PX))

    def draw(number):
        return {"a": a[[number % 24]], "b": b[[(7 * number) % 24]]}

    summary = train(learner, draw, run=tmp_path, settings=settings(total_steps=240, preview_every=40))
    assert summary.alarms == ()


@pytest.mark.slow
def test_a_short_pix2pix_from_t1_to_flair_raises_none(data, tmp_path):
    a, b = (slices(data / "brain_t1_flair", kind, 24) for kind in ("path", "path_flair"))
    torch.manual_seed(0)
    recipe = Pix2Pix.recipe_type.tiny().model_copy(update={"total_steps": 300})
    learner = Pix2Pix(recipe, shape=SampleShape(1, 1, SIZE_PX))

    def draw(number):
        return {"a": a[[number % 24]], "b": b[[number % 24]]}

    summary = train(learner, draw, run=tmp_path, settings=settings(preview_every=50))
    assert summary.alarms == ()
