"""Needs: what a study asks of its manifest, by its domains, labels, masks and pairs."""

from collections.abc import Iterator

from medgan.errors import ManifestError
from medgan.manifests.checks import LabelNeed, Needs
from medgan.settings.study import Study, Task


def used_domains(study: Study) -> set[str]:
    """Domains that the study reads."""
    of_translators = (name for plan in study.translators for name in study.learnt_by(plan))
    of_tasks = (name for task in study.tasks for name in task.domains)
    return {study.direction.source, study.direction.target, *of_translators, *of_tasks}


def needs_of(study: Study) -> Needs:
    """What a study asks of its manifest."""
    paired = study.similarity and study.reference_column is None
    masked = {name for task in study.tasks if task.label == "mask" for name in domains_of(study, task)}
    return Needs(
        domains=tuple(sorted(used_domains(study))),
        labels=tuple(label_needs(study)),
        masks=tuple(sorted(masked)),
        pairs=(study.direction.source, study.direction.target) if paired else None,
        paths=(study.reference_column,) if study.reference_column else (),
        folds=study.folds,
        allow_duplicates=study.allow_duplicates,
    )


def label_needs(study: Study) -> Iterator[LabelNeed]:
    """The labels that the study's classifiers learn."""
    for task in study.tasks:
        if task.label != "mask":
            yield LabelNeed(column=task.label, classes=task.classes, domains=domains_of(study, task))


def domains_of(study: Study, task: Task) -> tuple[str, ...]:
    """Domains whose labels a task reads."""
    own = task.domains or (study.direction.target,)
    reads_source = task.tested_on or any(arm.images for arm in task.arms)
    return tuple(dict.fromkeys([*own, *([study.direction.source] if reads_source else [])]))


def no_data_root(study: Study) -> ManifestError:
    """The error of a study whose images' folder is not there: one, in place of one for each file."""
    return ManifestError(
        "M040",
        "no such folder",
        where="data_root",
        got=str(study.data_root),
        expected="the folder that the manifest's paths are relative to",
    )
