"""What is wrong with a study's table, every case of it in one pass, before any pixel is read."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from medgan.errors import ManifestError
from medgan.manifests.case import OWN_COLUMNS, RARE_COLUMNS
from medgan.manifests.columns import likely_misspelt
from medgan.manifests.file_checks import check_files
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.folds import Folds
from medgan.manifests.manifest import Case, Manifest, parse_manifest
from medgan.manifests.split import MINIMUM_SUBJECTS, classes_of, refuse_single_class, split_conflict


@dataclass(frozen=True, kw_only=True)
class LabelNeed:
    """A task that learns a label.

    Args:
        column: Where the label stands.
        classes: How many there are; labels run from 0 to ``classes - 1``.
        domains: Domains whose every case must have one.
    """

    column: Literal["grade", "quality"]
    classes: int
    domains: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a study asks of its manifest.

    Args:
        domains: Domains it names; empty takes those that the manifest has.
        labels: Labels that its tasks learn.
        masks: Domains whose every case must have a mask.
        pairs: Two domains, every pair_id of which must be in both.
        paths: Free columns that hold further paths below the data root.
        folds: How many folds it makes; None for a study that does not split.
        allow_duplicates: Let the same file stand under two subjects; the findings record it.
    """

    domains: tuple[str, ...] = ()
    labels: tuple[LabelNeed, ...] = ()
    masks: tuple[str, ...] = ()
    pairs: tuple[str, str] | None = None
    paths: tuple[str, ...] = ()
    folds: int | None = None
    allow_duplicates: bool = False


def check_table(path: Path, *, root: Path, needs: Needs) -> list[Finding]:
    """Every finding of a manifest file: rows that cannot be read, and :func:`check_manifest` of the rest."""
    try:
        cases, errors = parse_manifest(path)
    except ManifestError as error:
        return [finding_of(error)]
    findings = [*map(finding_of, errors), *_unread_columns(cases, path.name, needs)]
    findings += check_manifest(Manifest(cases=cases, root=root), needs=needs)
    return sorted(findings, key=lambda finding: finding.severity)


def check_manifest(manifest: Manifest, *, needs: Needs) -> list[Finding]:
    """Every finding of a manifest: files, duplicates, splits, labels, masks, pairs and numbers of subjects."""
    findings = [
        *_domains(manifest, needs),
        *_splits(manifest),
        *_labels(manifest, needs),
        *_masks(manifest, needs),
        *_pairs(manifest, needs),
        *check_files(manifest, paths=needs.paths, allow_duplicates=needs.allow_duplicates),
    ]
    return sorted(findings, key=lambda finding: finding.severity)


def check_folds(folds: Folds, manifest: Manifest, *, need: LabelNeed) -> list[Finding]:
    """Folds in which a label cannot be learnt (an error) or scored (a warning)."""
    labels: dict[str, set[int]] = defaultdict(set)
    for case in manifest:
        label = getattr(case, need.column)
        if label is not None and case.domain in need.domains:
            labels[case.subject_id].add(label)
    findings = []
    try:
        refuse_single_class(folds, labels=labels)
    except ManifestError as error:
        findings.append(finding_of(error))
    for fold in range(len(folds)):
        found = classes_of(folds.test(fold), labels)
        if len(found) < 2:
            message = f"one {need.column} only in the test part: {found}; scores that compare classes are not estimable"
            findings.append(_finding("M023", f"fold {fold}", message, severity="warning"))
    return findings


def _unread_columns(cases: Sequence[Case], name: str, needs: Needs) -> Iterator[Finding]:
    free = {column for case in cases for column in case.extra}
    known = (*OWN_COLUMNS, *RARE_COLUMNS)
    there = [column for column in known if any(getattr(case, column) not in {None, False} for case in cases)]
    for error in likely_misspelt([*there, *sorted(free)], known=known, named=needs.paths):
        yield replace(finding_of(error), severity="warning", where=name)


def _domains(manifest: Manifest, needs: Needs) -> Iterator[Finding]:
    named = needs.domains or manifest.domains
    for domain in named:
        if domain not in manifest.domains:
            message = f"the study names a domain that no case has; the manifest has {', '.join(manifest.domains)}"
            yield _finding("M004", f"domain {domain}", message, "check the direction and tasks of the study file")
            continue
        subjects = len({case.subject_id for case in manifest.of_domain(domain)})
        needed = max(MINIMUM_SUBJECTS, needs.folds or 0)
        if subjects < needed:
            yield _finding(
                "M022",
                f"domain {domain}",
                f"too few subjects: got {subjects}; expected at least {needed}; intervals are not estimable",
                "add subjects, or leave the domain out of the study",
                severity="warning" if needs.folds is None else "error",
            )


def _splits(manifest: Manifest) -> Iterator[Finding]:
    first: dict[str, Case] = {}
    for case in manifest:
        known = first.setdefault(case.subject_id, case)
        if known.split != case.split:
            yield finding_of(split_conflict(known, case))


def _labels(manifest: Manifest, needs: Needs) -> Iterator[Finding]:
    for need in needs.labels:
        cases = [case for case in manifest if case.domain in need.domains]
        allowed = range(need.classes)
        for case in cases:
            label = getattr(case, need.column)
            if label is None:
                yield _finding("M046", case.where, f"{need.column} is blank", "fill it in or take the row out")
            elif label not in allowed:
                message = f"{need.column} is out of range: got {label}; expected 0 to {need.classes - 1}"
                yield _finding("M047", case.where, message, "mend the row, or classes: in the study file")
        found = sorted({getattr(case, need.column) for case in cases} & set(allowed))
        if cases and len(found) < 2:
            message = f"one class only: got {found}; expected at least two of {list(allowed)}"
            yield _finding("M023", f"{need.column} of {', '.join(need.domains)}", message, "add cases of other classes")


def _masks(manifest: Manifest, needs: Needs) -> Iterator[Finding]:
    for case in manifest:
        if case.domain in needs.masks and case.mask is None:
            yield _finding(
                "M045", case.where, "a task needs masks and the row has none", "add the mask or take the row out"
            )


def _pairs(manifest: Manifest, needs: Needs) -> Iterator[Finding]:
    if needs.pairs is None:
        return
    by_pair: dict[str, list[Case]] = defaultdict(list)
    for case in manifest:
        if case.domain not in needs.pairs:
            continue
        if case.pair_id is None:
            yield _finding("M044", case.where, "pair_id is blank in a study of pairs", "fill it in")
        else:
            by_pair[case.pair_id].append(case)
    for pair_id, cases in by_pair.items():
        if sorted(case.domain for case in cases) != sorted(needs.pairs):
            message = f"pair {pair_id!r} is not one case of {needs.pairs[0]} and one of {needs.pairs[1]}"
            where = " and ".join(case.where for case in cases)
            yield _finding("M044", where, message, "add the missing row or take these out")
        elif len({case.subject_id for case in cases}) > 1:
            where = " and ".join(case.where for case in cases)
            yield _finding("M049", where, f"pair {pair_id!r} joins two subjects", "correct the subject_id or pair_id")


def _finding(
    code: str, where: str, message: str, remedy: str = "", *, severity: Literal["error", "warning"] = "error"
) -> Finding:
    return Finding(code=code, severity=severity, where=where, message=message, remedy=remedy)
