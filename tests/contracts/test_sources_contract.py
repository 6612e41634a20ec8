"""Laws that every dataset's source keeps.

A new source brings a few lines of its table as ``source_tables/<name>.csv``; without them its tests fail.
"""

import csv
import os
from pathlib import Path

import pytest

from medgan import discover
from medgan.errors import ManifestError
from medgan.manifests.file_checks import check_files
from medgan.manifests.manifest import Manifest, read_manifest, write_manifest

PACKAGE = "medgan.manifests.sources"
TABLES = Path(__file__).parent / "source_tables"
SOURCES = discover.names(PACKAGE)


def lay_out(root: Path, name: str, *, without: str = "") -> None:
    folder = root / discover.load(PACKAGE, name).folder
    folder.mkdir(parents=True)
    with (TABLES / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [column for column in rows[0] if column != without]
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def build(name: str, root: Path) -> Manifest:
    return discover.load(PACKAGE, name).build(root)


@pytest.mark.parametrize("name", SOURCES)
def test_says_what_it_is(name: str) -> None:
    source = discover.load(PACKAGE, name)
    assert all(isinstance(text, str) and len(text) > 3 for text in (source.summary, source.citation, source.licence))
    assert source.folder == name


@pytest.mark.parametrize("name", SOURCES)
def test_a_missing_folder_and_table_are_errors(name: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="M030"):
        build(name, tmp_path)
    (tmp_path / discover.load(PACKAGE, name).folder).mkdir()
    with pytest.raises(ManifestError, match="M031"):
        build(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name in SOURCES for column in discover.load(PACKAGE, name).columns]
)
def test_each_missing_column_is_named(name: str, column: str, tmp_path: Path) -> None:
    lay_out(tmp_path, name, without=column)
    with pytest.raises(ManifestError, match=rf"M032.*expected {column};"):
        build(name, tmp_path)


@pytest.mark.parametrize("name", SOURCES)
def test_cases_are_unique_and_lie_in_the_folder(name: str, tmp_path: Path) -> None:
    lay_out(tmp_path, name)
    manifest = build(name, tmp_path)
    assert len(manifest) >= 2
    assert len({case.case_id for case in manifest}) == len(manifest)
    folder = discover.load(PACKAGE, name).folder
    for case in manifest:
        assert case.image.startswith(f"{folder}/")
        assert case.mask is None or case.mask.startswith(f"{folder}/")
    prefixes = {case.subject_id.split("-")[0] for case in manifest}
    assert len(prefixes) == 1
    assert not prefixes.pop().isdigit()


@pytest.mark.parametrize("name", SOURCES)
def test_manifest_survives_writing(name: str, tmp_path: Path) -> None:
    lay_out(tmp_path, name)
    manifest = build(name, tmp_path)
    write_manifest(manifest, tmp_path / "out.csv")
    again = read_manifest(tmp_path / "out.csv", root=tmp_path)
    assert again == manifest
    assert again.digest == manifest.digest


def test_no_two_sources_share_a_prefix(tmp_path: Path) -> None:
    for name in SOURCES:
        lay_out(tmp_path, name)
    prefixes = [next(iter(build(name, tmp_path))).subject_id.split("-")[0] for name in SOURCES]
    assert len(set(prefixes)) == len(SOURCES)


@pytest.mark.real_data
@pytest.mark.parametrize("name", SOURCES)
def test_real_files_are_all_there(name: str) -> None:
    root = os.environ.get("MEDGAN_DATA")
    if not root:
        pytest.skip("MEDGAN_DATA names no data root")
    if not (Path(root) / name).is_dir():
        pytest.skip(f"no {name} below MEDGAN_DATA")
    manifest = build(name, Path(root))
    columns = {column for case in manifest for column, value in case.extra.items() if value.startswith(f"{name}/")}
    errors = [f for f in check_files(manifest, paths=sorted(columns)) if f.severity == "error"]
    contradictory = 3 if name == "fundus_idrid" else 0  # photographs that its authors published twice, with two grades
    assert [f.code for f in errors] == ["M054"] * contradictory
