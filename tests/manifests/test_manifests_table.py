from pathlib import Path

import pytest

from medgan.errors import ManifestError
from medgan.manifests import table_text
from medgan.manifests.table import read_table, scan_table


def table(folder: Path, content: bytes | str) -> Path:
    path = folder / "study.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_values_stay_text_and_rows_count_as_in_a_spreadsheet(tmp_path: Path) -> None:
    rows = read_table(table(tmp_path, 'a,b\r\n001,1.50\r\n\r\n"two\nlines",x\r\n'), required=("a",))
    assert [(row.number, row.values) for row in rows] == [
        (2, {"a": "001", "b": "1.50"}),
        (4, {"a": "two\nlines", "b": "x"}),
    ]


def test_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert read_table(table(tmp_path, b"\xef\xbb\xbfa\n1\n"), required=("a",))[0].values == {"a": "1"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nx\nJ\xe9r\n", r"M001.*row 3.*byte 0xe9 at offset 5"),
        (b"\xef\xbb\xbfa\nJ\xe9r\n", r"M001.*row 2.*byte 0xe9 at offset 6"),
        ("a\nx\n".encode("utf-16"), r"M001.*UTF-16"),
        (b"", r"M002.*empty"),
        (b"a,b\n", r"M002.*no rows"),
        (b"a;b\n1;2\n", r"M002.*';' separators in 'a;b'"),
        (b"a\tb\n1\t2\n", r"M002.*tab separators"),
        (b"x,y\n1,2\n", r"M002.*missing: a;.*columns 'x', 'y'"),
        (b"a,a\n1,2\n", r"M002.*a column stands twice"),
        (b"a,b\n1,2\n1,2,3\n", r"M002.*row 3.*got 3: '1,2,3'.*expected 2"),
        (b'a,b\n1,"0,466"\n', r"M002.*row 2: decimal comma in column 'b'; got '0,466'; expected '0.466'"),
        (b'a,b\n1,"open\n2,3\n', r"M002.*row 2: not readable as CSV.*lines 2 to 3"),
        (b"a,b\n1;2\n", r"M002.*row 2.*got 1 with ';' separators: '1;2'"),
        (b"sep=;\na;b\n1;2\n", r"M002.*';' separators in 'sep=;'"),
        ("a,b\n1,2\n".encode("utf-16-le"), r"M001.*8 NUL bytes"),
        (b"a,,\n1,,x\n", r"M002.*row 2: a value in a column without a name"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_table(table(tmp_path, content), required=("a",))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="M000"):
        read_table(tmp_path / "none.csv", required=())


def test_every_bad_row_is_listed_and_the_good_ones_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, 'a,b\n1,2\n1,2,3\n4,5\n"x"y,6\n7\n8,9\n')
    found = scan_table(path, required=("a",))
    assert [row.values["a"] for row in found.rows] == ["1", "4", "8"]
    assert [error.where for error in found.errors] == ["study.csv row 3", "study.csv row 5", "study.csv row 6"]


def test_blank_rows_and_columns_of_a_spreadsheet_are_no_rows(tmp_path: Path) -> None:
    found = scan_table(table(tmp_path, "a,b,,\n1,2,,\n,,,\n   \n\n3,4,,\n"), required=("a",))
    assert found.errors == []
    assert [(row.number, row.values) for row in found.rows] == [(2, {"a": "1", "b": "2"}), (6, {"a": "3", "b": "4"})]


def test_a_file_too_large_for_a_table_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_text, "_LARGEST_BYTES", 3)
    with pytest.raises(ManifestError, match=r"M016.*at most"):
        read_table(table(tmp_path, "a,b\n"), required=())


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"M000.*a folder"):
        read_table(tmp_path, required=())
