"""Prepare: check the manifest, split it by subject, and fill the prepared store."""

import json
from pathlib import Path

from medgan.manifests.manifest import Case, Manifest, read_manifest
from medgan.manifests.split import Folds, given_folds, make_folds, write_folds
from medgan.manifests.table import replace_text
from medgan.samples.store import PreparedStore
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.choices import wrong_choices
from medgan.stages.progress import Progress
from medgan.stages.workspace import Workspace


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Split the study and prepare every case.

    Returns:
        The table of folds and a summary of what was prepared.

    Raises:
        MedganError: The first wrong choice of the study, since all that follows would end in it.
    """
    for error in wrong_choices(study):
        raise error
    manifest = read_manifest(study.manifest, root=study.data_root)
    folds = study_folds(study, manifest)
    splits = folder / "splits.csv"
    write_folds(folds, splits)
    store = PreparedStore(Workspace(study.output).store, study.preparation)
    cases = [case for case in manifest if case.domain in used_domains(study)]
    total = len(cases)
    prepared = store.add_all(
        cases, manifest, workers=study.threads, report=lambda done: progress(done, total, doing="preparing cases")
    )
    summary = {
        "manifest": manifest.digest,
        "cases": {domain: sum(case.domain == domain for case in cases) for domain in sorted(used_domains(study))},
        "subjects": {
            domain: len({case.subject_id for case in cases if case.domain == domain})
            for domain in sorted(used_domains(study))
        },
        "losses": _losses([loss for case in prepared for loss in case.trace.losses]),
    }
    replace_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    return [splits, folder / "summary.json"]


def study_folds(study: Study, manifest: Manifest) -> Folds:
    """The folds that the manifest gives, or stratified ones made from the study's seed.

    Raises:
        ManifestError: M020 or M021, if the manifest's do not fit the study; M022, if there are too few subjects.
    """
    if any(case.split is not None for case in manifest):
        given = given_folds(manifest)
        for fold in study.folds_to_run:
            given.test(fold)  # refuses one that the manifest does not give
        return given
    key = study.stratify
    return make_folds(
        manifest,
        folds=study.folds,
        seed=study.split_seed,
        stratify=None if key == "none" else lambda case: _stratum(case, key),
    )


def used_domains(study: Study) -> set[str]:
    """Domains that the study reads."""
    return {study.direction.source, study.direction.target, *(name for task in study.tasks for name in task.domains)}


def _stratum(case: Case, key: str) -> str:
    return f"{case.domain}:{getattr(case, key)}"


def _losses(lines: list[str]) -> dict[str, int]:
    """How many cases lost something in preparation, by what."""
    kinds = [line.split(":")[0].split(" 0.")[0].strip() for line in lines]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
