"""Grey masks to RGB photographs, and back: from a manifest of pairs to translated images and their scores."""

from pathlib import Path

import pytest
from PIL import Image as Pillow
from tiny_studies import lesion_settings, lesion_study, run_here, write_settings

from medgan.errors import GeometryError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import Manifest, read_manifest, write_manifest
from medgan.manifests.masks import mask_and_image
from medgan.methods.pix2pix import Pix2PixRecipe
from medgan.methods.spade import SpadeRecipe
from medgan.settings.study import read_study
from medgan.stages.trained import open_run

TINY = {"spade": SpadeRecipe.tiny(), "pix2pix": Pix2PixRecipe.tiny()}


def study_of_masks(folder: Path, *, back: bool) -> Path:
    """A study of pairs of a photograph and its mask."""
    path = lesion_study(folder, subjects=5)
    study = read_study(path)
    cases = read_manifest(study.manifest, root=study.data_root).of_domain(study.direction.target)
    paired = tuple(one for case in cases for one in mask_and_image(case))
    write_manifest(Manifest(cases=paired, root=study.data_root), study.manifest)
    names = ("mask", study.direction.target)
    source, target = reversed(names) if back else names
    method = "pix2pix" if back else "spade"
    recipe = TINY[method].model_dump(mode="json", exclude={"preset"}) | {"crop_px": None}
    settings = lesion_settings() | {"tasks": [], "primary": None, "stratify": "none", "similarity": ["mae"]}
    settings |= {"direction": {"source": source, "target": target}}
    settings |= {"translators": [{"name": "made", "method": method, "recipe": recipe}]}
    return write_settings(path.parent, settings)


@pytest.mark.parametrize(("back", "mode"), [(False, "RGB"), (True, "L")])
def test_a_mask_becomes_an_image_of_the_targets_channels(tmp_path, back: bool, mode: str) -> None:
    path = study_of_masks(tmp_path, back=back)
    run_here(path, until="report")
    study = read_study(path)
    folder = study.output / "fold0" / "seed0" / "translate" / "made"
    translated = read_manifest(folder / "manifest.csv", root=folder)
    for case in translated:
        assert case.domain == study.direction.target
        with Pillow.open(translated.image_path(case)) as picture:
            assert picture.mode == mode
    trained = open_run(study.output / "fold0" / "seed0" / "train" / "made")
    parent = read_manifest(study.manifest, root=study.data_root)
    wrong = parent.of_domain(study.direction.target).cases[0]
    with pytest.raises(GeometryError, match="G005"):
        trained.translate(read_image(parent.image_path(wrong)))
