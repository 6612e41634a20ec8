"""Rows 40 to 48: manifests, splits, labels and study files."""

from pathlib import Path
from typing import Any

import yaml

from bad_inputs.making import ROWS, alone, command, findings, found, picture, study, task, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.manifests.manifest import read_manifest
from medgan.settings.study import read_study

HEADER = "case_id,subject_id,domain,image\n"


def _rows(**columns: list[Any]) -> list[dict[str, Any]]:
    """The usual rows with further columns."""
    return [row | {name: values[index] for name, values in columns.items()} for index, row in enumerate(ROWS)]


def _table(folder: Path, text: str | bytes) -> Any:
    (folder / "manifest.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_manifest(folder / "manifest.csv", root=folder)


@bad_input(40, gives=HANDLED)
def byte_order_mark(folder: Path) -> str:
    """A manifest that begins with a byte-order mark."""
    text = f"{HEADER}Müller,A,day,a.png\n"
    manifest = _table(folder, b"\xef\xbb\xbf" + text.encode())
    require(manifest.cases[0].case_id == "Müller", "the first column is found and the umlaut kept")
    return "read as UTF-8"


@bad_input(40, gives="M001")
def latin1(folder: Path) -> None:
    """A manifest in Latin-1."""
    _table(folder, f"{HEADER}a,A,day,a.png\nMüller,B,day,b.png\n".encode("latin-1"))


@bad_input(40, gives="M001")
def utf16(folder: Path) -> None:
    """A manifest in UTF-16, as a spreadsheet saves Unicode text."""
    _table(folder, f"{HEADER}a,A,day,a.png\n".encode("utf-16"))


@bad_input(41, gives="M002")
def other_separators(folder: Path) -> Seen:
    """Semicolons, tabs or bars between the columns."""
    texts = [f"{HEADER}a,A,day,a.png\n".replace(",", separator) for separator in ";\t|"]
    return refused([lambda text=text: _table(folder, text) for text in texts], codes="M002")


@bad_input(41, gives="M002")
def decimal_commas(folder: Path) -> Seen:
    """Decimal commas: split by the table's commas, or quoted."""
    header = HEADER.replace("\n", ",age\n")
    texts = [f"{header}a,A,day,a.png,63,5\n", f'{header}a,A,day,a.png,"63,5"\n']
    return refused([lambda text=text: _table(folder, text) for text in texts], codes="M002")


@bad_input(42, gives="M003")
def duplicate_case(folder: Path) -> None:
    """A case_id that stands twice."""
    _table(folder, f"{HEADER}a,A,day,a.png\na,B,day,b.png\n")


@bad_input(42, gives="M043")
def duplicate_image(folder: Path) -> Seen:
    """An image that two rows name."""
    return alone(study(folder, [*ROWS, ROWS[0] | {"case_id": "again"}]), "M043")


@bad_input(42, gives="M007")
def merging_ids(folder: Path) -> None:
    """Subjects `001` and `1`."""
    _table(folder, f"{HEADER}a,001,day,a.png\nb,1,day,b.png\n")


@bad_input(42, gives=HANDLED)
def ids_stay_text(folder: Path) -> str:
    """Ids such as `001`, `1e5` and `NA`."""
    manifest = _table(folder, f"{HEADER}001,007,day,a.png\n1e5,NA,day,b.png\n")
    require([case.case_id for case in manifest] == ["001", "1e5"], "case ids stay text")
    require([case.subject_id for case in manifest] == ["007", "NA"], "subject ids stay text")
    return "they stay as written"


@bad_input(43, gives="M020")
def two_splits(folder: Path) -> Seen:
    """A subject in training and test."""
    splits = ["train", "train", "test", "train", "test", "test"] * 2
    splits[6] = "test"  # P0 is photographed at day in one part, at dusk in the other
    return found(study(folder, _rows(split=splits), folds=1), "M020")


@bad_input(44, gives="M024")
def same_bytes(folder: Path) -> Seen:
    """The same image under two subjects."""
    (picture(folder / "day0.png", seed=1).parent / "day1.png").write_bytes((folder / "day0.png").read_bytes())
    return alone(study(folder), "M024")


@bad_input(44, gives="warning M024")
def same_bytes_allowed(folder: Path) -> Seen:
    """The same image under two subjects, which the study allows."""
    (picture(folder / "day0.png", seed=1).parent / "day1.png").write_bytes((folder / "day0.png").read_bytes())
    path = study(folder, allow_duplicates=True)
    require(all(one.severity == "warning" for one in findings(path)), "no error")
    return found(path, "M024")


@bad_input(44, gives="M024")
def same_pixels(folder: Path) -> Seen:
    """The same pixels under two subjects, in files of two formats."""
    rows = [dict(row) for row in ROWS]
    array = voxels(1, (24, 24, 3)).astype("uint8")
    picture(folder / "day0.png", array)
    picture(folder / "day1.tif", array)
    rows[1]["image"] = "day1.tif"
    return alone(study(folder, rows), "M024")


@bad_input(44, gives="M024")
def same_pixels_prepared(folder: Path) -> None:
    """The same, and `medgan prepare` called on without a check."""
    same_pixels(folder)
    status, said = command("prepare", folder / "study.yaml")
    require(status == 0, said)


@bad_input(45, gives="S002")
def absent_fold(folder: Path) -> None:
    """`run_folds` names a fold that does not exist."""
    read_study(study(folder, run_folds=[2]))


@bad_input(45, gives="M021")
def other_folds(folder: Path) -> Seen:
    """The manifest gives three folds, the study names two."""
    return alone(study(folder, _rows(split=[0, 0, 1, 1, 2, 2] * 2)), "M021")


@bad_input(45, gives="M025")
def half_split(folder: Path) -> Seen:
    """The column split is filled in part."""
    return alone(study(folder, _rows(split=[0, 0, 1, 1, "", ""] * 2)), "M025")


def _graded(folder: Path, grades: list[Any], **columns: list[Any]) -> Path:
    plan = task(task="classification", label="grade", classes=3)
    return study(folder, _rows(grade=grades, **columns), tasks=[plan], folds=3)


@bad_input(46, gives="M046")
def blank_grade(folder: Path) -> Seen:
    """A blank grade."""
    return alone(_graded(folder, [0, 1, 2, 0, 1, 2, 0, "", 2, 0, 1, 2]), "M046")


@bad_input(46, gives="M047")
def grade_out_of_range(folder: Path) -> Seen:
    """A grade out of range."""
    return alone(_graded(folder, [0, 1, 2, 0, 1, 2, 0, 5, 2, 0, 1, 2]), "M047")


@bad_input(46, gives="M005")
def grade_in_words(folder: Path) -> Seen:
    """A grade that is no whole number."""
    return found(_graded(folder, [0, 1, 2, 0, 1, 2, 0, "1.5", 2, 0, 1, 2]), "M005")


@bad_input(46, gives="M047")
def negative_grade(folder: Path) -> Seen:
    """A negative grade, in a study that learns none."""
    return found(study(folder, _rows(grade=[0, 1, -1, 0, 1, 0] * 2)), "M047")


@bad_input(47, gives="M023")
def one_class(folder: Path) -> Seen:
    """One grade in the whole table."""
    return found(_graded(folder, [1] * 12), "M023")


@bad_input(47, gives="warning M023")
def one_class_in_a_fold(folder: Path) -> Seen:
    """One grade in the test part of a fold."""
    return found(_graded(folder, [1, 1, 0, 2, 0, 1] * 2, split=[0, 0, 1, 1, 2, 2] * 2), "M023")


@bad_input(47, gives="M022")
def few_subjects(folder: Path) -> Seen:
    """Four subjects in a domain."""
    return found(study(folder, [row for row in ROWS if row["subject_id"] < "P4"]), "M022")


@bad_input(48, gives="S002")
def unknown_key(folder: Path) -> None:
    """An unknown key deep in a study file, and a value of the wrong type."""
    plan = {"name": "h", "method": "histogram_matching", "recipee": {}}
    read_study(study(folder, translators=[plan], folds="many"))


@bad_input(48, gives="S001")
def no_yaml(folder: Path) -> Seen:
    """A study file that is no YAML, and one that is a list."""
    path = study(folder)
    texts = ["name: [", yaml.safe_dump(["a", "b"]), "name: a\x00b"]

    def read(text: str) -> None:
        path.write_text(text)
        read_study(path)

    return refused([lambda text=text: read(text) for text in texts], codes="S001")
