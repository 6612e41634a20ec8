"""Folds that are too small: for a test to tell a difference, or for a translator to learn a domain."""

from collections.abc import Iterator

from medgan.manifests.findings import Finding
from medgan.manifests.manifest import Manifest
from medgan.manifests.split import Folds
from medgan.settings.study import Study

SIGNIFICANT = 0.05


def few_tested(study: Study, folds: Folds, manifest: Manifest) -> Iterator[Finding]:
    """The warning M057 of domains of which so few subjects are tested that no p value can reach 0.05.

    With n subjects the sign-flip test has 2**n outcomes, so that its smallest two-sided p is 2 / 2**n: six subjects
    are the fewest.

    Args:
        study: For its direction and the folds that are run.
        folds: Of the study.
        manifest: Its cases.
    """
    tested = {subject for fold in study.folds_to_run for subject in folds.test(fold)}
    counts = {
        domain: len({case.subject_id for case in manifest if case.domain == domain and case.subject_id in tested})
        for domain in (study.direction.source, study.direction.target)
    }
    few = {domain: count for domain, count in counts.items() if 2.0 / 2.0**count > SIGNIFICANT}
    if few:
        told = " and ".join(f"{count} subjects of {domain}" for domain, count in few.items())
        least = min(1.0, 2.0 / 2.0 ** max(few.values()))
        yield Finding(
            code="M057",
            severity="warning",
            where="folds",
            message=f"only {told} are tested in the folds that are run: no comparison of theirs can reach "
            f"p < {SIGNIFICANT}, whatever it finds; the smallest p of a sign-flip test is {least:.3g}",
            remedy="run more folds or add subjects, at least 6 tested; else read the results as exploratory",
        )


def untrained(study: Study, folds: Folds, manifest: Manifest) -> Iterator[Finding]:
    """The error T014 of further domains of a translator that have no case in the training part of a fold.

    Args:
        study: For its translators and the folds that are run.
        folds: Of the study.
        manifest: Its cases.
    """
    names = sorted({name for plan in study.translators for name in plan.also} & set(manifest.domains))
    for fold in study.folds_to_run if names else ():
        trained = {case.domain for case in manifest.of_subjects(folds.train(fold))}
        for name in names:
            if name not in trained:
                yield Finding(
                    code="T014",
                    severity="error",
                    where=f"fold {fold}",
                    message=f"the domain {name} has no training subjects, and a translator learns it",
                    remedy="correct the column split, or leave the domain out of also",
                )
