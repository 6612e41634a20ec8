"""Every bad input gets what it must, and docs/bad-inputs.md says what it gets."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))

import make_bad_inputs
from bad_inputs.trial import HANDLED, BadInput, Seen, bad_inputs, complaint, refused, require, try_one

from medgan.errors import ReadError

ALL = bad_inputs()
SEEN: dict[str, Seen] = {}


def seen(one: BadInput) -> Seen:
    """Try it once; the page's test needs all of them again."""
    if one.name not in SEEN:
        SEEN[one.name] = try_one(one)
    return SEEN[one.name]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_a_bad_input_gets_what_it_must(one):
    assert complaint(one, seen(one)) == ""


def test_the_page_says_what_they_get():
    text = make_bad_inputs.PAGE.read_text(encoding="utf-8")
    assert make_bad_inputs.page([(one, seen(one)) for one in ALL]) == text, "run python docs/make_bad_inputs.py"


def test_every_row_of_the_list_is_tried_or_left_for_later():
    assert make_bad_inputs.missing_rows([(one, seen(one)) for one in ALL if one.row != 31]) == [31]


def test_names_are_unique():
    assert len({one.name for one in ALL}) == len(ALL) > 100


def trial(gives, make_and_try):
    return BadInput(row=1, what="x", gives=gives, make_and_try=make_and_try)


def raising(error):
    def make_and_try(folder):
        raise error

    return make_and_try


@pytest.mark.parametrize(
    ("gives", "make_and_try", "outcome"),
    [
        ("R004", raising(ReadError("R004", "cut")), ""),
        ("R004", raising(ReadError("R005", "damaged")), "expected R004, got error R005"),
        ("R004", lambda folder: "read", "expected R004, got handled"),
        ("R004", lambda folder: None, "read without an error"),
        ("R004", lambda folder: Seen("warning", "R004", "cut"), "got warning R004"),
        ("R004", raising(KeyError("x")), "got crash"),
        ("warning M028", lambda folder: Seen("warning", "M028", "twice"), ""),
        ("warning M028", lambda folder: Seen("error", "M028", "twice"), "got error M028"),
        (HANDLED, lambda folder: "read", ""),
        (HANDLED, raising(ReadError("R004", "cut")), "expected handled, got error R004"),
        (HANDLED, raising(RecursionError("deep")), "got crash"),
        (HANDLED, lambda folder: require(0, "equal"), "not so: equal"),
    ],
)
def test_what_is_seen_is_held_against_what_must_be(gives, make_and_try, outcome):
    one = trial(gives, make_and_try)
    told = complaint(one, try_one(one))
    assert outcome in told
    assert bool(told) == bool(outcome)


def test_messages_hold_no_folder_of_the_moment():
    folders = []

    def make_and_try(folder):
        folders.append(folder)
        raise ReadError("R004", "cut", where=f"{folder}/scan.nii", got=str(folder))

    message = try_one(trial("R004", make_and_try)).message
    assert message == "ReadError[R004]: scan.nii: cut; got ."
    assert not folders[0].exists()


def test_every_variant_must_be_refused():
    def cut():
        raise ReadError("R004", "cut")

    assert refused([cut, cut], codes="R004 R005").code == "R004"
    with pytest.raises(AssertionError, match="variant 1 was read"):
        refused([cut, int], codes="R004")
    with pytest.raises(AssertionError, match="variant 0 gives one of R005"):
        refused([cut], codes="R005")


def test_a_page_with_a_failing_row_is_not_written(monkeypatch, tmp_path):
    wrong = trial("R004", lambda folder: "read")
    monkeypatch.setattr(make_bad_inputs, "bad_inputs", lambda: [wrong])
    monkeypatch.setattr(make_bad_inputs, "PAGE", tmp_path / "page.md")
    with pytest.raises(SystemExit, match="expected R004, got handled"):
        make_bad_inputs.main()
    assert not (tmp_path / "page.md").exists()


def test_a_message_cannot_break_the_table():
    line = make_bad_inputs.line(trial("R004", int), Seen("error", "R004", "a|b\nc `d` <script>"))
    assert line.count("|") - line.count("\\|") == 6
    assert "\n" not in line[:-1]
    assert "`` a\\|b c `d` <script> ``" in line
