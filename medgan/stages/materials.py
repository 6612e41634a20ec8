"""What the jobs of a study work on: its manifest, folds and prepared cases."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from medgan.errors import TrainingError
from medgan.manifests.manifest import Case, Manifest, parse_manifest, read_manifest
from medgan.manifests.split import Folds, read_folds
from medgan.samples.store import PreparedCase, PreparedStore
from medgan.settings.study import IDENTITY, Study, Task
from medgan.stages.workspace import KEPT, Workspace, translate_job


@dataclass(frozen=True)
class Materials:
    """A study's manifest, folds and prepared cases."""

    study: Study
    manifest: Manifest
    folds: Folds
    store: PreparedStore

    def cases(self, domains: Iterable[str], subjects: Iterable[str]) -> tuple[Case, ...]:
        """Cases of some domains and subjects, in file order."""
        wanted = frozenset(domains)
        return tuple(case for case in self.manifest.of_subjects(subjects) if case.domain in wanted)

    def prepared(self, cases: Iterable[Case], manifest: Manifest | None = None) -> list[PreparedCase]:
        """Prepared arrays of cases; what is missing from the store is prepared."""
        return self.store.add_all(cases, manifest or self.manifest)

    def translated(self, translator: str, fold: int, seed: int) -> Manifest:
        """The source images as a translator gives them back; for identity the originals."""
        if translator == IDENTITY and not self.study.similarity:
            return self.manifest.of_domain(self.study.direction.source)
        folder = Workspace(self.study.output).require(translate_job(translator, fold, seed))
        return read_manifest(folder / "manifest.csv", root=folder)


def open_materials(study: Study) -> Materials:
    """Open what the ``prepare`` job left."""
    workspace = Workspace(study.output)
    return Materials(
        study,
        _kept_manifest(study, workspace.prepared / KEPT),
        read_folds(workspace.splits),
        PreparedStore(workspace.store, study.preparation),
    )


def _kept_manifest(study: Study, kept: Path) -> Manifest:
    """The study's manifest; where cases were left out, those that remain."""
    if not kept.exists():
        return read_manifest(study.manifest, root=study.data_root)
    ids = frozenset(json.loads(kept.read_text(encoding="utf-8")))
    cases, _ = parse_manifest(study.manifest)
    return Manifest(cases=tuple(case for case in cases if case.case_id in ids), root=study.data_root)


def labelled(cases: Iterable[Case], task: Task) -> list[Case]:
    """Cases that have the label a task needs."""
    return [case for case in cases if getattr(case, task.label) is not None]


def limited(cases: list[Case], count: str, *, seed: int) -> list[Case]:
    """The first ``count`` cases, whole subjects in an order drawn from the seed; a larger count holds the smaller.

    Raises:
        TrainingError: T012, if there are not so many.
    """
    if count == "all":
        return cases
    if len(cases) < int(count):
        raise TrainingError(
            "T012",
            "too few labelled target cases in the training part of the fold",
            got=str(len(cases)),
            expected=f"target_cases: {count}",
            remedy="take a smaller number, or all",
        )
    subjects = sorted({case.subject_id for case in cases})
    Random(seed).shuffle(subjects)  # noqa: S311
    place = {subject: index for index, subject in enumerate(subjects)}
    return sorted(cases, key=lambda case: (place[case.subject_id], case.case_id))[: int(count)]


def used_translators(study: Study) -> list[str]:
    """Translators of the study, and identity where similarity is measured, as its baseline."""
    names = [plan.name for plan in study.translators]
    return [IDENTITY, *names] if study.similarity and IDENTITY not in names else names
