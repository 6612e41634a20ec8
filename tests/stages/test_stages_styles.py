"""Several translations of one image: in random styles, or in the style of another image."""

import numpy as np
import pytest
from tiny_studies import lesion_settings, lesion_study, run_here, write_settings
from typer.testing import CliRunner

from medgan import cli
from medgan.errors import GeometryError, MedganError, SettingsError
from medgan.imaging.read import read_image
from medgan.manifests.manifest import read_manifest
from medgan.methods.munit import MUNITRecipe
from medgan.methods.unit import UNITRecipe
from medgan.settings.study import read_study
from medgan.stages.apply import WantedStyles
from medgan.stages.trained import open_run

PLACE = "fold0/seed0/train"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose MUNIT and UNIT have been trained for two steps."""
    folder = tmp_path_factory.mktemp("styles")
    path = lesion_study(folder, subjects=5)
    plans = [
        {"name": name, "method": name, "recipe": recipe.tiny().model_dump(mode="json")}
        for name, recipe in (("munit", MUNITRecipe), ("unit", UNITRecipe))
    ]
    settings = lesion_settings() | {"translators": plans, "tasks": [], "primary": None, "stratify": "none"}
    path = write_settings(path.parent, settings)
    for plan in plans:
        run_here(path, until=f"{PLACE}/{plan['name']}")
    return read_study(path)


@pytest.fixture(scope="module")
def munit(study):
    return open_run(study.output / PLACE / "munit", device="cpu")


@pytest.fixture
def image(study):
    manifest = read_manifest(study.manifest, root=study.data_root)
    return read_image(manifest.image_path(manifest.of_domain("dermoscopy").cases[0]))


@pytest.fixture
def reference(study):
    manifest = read_manifest(study.manifest, root=study.data_root)
    return manifest.image_path(manifest.of_domain("clinical").cases[0])


def say(*words: object) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    if isinstance(result.exception, MedganError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_random_styles_give_different_images_and_the_same_ones_again(munit, image):
    first, second = munit.in_random_styles(2, seed=3)
    one, two = first.translate(image), second.translate(image)
    assert one.pixels.shape == image.pixels.shape
    assert not np.array_equal(one.pixels, two.pixels)
    assert not np.array_equal(one.pixels, munit.translate(image).pixels)
    again = munit.in_random_styles(5, seed=3)[1]
    assert again == second
    assert np.array_equal(again.translate(image).pixels, two.pixels)


def test_the_derivation_says_which_style(munit, reference):
    second = munit.in_random_styles(2, seed=3)[1]
    assert second.derivation.method == "munit (style 1 of seed 3)"
    assert munit.in_style_of(read_image(reference)).derivation.method == "munit (style of a reference image)"
    assert munit.derivation.method == "munit"


def test_the_style_of_an_image_is_used_towards_its_domain_alone(munit, image, reference):
    styled = munit.in_style_of(read_image(reference))
    assert not np.array_equal(styled.translate(image).pixels, munit.translate(image).pixels)
    with pytest.raises(SettingsError, match="S221"):
        styled.translate(image, to="dermoscopy")
    back = munit.in_style_of(image, domain="dermoscopy")
    assert back.translate(read_image(reference), to="dermoscopy").pixels.shape[0] == 3


def test_a_reference_of_other_channels_is_refused(munit, tmp_path):
    from PIL import Image as Pillow

    Pillow.new("L", (32, 32), 128).save(tmp_path / "grey.png")
    with pytest.raises(GeometryError, match=r"G005.*got 1; expected 3"):
        munit.in_style_of(read_image(tmp_path / "grey.png"))


def test_a_method_without_styles_is_named(study, image):
    unit = open_run(study.output / PLACE / "unit", device="cpu")
    assert unit.translate(image).pixels.shape == image.pixels.shape
    with pytest.raises(SettingsError, match=r"S220.*unit: the method has no styles"):
        unit.in_random_styles(2, seed=0)
    with pytest.raises(SettingsError, match="S220"):
        unit.in_style_of(image)


def test_the_command_writes_a_manifest_for_each_style(study, tmp_path):
    where = ["--run", study.output / PLACE / "munit", "--manifest", study.manifest, "--data-root", study.data_root]
    output = say("translate", *where, "--out", tmp_path, "--styles", 2, "--style-seed", 5)
    assert output.count("5 cases translated") == 2
    made = [read_manifest(tmp_path / f"style_{n}" / "manifest.csv", root=tmp_path / f"style_{n}") for n in range(2)]
    one, two = (read_image(manifest.image_path(manifest.cases[0])) for manifest in made)
    assert made[0].domains == made[1].domains == ("clinical",)
    assert not np.array_equal(one.pixels, two.pixels)


def test_the_command_takes_the_style_of_an_image(study, munit, image, reference, tmp_path):
    where = ["--run", study.output / PLACE / "munit", "--manifest", study.manifest, "--data-root", study.data_root]
    assert "5 cases translated" in say("translate", *where, "--out", tmp_path, "--style-of", reference)
    translated = read_manifest(tmp_path / "manifest.csv", root=tmp_path)
    found = read_image(translated.image_path(translated.cases[0])).pixels
    expected = munit.in_style_of(read_image(reference)).translate(image).pixels
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_both_at_once_are_refused(reference):
    with pytest.raises(SettingsError, match="S222"):
        WantedStyles(random=2, like=reference)
