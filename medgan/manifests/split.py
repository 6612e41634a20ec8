"""Folds by subject: who is trained on and who is tested on, never by image or slice."""

import logging
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from medgan.errors import ManifestError
from medgan.manifests.folds import Folds, read_folds, write_folds
from medgan.manifests.manifest import Case, Manifest

__all__ = [
    "MINIMUM_SUBJECTS",
    "Folds",
    "classes_of",
    "given_folds",
    "make_folds",
    "read_folds",
    "refuse_few_subjects",
    "refuse_single_class",
    "split_conflict",
    "write_folds",
]
MINIMUM_SUBJECTS = 5

_log = logging.getLogger(__name__)


def make_folds(manifest: Manifest, *, folds: int, seed: int, stratify: Callable[[Case], str] | None = None) -> Folds:
    """Deal the subjects out to folds.

    A subject goes whole, with its cases of every domain. The folds get alike numbers of subjects, of subjects of each
    domain, and of subjects with each label. The order of the rows does not matter.

    Args:
        manifest: Cases of all domains of the study.
        folds: How many, at least 2.
        seed: Seed of the shuffling.
        stratify: Label of a case that each fold should see its share of; None balances domains alone.

    Raises:
        ManifestError: M022, if a domain has fewer subjects than folds, or fewer than 5.

    Source:
        scikit-learn's StratifiedGroupKFold, with subjects as groups.
    """
    traits = _traits(manifest, stratify)
    refuse_few_subjects(manifest, folds=folds)
    names = [name for name in sorted(traits) for _ in traits[name]]
    labels = [label for name in sorted(traits) for label in sorted(traits[name])]
    tests = tuple(frozenset(names[index] for index in test) for test in _deal(names, labels, folds=folds, seed=seed))
    return Folds(tests=tests, subjects=frozenset(traits), manifest=manifest.digest, seed=seed)


def given_folds(manifest: Manifest) -> Folds:
    """Read the folds that the manifest's ``split`` column gives.

    ``train`` and ``test`` make one fold; numbers ``0`` to ``k - 1`` make k, each number naming where a subject is
    tested on.

    Raises:
        ManifestError: M020 a subject in two splits, M025 a blank, unknown or missing split.
    """
    first: dict[str, Case] = {}
    for case in manifest:
        known = first.setdefault(case.subject_id, case)
        if known.split != case.split:
            raise split_conflict(known, case)
    _refuse_unknown_splits(manifest)
    by_split: dict[str, set[str]] = defaultdict(set)
    for subject, case in first.items():
        by_split[str(case.split)].add(subject)
    order = ["test"] if "test" in by_split else [str(number) for number in range(len(by_split))]
    return Folds(
        tests=tuple(frozenset(by_split[name]) for name in order), subjects=frozenset(first), manifest=manifest.digest
    )


def split_conflict(first: Case, second: Case) -> ManifestError:
    """The error of a subject in two splits, M020."""
    return ManifestError(
        "M020",
        f"subject {first.subject_id!r} is in two splits",
        where=f"{first.where} and {second.where}",
        got=f"{first.split or 'blank'} and {second.split or 'blank'}",
        remedy="give every row of a subject the same split, whatever its domain",
    )


def refuse_few_subjects(manifest: Manifest, *, folds: int) -> None:
    """Refuse a domain that is too small to be split.

    Raises:
        ManifestError: M022, if a domain has fewer subjects than folds or than 5, or fewer than 2 folds are asked for.
    """
    if folds < 2:
        raise ManifestError("M022", "too few folds", got=str(folds), expected="at least 2")
    needed = max(MINIMUM_SUBJECTS, folds)
    for domain in manifest.domains:
        count = len({case.subject_id for case in manifest.of_domain(domain)})
        if count < needed:
            raise ManifestError(
                "M022",
                "too few subjects",
                where=f"domain {domain}",
                got=str(count),
                expected=f"at least {needed} for {folds} folds",
                remedy="add subjects, or leave the domain out of the study",
            )


def refuse_single_class(folds: Folds, *, labels: Mapping[str, Collection[int]]) -> None:
    """Refuse folds in which a classifier would see one class only.

    Args:
        folds: The folds.
        labels: Labels of each subject's cases; subjects without a label may be left out.

    Raises:
        ManifestError: M023, naming the fold and the class.
    """
    for fold in range(len(folds)):
        found = classes_of(folds.train(fold), labels)
        if len(found) < 2:
            raise ManifestError(
                "M023",
                "one class only in the training part",
                where=f"fold {fold}",
                got=f"labels {found}",
                expected="at least two classes",
                remedy="stratify by the label, use fewer folds or add subjects of the other classes",
            )


def classes_of(subjects: Iterable[str], labels: Mapping[str, Collection[int]]) -> list[int]:
    """The labels that some of the subjects have, sorted."""
    return sorted({label for subject in subjects for label in labels.get(subject, ())})


def _traits(manifest: Manifest, stratify: Callable[[Case], str] | None) -> dict[str, set[str]]:
    """What each subject brings to a fold: itself, its domains, and its labels within them."""
    traits: dict[str, set[str]] = defaultdict(lambda: {"subject"})
    for case in manifest:
        traits[case.subject_id].add(f"domain {case.domain}")
        if stratify is not None:
            traits[case.subject_id].add(f"label {case.domain}/{stratify(case)}")
    return traits


def _deal(names: list[str], labels: list[str], *, folds: int, seed: int) -> Iterator[list[int]]:
    from sklearn.model_selection import StratifiedGroupKFold

    rare = sorted(label for label, count in Counter(labels).items() if count < folds)
    if rare:
        _log.warning("fewer subjects than folds have %s: some folds will test none of them", ", ".join(rare))
    dealer = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for _, test in dealer.split(names, labels, groups=names):
            yield [int(index) for index in test]


def _refuse_unknown_splits(manifest: Manifest) -> None:
    found = {case.split or "" for case in manifest}
    numbered = {name for name in found if re.fullmatch(r"0|[1-9][0-9]*", name)}
    if found == {"train", "test"} or (len(found) > 1 and found == {str(number) for number in range(len(found))}):
        return
    allowed = numbered or {"train", "test"}
    odd = next((case for case in manifest if (case.split or "") not in allowed), None)
    raise ManifestError(
        "M025",
        "the split column is not usable",
        where=odd.where if odd else "",
        got=", ".join(sorted(name or "blank" for name in found)),
        expected="train and test in every row, or every number from 0 to k - 1",
        remedy="fill the column in, or leave it out and let the study split by subject",
    )
