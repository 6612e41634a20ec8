"""Names of modules, and what is said on a miss."""

import sys

import pytest

from medgan import discover
from medgan.errors import DiscoverError


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "toy_package_of_discover"
    folder.mkdir()
    for name in ("__init__", "beta", "alpha", "_private"):
        (folder / f"{name}.py").write_text(f"name = {name!r}\n")
    (folder / "notes.txt").write_text("no module")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_public_modules_are_listed_sorted(package):
    assert discover.names(package.name) == ["alpha", "beta"]


def test_a_new_file_is_found(package):
    (package / "gamma.py").write_text("name = 'gamma'\n")
    assert discover.load(package.name, "gamma").name == "gamma"


@pytest.mark.parametrize("name", ["_private", "__init__", "alpha.x", "", "../alpha"])
def test_only_listed_names_are_imported(package, name):
    with pytest.raises(DiscoverError, match=r"D001.*expected one of alpha, beta"):
        discover.load(package.name, name)


def test_a_near_name_is_offered():
    with pytest.raises(DiscoverError, match=r"D001.*no methods named 'cyclegn'.*did you mean 'cyclegan'"):
        discover.load("medgan.methods", "cyclegn")
    with pytest.raises(DiscoverError, match=r"D001.*choose one of these or add the file"):
        discover.load("medgan.methods", "zzz")
