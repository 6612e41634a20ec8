"""A method is one file: dropped into ``methods/`` it is listed and passes the contract tests, with no other edit."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_studies import clean_environment

ROOT = Path(__file__).parents[2]

TOY = '''\
"""Toy: every pixel goes through one small map, fitted on pairs."""

from collections.abc import Iterator
from typing import ClassVar, Self

from torch import Tensor, nn

from medgan.errors import SettingsError
from medgan.losses.reconstruction import l1
from medgan.settings.recipe import Recipe
from medgan.training.learner import Batch, Turn
from medgan.training.translator import Domain, SampleShape, Translator


class ToyRecipe(Recipe):
    """One weight more than every recipe has."""

    weight_l1: float = 100.0

    @classmethod
    def tiny(cls) -> Self:
        """Two steps."""
        return cls(total_steps=2, crop_px=32)


class Toy(Translator):
    """Two layers that see one pixel at a time."""

    summary = "A map of grey values"
    paper = "Nobody, never"
    needs_pairs = True
    recipe_type = ToyRecipe
    groups: ClassVar = {"generator": ("g_ab",)}

    def __init__(self, recipe: ToyRecipe, *, shape: SampleShape) -> None:
        super().__init__(recipe, shape=shape)
        first = nn.Conv2d(shape.channels * shape.neighbours, 32, 1)
        self.g_ab = nn.Sequential(first, nn.ReLU(), nn.Conv2d(32, shape.channels, 1), nn.Tanh())

    def training_step(self, batch: Batch) -> Iterator[Turn]:
        """One turn: the generator comes nearer to the true image."""
        fake_b, real_b = self.g_ab(batch["a"]), self.middle(batch["b"])
        yield Turn("generator", {"reconstruction": self.recipe.weight_l1 * l1(fake_b, real_b)})

    def translate(self, image: Tensor, *, to: Domain) -> Tensor:
        """The middle slice, mapped."""
        if to != "b":
            raise SettingsError("S999", "toy translates one way only")
        return self.g_ab(image)


method = Toy
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package and its contract for methods, with one file more; and how it is run."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "medgan", folder / "medgan", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "contracts").mkdir()
    shutil.copyfile(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    shutil.copyfile(Path(__file__).with_name("test_methods_contract.py"), folder / "contracts" / "test_methods.py")
    (folder / "medgan" / "methods" / "toy.py").write_text(TOY, encoding="utf-8")

    def run(*words):
        command = [sys.executable, *words]
        environment = clean_environment() | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    assert run("-c", "import medgan; print(medgan.__file__)").stdout.startswith(str(folder))
    return run


@pytest.mark.multiprocess
def test_it_is_listed(copy):
    done = copy("-m", "medgan", "methods")
    assert done.returncode == 0, done.stderr
    assert re.search(r"toy\s+│ yes\s+│ A map of grey values", done.stdout), done.stdout


@pytest.mark.multiprocess
def test_its_recipe_has_a_schema(copy):
    done = copy("-m", "medgan", "schema", "--method", "toy")
    assert '"weight_l1"' in done.stdout


@pytest.mark.multiprocess
def test_it_passes_the_contract(copy):
    done = copy("-m", "pytest", "contracts", "-k", "toy", "-q", "-p", "no:cacheprovider", "-rs")
    assert done.returncode == 0, done.stdout
    counted = re.search(r"(\d+) passed", done.stdout)
    assert counted, done.stdout
    assert int(counted.group(1)) >= 12
    assert "skipped" not in done.stdout.splitlines()[-1]


@pytest.mark.multiprocess
def test_a_faulty_one_does_not_pass(copy):
    """Else the test above would show nothing."""
    folder = Path(copy("-c", "import medgan; print(medgan.__file__)").stdout.strip()).parents[1]
    path = folder / "medgan" / "methods" / "toy.py"
    path.write_text(TOY.replace("return self.g_ab(image)", "return 20 * self.g_ab(image)"), encoding="utf-8")
    try:
        done = copy("-m", "pytest", "contracts", "-k", "toy and in_range", "-q", "-p", "no:cacheprovider")
    finally:
        path.write_text(TOY, encoding="utf-8")
    assert done.returncode == 1, done.stdout
