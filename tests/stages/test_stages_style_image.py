"""A style image in a study: found beside the study file, prepared like its images, and part of what the run is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_studies import lesion_settings, lesion_study, run_here, write_settings

from medgan.errors import GeometryError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import read_manifest
from medgan.methods.gatys import GatysRecipe
from medgan.methods.johnson_style import JohnsonStyleRecipe
from medgan.settings.preparation import Preparation
from medgan.settings.study import read_study
from medgan.stages.style_image import style_samples
from medgan.stages.trained import open_run
from medgan.training.tensor_files import sha256
from medgan.training.translator import SampleShape

PLACE = "fold0/seed0/train"


def picture(path: Path, *, seed: int) -> Path:
    noise = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three runs: Johnson's and Gatys' in the style of a picture, and Gatys' in that of the domain."""
    path = lesion_study(tmp_path_factory.mktemp("style"), subjects=5)
    picture(path.parent / "style.png", seed=1)
    of_picture = {"style_image": "style.png"}
    johnson, gatys = (recipe.tiny().model_dump(mode="json") for recipe in (JohnsonStyleRecipe, GatysRecipe))
    plans = [
        {"name": "johnson", "method": "johnson_style", "recipe": johnson | of_picture},
        {"name": "picture", "method": "gatys", "recipe": gatys | of_picture},
        {"name": "domain", "method": "gatys", "recipe": gatys},
    ]
    settings = lesion_settings() | {"translators": plans, "tasks": [], "primary": None, "stratify": "none"}
    path = write_settings(path.parent, settings)
    for plan in plans:
        run_here(path, until=f"{PLACE}/{plan['name']}")
    return read_study(path)


def test_its_digest_is_in_the_runs_identity(study) -> None:
    digest = sha256(study.manifest.parent.parent / "style.png")
    for name, wanted in (("johnson", digest), ("picture", digest), ("domain", None)):
        record = json.loads((study.output / PLACE / name / "weights.json").read_text())
        assert record["identity"]["data"].get("style_image") == wanted


def test_a_picture_and_a_domain_give_other_styles_and_the_picture_is_not_needed_again(study) -> None:
    picture_path = study.manifest.parent.parent / "style.png"
    kept = picture_path.read_bytes()
    manifest = read_manifest(study.manifest, root=study.data_root)
    image = read_image(manifest.image_path(manifest.of_domain("dermoscopy").cases[0]))
    picture_path.unlink()
    try:
        outs = [
            open_run(study.output / PLACE / name, device="cpu").translate(image)
            for name in ("johnson", "picture", "domain")
        ]
    finally:
        picture_path.write_bytes(kept)
    assert all(out.pixels.shape == image.pixels.shape for out in outs)
    assert not np.array_equal(outs[1].pixels, outs[2].pixels)


def test_it_is_prepared_like_the_studys_images(tmp_path: Path) -> None:
    path = picture(tmp_path / "style.png", seed=2)
    preparation = Preparation(preset="photograph", size_px=16)
    (sample,) = style_samples(path, preparation=preparation, shape=SampleShape(3, 3, 32))
    assert sample.shape == (9, 16, 16)
    assert torch.equal(sample[:3], sample[3:6])
    assert sample.min() >= -1
    assert sample.max() <= 1
    with pytest.raises(GeometryError, match=r"\[G005\].*style image"):
        next(style_samples(path, preparation=preparation, shape=SampleShape(1, 1, 32)))
