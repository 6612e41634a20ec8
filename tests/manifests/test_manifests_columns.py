"""Columns that are another one misspelt, and ids that a spreadsheet has changed."""

from pathlib import Path

import pytest

from medgan.errors import ManifestError
from medgan.manifests.checks import Needs, check_table
from medgan.manifests.columns import misspelt
from medgan.manifests.manifest import parse_manifest, read_manifest

ROOT = Path("data")


def table(folder: Path, *lines: str) -> Path:
    path = folder / "study.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("case_id,subject_id,domain, Image ", r"M002.*missing: image;.*rename ' Image ' to 'image'"),
        ("case_id,subject,domain,image", r"M002.*missing: subject_id;.*rename 'subject' to 'subject_id'"),
        ("Case ID,subject_id,domian,image", r"M002.*rename 'Case ID' to 'case_id'; rename 'domian' to 'domain'"),
        ("case_id,subject_id,domain,image, Mask", r"M013.*' Mask'; expected 'mask'"),
        ("case_id,subject_id,domain,image,PairID", r"M013.*'PairID'; expected 'pair_id'"),
    ],
)
def test_other_spellings_are_named_with_the_right_one(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(table(tmp_path, header, "a,s,d,i.png,m.png"), root=ROOT)


@pytest.mark.parametrize(("column", "meant"), [("masks", "mask"), ("vol", "volume"), ("qualty", "quality")])
def test_a_column_that_is_not_read_but_looks_so_is_told(tmp_path: Path, column: str, meant: str) -> None:
    path = table(tmp_path, f"case_id,subject_id,domain,image,{column}", "a,s,d,i.png,1")
    (found,) = [one for one in check_table(path, root=tmp_path, needs=Needs()) if one.code == "M014"]
    assert found.severity == "warning"
    assert repr(column) in found.message
    assert repr(meant) in found.message
    named = check_table(path, root=tmp_path, needs=Needs(paths=(column,)))
    assert "M014" not in {one.code for one in named}


def test_a_second_mask_beside_the_first_is_nobodys_mistake(tmp_path: Path) -> None:
    path = table(tmp_path, "case_id,subject_id,domain,image,mask,mask2,age,sex", "a,s,d,i.png,m.png,n.png,3,f")
    assert "M014" not in {one.code for one in check_table(path, root=tmp_path, needs=Needs())}
    assert misspelt(["age", "sex", "fitzpatrick", "lesion_id", "eye"], wanted="grade") is None


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        (("7.0", "8.0"), "M012"),
        (("1.2E+11", "x"), "M012"),
        (("2024-01-05", "x"), "M012"),
        (("05.01.2024", "x"), "M012"),
        (("1/5/24", "x"), "M012"),
        (("5-Jan", "x"), "M012"),
        (("Mar-01", "x"), "M012"),
        (("#REF!", "x"), "M012"),
        (("S001", "s001"), "M007"),
        (("Mu\u0308ller", "M\u00fcller"), "M007"),
        (("a b", "a\u00a0b"), "M007"),
        (("a\u200bb", "x"), "M011"),
        (("J\ufffdrg", "x"), "M011"),
        (("a\x1b[31m", "x"), "M011"),
    ],
)
def test_ids_that_are_not_what_they_were(tmp_path: Path, ids: tuple[str, str], code: str) -> None:
    lines = [f"c{n},{name},d,{n}.png" for n, name in enumerate(ids)]
    _, errors = parse_manifest(table(tmp_path, "case_id,subject_id,domain,image", *lines))
    assert [error.code for error in errors] == [code]


@pytest.mark.parametrize(
    "name", ["1e5", "NA", "001", "1-2-3", "12.3.4", "sub-01", "IXI102-HH-1416", "2024", "E10", "may"]
)
def test_ids_that_are_fine(tmp_path: Path, name: str) -> None:
    path = table(tmp_path, "case_id,subject_id,domain,image", f"{name},{name},d,i.png")
    assert read_manifest(path, root=ROOT).cases[0].subject_id == name


def test_mangled_ids_are_one_finding_a_column(tmp_path: Path) -> None:
    lines = [f"c{n},{n}.0,d,{n}.png" for n in range(100)]
    _, (error,) = parse_manifest(table(tmp_path, "case_id,subject_id,domain,image", *lines))
    assert "rows 2, 3, 4 and 97 more" in str(error)


def test_a_grade_from_a_data_frame_says_how_to_write_it(tmp_path: Path) -> None:
    _, (error, long) = parse_manifest(
        table(tmp_path, "case_id,subject_id,domain,image,grade", "a,s,d,i.png,2.0", f"b,t,d,j.png,{'9' * 5000}")
    )
    assert (error.code, error.remedy) == ("M005", "write 2")
    assert long.code == "M005"
