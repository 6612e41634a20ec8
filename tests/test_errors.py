"""Errors say what, where, got, expected and the remedy, and their codes are stable and used for one thing."""

import pickle
import re
from collections import defaultdict
from pathlib import Path

import pytest

import medgan
from medgan import errors
from medgan.errors import MedganError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MedganError)]
SOURCES = sorted(Path(medgan.__file__).parent.rglob("*.py"))
RAISED = re.compile(r"\b((?!Medgan)[A-Z]\w+Error)\(\s*\"([A-Z]\d{3})\"")


def test_the_message():
    error = MedganError("G003", "shapes differ", where="case 1", got="2", expected="3", remedy="mend it")
    assert str(error) == "MedganError[G003]: case 1: shapes differ; got 2; expected 3; mend it"
    assert str(MedganError("G003", "shapes differ")) == "MedganError[G003]: shapes differ"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_errors_go_through_processes(kind):
    error = kind("X999", "what", where="where", got="got", expected="expected", remedy="remedy")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def codes_by_kind():
    """Letters of the codes that each kind of error is raised with in the package."""
    found = defaultdict(set)
    for path in SOURCES:
        for kind, code in RAISED.findall(path.read_text(encoding="utf-8")):
            found[kind].add(code)
    return found


def test_a_letter_belongs_to_one_kind():
    letters = defaultdict(set)
    for kind, codes in codes_by_kind().items():
        for code in codes:
            letters[code[0]].add(kind)
    assert len(letters) >= 10
    assert {letter: kinds for letter, kinds in letters.items() if len(kinds) > 1} == {}


def test_the_kinds_say_their_letter():
    for kind, codes in codes_by_kind().items():
        [letter] = re.findall(r"\(([A-Z])\.\.\.\)", vars(errors)[kind].__doc__)
        assert {code[0] for code in codes} == {letter}, kind
