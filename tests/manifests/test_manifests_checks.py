import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from medgan.errors import GeometryError
from medgan.manifests.checks import LabelNeed, Needs, check_folds, check_manifest, check_table
from medgan.manifests.file_checks import check_files
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.folds import Folds
from medgan.manifests.manifest import Case, Manifest

Make = Callable[..., Case]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir()
    return place


@pytest.fixture
def make(root: Path) -> Make:
    """Make a case and its files; each image has its own bytes."""

    def _make(name: str, **fields: object) -> Case:
        values = {"case_id": name, "subject_id": f"s-{name}", "domain": "a", "image": f"{name}.png", **fields}
        for column in ("image", "mask"):
            if values.get(column):
                path = root / str(values[column])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(f"pixels of {name} {column}".encode())
        return Case(**values)

    return _make


def study(root: Path, *cases: Case) -> Manifest:
    return Manifest(cases=cases, root=root)


def codes(findings: list[Finding]) -> list[str]:
    return sorted(finding.code for finding in findings)


def only(findings: list[Finding], code: str) -> Finding:
    assert codes(findings) == [code], [str(finding) for finding in findings]
    return findings[0]


def test_sound_study_has_no_findings(root: Path, make: Make) -> None:
    cases = [
        make(f"{domain}{n}", subject_id=f"s{n}", domain=domain, pair_id=f"p{n}", grade=n % 2, mask=f"m/{domain}{n}.png")
        for domain in "ab"
        for n in range(5)
    ]
    needs = Needs(
        domains=("a", "b"),
        labels=(LabelNeed(column="grade", classes=2, domains=("a",)),),
        masks=("a", "b"),
        pairs=("a", "b"),
        folds=5,
    )
    assert check_manifest(study(root, *cases), needs=needs) == []


def test_missing_file_names_row_and_column(root: Path, make: Make) -> None:
    case = make("x", mask="m.png", row=7)
    (root / "m.png").unlink()
    found = only(check_files(study(root, case)), "M040")
    assert found.where == "row 7 (case x), mask"
    assert "m.png" in found.message


@pytest.mark.parametrize("written", ["scans\\Á.png", "Scans/á.PNG", "scans/A\u0301.png"])
def test_a_path_of_another_system_is_named_as_it_is_here(
    root: Path, make: Make, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("x", image="scans/Á.png")
    found = only(check_files(study(root, Case(case_id="y", subject_id="s", domain="a", image=written))), "M040")
    assert "Á" not in found.remedy
    assert "--show-paths names it" in found.remedy
    monkeypatch.setenv("MEDGAN_SHOW_PATHS", "1")
    found = only(check_files(study(root, Case(case_id="y", subject_id="s", domain="a", image=written))), "M040")
    assert found.remedy == "write scans/Á.png"


def test_two_volumes_of_one_file_are_two_images(root: Path, make: Make) -> None:
    first = make("x", volume=0)
    assert check_files(study(root, first, make("y", image="x.png", volume=1))) == []
    only(check_files(study(root, first, make("z", image="x.png", volume=0))), "M043")


@pytest.mark.parametrize("kind", ["file", "folder", "inside"])
def test_link_out_of_the_root(root: Path, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "1.dcm").write_bytes(b"secret")
    case = Case(case_id="x", subject_id="s", domain="a", image="scan")
    if kind == "file":
        (root / "scan").symlink_to(outside / "1.dcm")
    elif kind == "folder":
        (root / "scan").symlink_to(outside)
    else:
        (root / "scan").mkdir()
        (root / "scan" / "1.dcm").symlink_to(outside / "1.dcm")
    only(check_files(study(root, case)), "M041")


def test_link_within_the_root_is_fine(root: Path, make: Make) -> None:
    make("x")
    (root / "link.png").symlink_to(root / "x.png")
    assert check_files(study(root, Case(case_id="l", subject_id="s", domain="a", image="link.png"))) == []


def test_path_that_climbs_is_found_in_a_manifest_made_in_memory(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"x")
    only(check_files(study(root, Case(case_id="x", subject_id="s", domain="a", image="../out.png"))), "M006")


@pytest.mark.parametrize("folder", [True, False])
def test_empty_file_and_folder(root: Path, *, folder: bool) -> None:
    if folder:
        (root / "x").mkdir()
    else:
        (root / "x").touch()
    found = only(check_files(study(root, Case(case_id="x", subject_id="s", domain="a", image="x"))), "M042")
    assert found.remedy == "copy it again"


def test_further_paths_are_checked_where_asked(root: Path, make: Make) -> None:
    case = make("x", extra={"mask2": "none.png"})
    assert check_files(study(root, case)) == []
    assert only(check_files(study(root, case), paths=("mask2",)), "M040").where.endswith("mask2")


def test_one_image_in_two_rows(root: Path, make: Make) -> None:
    first = make("x")
    found = only(check_files(study(root, first, make("y", image="x.png"))), "M043")
    assert found.where == "case x and case y"


@pytest.mark.parametrize("allowed", [True, False])
def test_same_bytes_under_two_subjects(root: Path, make: Make, *, allowed: bool) -> None:
    cases = [make("x", grade=1), make("y", grade=2), make("z")]
    (root / "y.png").write_bytes((root / "x.png").read_bytes())
    found, conflict = check_files(study(root, *cases), allow_duplicates=allowed)
    assert (found.code, found.severity) == ("M024", "warning" if allowed else "error")
    assert ("override" in found.message) is allowed
    assert (conflict.code, conflict.severity) == ("M054", "error")
    assert "grade differs: 1 and 2" in conflict.message
    assert {found.where, conflict.where} == {"case x and case y"}


def test_same_bytes_in_one_subject_are_a_warning(root: Path, make: Make) -> None:
    cases = [make("x", subject_id="s"), make("y", subject_id="s")]
    (root / "y.png").write_bytes((root / "x.png").read_bytes())
    assert only(check_files(study(root, *cases)), "M028").severity == "warning"


def test_same_series_under_two_subjects(root: Path) -> None:
    for folder, order in (("p", "12"), ("q", "12"), ("r", "21")):
        (root / folder).mkdir()
        for name, content in zip("ab", order, strict=True):
            (root / folder / name).write_text(content)
    cases = [Case(case_id=name, subject_id=name, domain="a", image=name) for name in "pqr"]
    assert only(check_files(study(root, *cases)), "M024").where == "case p and case q"


def test_domains_absent_and_small(root: Path, make: Make) -> None:
    manifest = study(root, *(make(f"x{n}") for n in range(4)))
    findings = check_manifest(manifest, needs=Needs(domains=("a", "b"), folds=3))
    assert codes(findings) == ["M004", "M022"]
    assert only(check_manifest(manifest, needs=Needs()), "M022").severity == "warning"


def test_fewer_subjects_than_folds(root: Path, make: Make) -> None:
    manifest = study(root, *(make(f"x{n}") for n in range(6)))
    found = only(check_manifest(manifest, needs=Needs(folds=10)), "M022")
    assert "got 6; expected at least 10" in found.message
    assert found.severity == "error"


def test_every_row_of_a_subject_in_two_splits(root: Path, make: Make) -> None:
    splits = ["0", "1", "0", "1", None]
    cases = [make(f"x{n}", subject_id="s" if n < 5 else f"s{n}", split=split) for n, split in enumerate(splits)]
    cases += [make(f"y{n}", split="0") for n in range(5)]
    findings = check_manifest(study(root, *cases), needs=Needs())
    assert codes(findings) == ["M020"] * 3
    assert findings[0].where == "case x0 and case x1"


def test_every_bad_grade_is_listed(root: Path, make: Make) -> None:
    grades = [0, 1, None, 5, -1, 4]
    cases = [make(f"x{n}", grade=grade) for n, grade in enumerate(grades)]
    need = LabelNeed(column="grade", classes=5, domains=("a",))
    findings = check_manifest(study(root, *cases), needs=Needs(labels=(need,)))
    assert [(finding.code, finding.where) for finding in findings] == [
        ("M046", "case x2"),
        ("M047", "case x3"),
        ("M047", "case x4"),
    ]


def test_one_class_only(root: Path, make: Make) -> None:
    cases = [make(f"x{n}", quality=1) for n in range(5)]
    need = LabelNeed(column="quality", classes=2, domains=("a",))
    assert "[1]" in only(check_manifest(study(root, *cases), needs=Needs(labels=(need,))), "M023").message


def test_masks_are_missed_only_where_a_task_needs_them(root: Path, make: Make) -> None:
    cases = [make(f"x{n}", mask=None if n == 2 else f"m{n}.png") for n in range(5)]
    assert check_manifest(study(root, *cases), needs=Needs()) == []
    assert only(check_manifest(study(root, *cases), needs=Needs(masks=("a",))), "M045").where == "case x2"


def test_incomplete_pairs(root: Path, make: Make) -> None:
    pairs = [
        make(f"{domain}{n}", domain=domain, subject_id=f"s{n}", pair_id=f"p{n}") for n in range(5) for domain in "ab"
    ]
    odd = [
        make("alone", pair_id="q"),
        make("blank"),
        make("t1", pair_id="r"),
        make("t2", pair_id="r"),
        make("u", pair_id="u", subject_id="one"),
        make("v", pair_id="u", subject_id="two", domain="b"),
    ]
    findings = check_manifest(study(root, *pairs, *odd), needs=Needs(pairs=("a", "b")))
    assert [(finding.code, finding.where) for finding in findings] == [
        ("M044", "case blank"),
        ("M044", "case alone"),
        ("M044", "case t1 and case t2"),
        ("M049", "case u and case v"),
    ]


def test_folds_with_one_class(root: Path, make: Make) -> None:
    manifest = study(
        root, *(make(name, subject_id=name, grade=grade) for name, grade in zip("abcd", (0, 0, 0, 1), strict=True))
    )
    folds = Folds(tests=(frozenset("ab"), frozenset("cd")), subjects=frozenset("abcd"), manifest="")
    need = LabelNeed(column="grade", classes=2, domains=("a",))
    findings = check_folds(folds, manifest, need=need)
    assert [(finding.severity, finding.where) for finding in findings] == [("error", "fold 1"), ("warning", "fold 0")]


def test_table_with_bad_rows_is_checked_in_one_pass(root: Path, make: Make, tmp_path: Path) -> None:
    make("x")
    path = tmp_path / "study.csv"
    path.write_text(
        "case_id,subject_id,domain,image,grade\n"
        "x,s1,a,x.png,0\ny,s2,a,../y.png,0\nz,s3,a,z.png,zero\nw,s4,a,w.png,9\nx,s5,a,v.png,1\n"
    )
    need = LabelNeed(column="grade", classes=5, domains=("a",))
    findings = check_table(path, root=root, needs=Needs(labels=(need,)))
    assert codes(findings) == ["M003", "M005", "M006", "M022", "M040", "M040", "M047"]
    assert any(finding.where == "study.csv row 3" for finding in findings)


def test_file_that_is_no_table_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text("case_id;subject_id\n1;2\n")
    assert "';' separators" in only(check_table(path, root=tmp_path, needs=Needs()), "M002").message


def test_error_becomes_a_finding() -> None:
    error = GeometryError("G003", "shapes differ", where="case x", got="(1,)", expected="(2,)", remedy="resample")
    found = finding_of(error)
    assert str(found) == "error [G003] case x: shapes differ; got (1,); expected (2,); resample"
    assert found.severity == "error"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("../Secretname.png", r"a path with \.\."),
        ("/home/Secretname.png", "an absolute path"),
        ("C:\\Secretname.png", "an absolute path"),
        ("\\\\server\\Secretname.png", "an absolute path"),
        ("Secretname\0.png", "a path with a NUL"),
    ],
)
def test_a_path_that_leads_out_is_described_and_not_told(
    root: Path, written: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(case_id="x", subject_id="s", domain="a", image=written)
    found = only(check_files(study(root, case)), "M006")
    assert re.search(told, found.message)
    assert "Secretname" not in str(found)
    monkeypatch.setenv("MEDGAN_SHOW_PATHS", "1")
    assert "Secretname" in str(only(check_files(study(root, case)), "M006"))


def test_twins_are_named_by_their_rows_alone(root: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make("x", image="Secretname.png"), make("y", image="Othername.png", subject_id="other")
    (root / two.image).write_bytes((root / one.image).read_bytes())
    found = only(check_files(study(root, one, two)), "M024")
    assert "name" not in found.message.replace("under two subjects", "")
    monkeypatch.setenv("MEDGAN_SHOW_PATHS", "1")
    assert "Secretname.png and Othername.png" in only(check_files(study(root, one, two)), "M024").message


def test_a_named_pipe_is_called_one(root: Path, make: Make) -> None:
    os.mkfifo(root / "pipe.png")
    found = only(check_files(study(root, Case(case_id="x", subject_id="s", domain="a", image="pipe.png"))), "M059")
    assert "a named pipe" in found.message


def test_pairs_are_compared_with_their_voxels(root: Path) -> None:
    for name, voxels in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        (root / f"{name}.hdr").write_bytes(b"the same header")
        (root / f"{name}.IMG").write_bytes(voxels)
    a, b, c = (Case(case_id=n, subject_id=n, domain="a", image=f"{n}.hdr") for n in "abc")
    assert check_files(study(root, a, b)) == []
    only(check_files(study(root, a, c)), "M024")
