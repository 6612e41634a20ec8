import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgan.errors import ManifestError
from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.split import (
    Folds,
    given_folds,
    make_folds,
    read_folds,
    refuse_single_class,
    write_folds,
)


def case(subject: str, *, domain: str = "a", view: int = 0, grade: int | None = None, split: str | None = None) -> Case:
    name = f"{subject}-{domain}-{view}"
    return Case(case_id=name, subject_id=subject, domain=domain, image=name, grade=grade, split=split)


def study(*cases: Case) -> Manifest:
    return Manifest(cases=cases, root=Path())


def grade_of(one: Case) -> str:
    return str(one.grade)


@st.composite
def studies(draw: st.DrawFn) -> Manifest:
    """Subjects of domain a only, of b only and of both, with several views and grades that differ between views."""
    cases = []
    for domains in (("a",), ("b",), ("a", "b")):
        for number in range(draw(st.integers(5, 14))):
            views = draw(st.integers(1, 3))
            cases += [
                case(f"{''.join(domains)}{number}", domain=domain, view=view, grade=draw(st.integers(0, 2)))
                for domain in domains
                for view in range(views)
            ]
    return study(*cases)


@settings(max_examples=25, deadline=None)
@given(manifest=studies(), folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_every_subject_is_tested_once_and_never_trained_on_then(manifest: Manifest, folds: int, seed: int) -> None:
    split = make_folds(manifest, folds=folds, seed=seed, stratify=grade_of)
    everyone = {one.subject_id for one in manifest}
    assert Counter(name for test in split.tests for name in test) == Counter(everyone)
    for fold in range(folds):
        assert not split.train(fold) & split.test(fold)
        assert split.train(fold) | split.test(fold) == everyone


@settings(max_examples=25, deadline=None)
@given(manifest=studies(), folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_are_of_a_size_in_every_domain(manifest: Manifest, folds: int, seed: int) -> None:
    split = make_folds(manifest, folds=folds, seed=seed)
    for part in (manifest, manifest.of_domain("a"), manifest.of_domain("b")):
        sizes = [len({one.subject_id for one in part.of_subjects(test)}) for test in split.tests]
        assert max(sizes) - min(sizes) <= 2


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(5, 30), min_size=2, max_size=4), folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_classes_are_spread_over_the_folds(counts: list[int], folds: int, seed: int) -> None:
    manifest = study(*(case(f"{grade}-{n}", grade=grade) for grade, count in enumerate(counts) for n in range(count)))
    split = make_folds(manifest, folds=folds, seed=seed, stratify=grade_of)
    for grade in range(len(counts)):
        per_fold = [sum(one.grade == grade for one in manifest.of_subjects(test)) for test in split.tests]
        assert max(per_fold) - min(per_fold) <= 2


def test_order_of_the_rows_does_not_matter_but_the_seed_does() -> None:
    cases = [case(f"s{n}", grade=n % 3) for n in range(40)]
    shuffled = cases[::-2] + cases[::2]
    first = make_folds(study(*cases), folds=5, seed=1, stratify=grade_of)
    assert make_folds(study(*shuffled), folds=5, seed=1, stratify=grade_of).tests == first.tests
    assert make_folds(study(*cases), folds=5, seed=2, stratify=grade_of).tests != first.tests


def test_rare_label_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    manifest = study(*(case(f"s{n}", grade=int(n == 0)) for n in range(10)))
    make_folds(manifest, folds=5, seed=0, stratify=grade_of)
    assert "label a/1" in caplog.text


@pytest.mark.parametrize(("subjects", "folds"), [(4, 2), (6, 7)])
def test_too_few_subjects(subjects: int, folds: int) -> None:
    manifest = study(*(case(f"s{n}") for n in range(subjects)))
    with pytest.raises(ManifestError, match=rf"M022.*domain a.*got {subjects}"):
        make_folds(manifest, folds=folds, seed=0)


def test_one_fold_is_none() -> None:
    with pytest.raises(ManifestError, match=r"M022.*too few folds"):
        make_folds(study(*(case(f"s{n}") for n in range(9))), folds=1, seed=0)


@pytest.mark.parametrize("fold", [-1, 2])
def test_fold_that_does_not_exist(fold: int) -> None:
    split = make_folds(study(*(case(f"s{n}") for n in range(9))), folds=2, seed=0)
    with pytest.raises(ManifestError, match=rf"M021.*got {fold}; expected 0 to 1"):
        split.train(fold)


def test_given_train_and_test_are_one_fold() -> None:
    split = given_folds(study(case("x", split="train"), case("y", split="test"), case("y", domain="b", split="test")))
    assert (len(split), split.train(0), split.test(0)) == (1, {"x"}, {"y"})


def test_given_numbers_are_folds() -> None:
    split = given_folds(study(*(case(f"s{n}", split=str(n % 3)) for n in range(7))))
    assert split.test(1) == {"s1", "s4"}
    assert split.train(1) == {"s0", "s2", "s3", "s5", "s6"}


def test_subject_in_two_splits_names_both_rows() -> None:
    manifest = study(case("x", split="train"), case("y", split="test"), case("x", view=1, split="test"))
    with pytest.raises(ManifestError, match=r"M020.*case x-a-0 and case x-a-1.*got train and test"):
        given_folds(manifest)


@pytest.mark.parametrize(
    "splits", [("train", None), ("train", "train"), ("0", "2"), ("0", "0"), ("train", "0"), ("test", "val")]
)
def test_unusable_split_column(splits: tuple[str | None, str | None]) -> None:
    with pytest.raises(ManifestError, match="M025"):
        given_folds(study(*(case(f"s{n}", split=split) for n, split in enumerate(splits))))


def test_single_class_in_a_training_part() -> None:
    split = Folds(tests=(frozenset("ab"), frozenset("cd")), subjects=frozenset("abcd"), manifest="")
    refuse_single_class(split, labels={"a": [0], "b": [1], "c": [0], "d": [1]})
    with pytest.raises(ManifestError, match=r"M023.*fold 0.*labels \[1\]"):
        refuse_single_class(split, labels={"a": [0], "b": [1], "c": [1], "d": [1]})


def test_stranger_is_refused() -> None:
    manifest = study(*(case(f"s{n}") for n in range(6)))
    split = make_folds(manifest, folds=2, seed=0)
    split.refuse_strangers(manifest)
    with pytest.raises(ManifestError, match=r"M027.*case new-a-0"):
        split.refuse_strangers(study(*manifest.cases, case("new")))


@pytest.mark.parametrize("given_split", [True, False])
def test_folds_survive_writing(tmp_path: Path, *, given_split: bool) -> None:
    manifest = study(*(case(f"s{n}", split="test" if n < 3 else "train") for n in range(9)))
    split = given_folds(manifest) if given_split else make_folds(manifest, folds=4, seed=3)
    write_folds(split, tmp_path / "splits.csv")
    assert read_folds(tmp_path / "splits.csv") == split


@pytest.mark.parametrize(
    ("pattern", "replacement"), [("^s1,", "s9,"), ("^s0,0$|^s0,1$", "s0,2"), ("\\Z", "s0,0\n"), ("\\Z", "s9,1\n")]
)
def test_edited_folds_are_refused(tmp_path: Path, pattern: str, replacement: str) -> None:
    path = tmp_path / "splits.csv"
    write_folds(make_folds(study(*(case(f"s{n}") for n in range(6))), folds=2, seed=0), path)
    path.write_text(re.sub(pattern, replacement, path.read_text(), flags=re.MULTILINE))
    with pytest.raises(ManifestError, match="M026"):
        read_folds(path)


def test_folds_without_their_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    write_folds(make_folds(study(*(case(f"s{n}") for n in range(6))), folds=2, seed=0), path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ManifestError, match=r"M026.*FileNotFoundError"):
        read_folds(path)
