"""Prepare: check the manifest, split it by subject, and fill the prepared store."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from medgan.errors import ManifestError
from medgan.manifests.checks import check_table
from medgan.manifests.manifest import Case, Manifest, read_manifest
from medgan.manifests.split import Folds, given_folds, make_folds, write_folds
from medgan.manifests.table import replace_text
from medgan.samples.store import PreparedCase, PreparedStore
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.choices import wrong_choices
from medgan.stages.needs import domains_of, needs_of, no_data_root, used_domains
from medgan.stages.progress import Progress
from medgan.stages.scoring import class_label
from medgan.stages.workspace import Workspace


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Split the study and prepare every case.

    Returns:
        The table of folds and a summary of what was prepared.

    Raises:
        MedganError: The first wrong choice of the study, since all that follows would end in it.
        ManifestError: The first error of the manifest, such as the same file under two subjects.
    """
    for error in wrong_choices(study):
        raise error
    if not study.data_root.is_dir():
        raise no_data_root(study)
    for found in check_table(study.manifest, root=study.data_root, needs=needs_of(study)):
        if found.severity == "error":
            raise ManifestError(found.code, found.message, where=found.where, remedy=found.remedy)
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
    _refuse_unknown_labels(study, prepared)
    summary = {
        "manifest": manifest.digest,
        "cases": {domain: sum(case.domain == domain for case in cases) for domain in sorted(used_domains(study))},
        "subjects": {
            domain: len({case.subject_id for case in cases if case.domain == domain})
            for domain in sorted(used_domains(study))
        },
        # Another image or mask under the same name is another result, and makes all that was made from it stale.
        "contents": hashlib.sha256("".join(case.key for case in prepared).encode()).hexdigest(),
        "losses": _losses([loss for case in prepared for loss in case.trace.losses]),
    }
    replace_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    return [splits, folder / "summary.json"]


def study_folds(study: Study, manifest: Manifest) -> Folds:
    """The folds that the manifest gives, or stratified ones made from the study's seed.

    Raises:
        ManifestError: M020 or M021, if the manifest's do not fit the study; M022, if there are too few subjects.
    """
    manifest = replace(manifest, cases=tuple(case for case in manifest if case.domain in used_domains(study)))
    if any(case.split is not None for case in manifest):
        given = given_folds(manifest)
        if study.run_folds is None and len(given) != study.folds:
            raise ManifestError(
                "M021",
                "the manifest gives another number of folds than the study names",
                got=str(len(given)),
                expected=f"folds: {study.folds}",
                remedy=f"set folds: {len(given)}, or say with run_folds which are run",
            )
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


def _refuse_unknown_labels(study: Study, prepared: list[PreparedCase]) -> None:
    """Refuse a mask with a value that a task does not name, before hours are spent on training.

    Raises:
        ManifestError: M052.
    """
    for task in study.tasks:
        if task.label == "mask":
            for one in prepared:
                if one.label_values is not None and one.case.domain in domains_of(study, task):
                    class_label(np.asarray(one.label_values), task.mask_values, where=one.case.where)


def _stratum(case: Case, key: str) -> str:
    return f"{case.domain}:{getattr(case, key)}"


def _losses(lines: list[str]) -> dict[str, int]:
    """How many cases lost something in preparation, by what."""
    kinds = [line.split(":")[0].split(" 0.")[0].strip() for line in lines]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
