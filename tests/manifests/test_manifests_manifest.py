import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgan.errors import ManifestError
from medgan.manifests.manifest import Case, Manifest, parse_manifest, read_manifest, write_manifest

HEADER = "case_id,subject_id,domain,image,mask,grade,note\n"
ROOT = Path("data")


def file_of(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "study.csv"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_ids_stay_strings_and_blanks_are_none(tmp_path: Path) -> None:
    manifest = read_manifest(file_of(tmp_path, "001,007,ct,a/./b.png,,,x", "002,007,mr,c.png,m.png,3,"), root=ROOT)
    first, second = manifest
    assert (first.case_id, first.subject_id, first.image, first.mask, first.grade) == (
        "001",
        "007",
        "a/b.png",
        None,
        None,
    )
    assert (second.mask, second.grade, second.extra, second.row) == ("m.png", 3, {"note": ""}, 3)
    assert manifest.image_path(second) == Path("data/c.png")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("a,s,d,i.png,,,", "a,s,d,j.png,,,"), r"M003.*rows 2 and 3.*'a' stands twice"),
        (("a,,d,i.png,,,",), r"M002.*row 2: subject_id is blank"),
        (("a,s,d,i.png,,2.0,",), r"M005.*row 2: grade is not a whole number; got '2.0'"),
        (("a,s,d,i.png,,1_0,",), r"M005"),
        (("a,s,d,i.png,,-1,",), r"M047.*row 2: grade is out of range; got -1; expected a whole number from 0"),
        (("a,s,d,../i.png,,,",), r"M006.*image leaves the data root"),
        (("a,s,d,x/../../i.png,,,",), r"M006"),
        (("a,s,d,/etc/i.png,,,",), r"M006"),
        (("a,s,d,i.png,..\\m.png,,",), r"M006.*mask leaves"),
        (("a,s,d,C:\\i.png,,,",), r"M006"),
        (("../../a,s,d,i.png,,,",), r"M006.*case_id leaves"),
        (("a,001,d,i.png,,,", "b,1,d,j.png,,,"), r"M007.*rows 2 and 3.*'001' and '1' are the same number"),
        (("a,1.0,d,i.png,,,", "b,1,d,j.png,,,"), r"M007"),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(file_of(tmp_path, *rows), root=ROOT)


def test_ids_may_hold_colons_and_markup(tmp_path: Path) -> None:
    (case,) = read_manifest(file_of(tmp_path, "A:1,<b>x</b>,d,i.png,,,"), root=ROOT)
    assert (case.case_id, case.subject_id) == ("A:1", "<b>x</b>")


def test_every_bad_row_is_listed_in_one_pass(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a,s,d,../i.png,,,", "b,s,d,i.png,,x,", "c,s,d,i.png,,,", "c,s,d,j.png,,,")
    cases, errors = parse_manifest(path)
    assert [case.case_id for case in cases] == ["c", "c"]
    assert [error.code for error in errors] == ["M006", "M005", "M003"]


def test_domain_that_is_not_there() -> None:
    manifest = Manifest(cases=(Case(case_id="a", subject_id="s", domain="ct", image="i"),), root=ROOT)
    with pytest.raises(ManifestError, match=r"M004.*'mr'.*one of ct"):
        manifest.of_domain("mr")


def test_translated_manifest_keeps_its_parent_and_run(tmp_path: Path) -> None:
    cases = (Case(case_id="a", subject_id="s", domain="ct", image="i"),)
    translated = Manifest(cases=cases, root=ROOT, parent="abc", run="r1")
    path = tmp_path / "out" / "m.csv"
    write_manifest(translated, path)
    assert read_manifest(path, root=ROOT) == translated
    write_manifest(Manifest(cases=cases, root=ROOT), path)
    assert read_manifest(path, root=ROOT).parent is None


def test_table_changed_after_its_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    cases = (Case(case_id="a", subject_id="s", domain="ct", image="i"),)
    write_manifest(Manifest(cases=cases, root=ROOT, parent="abc"), path)
    path.write_text(path.read_text().replace(",ct,", ",mr,"))
    with pytest.raises(ManifestError, match=r"M008.*not the one its JSON"):
        read_manifest(path, root=ROOT)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps("x")])
def test_broken_json_is_refused(tmp_path: Path, text: str) -> None:
    path = file_of(tmp_path, "a,s,d,i.png,,,")
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ManifestError, match="M008"):
        read_manifest(path, root=ROOT)


# ids that differ only in capitals or in a number of spaces are refused
WORD = st.text(string.ascii_lowercase + string.digits + " ,;\"'<>é|-", min_size=1, max_size=8).map(
    lambda text: " ".join(("x" + text).split())
)
CASES = st.lists(
    st.builds(
        Case,
        case_id=WORD,
        subject_id=WORD,
        domain=WORD,
        image=WORD,
        mask=st.none() | WORD,
        grade=st.none() | st.integers(0, 9),
        quality=st.none() | st.integers(0, 2),
        pair_id=st.none() | WORD,
        split=st.none() | st.sampled_from(["train", "0"]),
        extra=st.fixed_dictionaries({"note": WORD}),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda case: case.case_id,
)


@given(cases=CASES)
def test_reading_gives_back_what_was_written(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> None:
    manifest = Manifest(cases=tuple(cases), root=ROOT)
    path = tmp_path_factory.mktemp("m") / "m.csv"
    write_manifest(manifest, path)
    again = read_manifest(path, root=ROOT)
    assert again == manifest
    assert again.digest == manifest.digest
