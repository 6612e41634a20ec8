"""Prepare: check the manifest, split it by subject, and fill the prepared store."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from medgan.errors import ManifestError, MedganError
from medgan.manifests.checks import check_manifest, check_table
from medgan.manifests.findings import Finding
from medgan.manifests.manifest import Case, Manifest, parse_manifest, read_manifest
from medgan.manifests.split import Folds, given_folds, make_folds, write_folds
from medgan.manifests.table import replace_text
from medgan.samples.store import PreparedCase, PreparedStore
from medgan.settings.cores import usable_cores
from medgan.settings.study import Study
from medgan.stages.arguments import JobArguments
from medgan.stages.check_notes import kind_of_note
from medgan.stages.choices import wrong_choices
from medgan.stages.hidden import hidden_findings
from medgan.stages.left_out import FILE as LEFT_OUT
from medgan.stages.left_out import LeftOut, blamed, left_out_by, naming_left_out, without, write_left_out
from medgan.stages.needs import domains_of, needs_of, no_data_root, used_domains
from medgan.stages.prepare_twins import prepared_twins
from medgan.stages.progress import Progress
from medgan.stages.scoring import class_label
from medgan.stages.workspace import KEPT, Workspace


def run(study: Study, arguments: JobArguments, folder: Path, progress: Progress) -> list[Path]:
    """Split the study and prepare every case.

    Returns:
        The table of folds and a summary of what was prepared; where cases are left out, their list and the manifest
        of the others.

    Raises:
        MedganError: The first wrong choice of the study, since all that follows would end in it.
        ManifestError: The first error of the manifest, such as the same file under two subjects. Where the study keeps
            going, only one that is no single case's fault.
    """
    for error in wrong_choices(study):
        raise error
    if not study.data_root.is_dir():
        raise no_data_root(study)
    manifest, left_out = _sound_rows(study)
    prepared = _prepared(study, manifest, left_out, progress)
    with naming_left_out(left_out):
        if study.keep_going:
            manifest = _remaining(study, manifest, left_out)
        folds = study_folds(study, manifest)
        remain = {case.case_id for case in manifest}
        prepared = [one for one in prepared if one.case.case_id in remain]
        allowed = _refuse_twins(study, prepared)
    splits = folder / "splits.csv"
    write_folds(folds, splits)
    cases = [one.case for one in prepared]
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
        "notes": Counter(sorted(kind_of_note(note) for one in prepared for note in one.trace.notes)),
        "filled_voxels": {one.case.case_id: one.trace.filled for one in prepared if one.trace.filled},
        "duplicates_allowed": allowed,
    }
    replace_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    written = [splits, folder / "summary.json"]
    if left_out:
        write_left_out(hidden_findings(study, left_out), folder / LEFT_OUT)
        # Ids only: a table of paths would carry names of patients into the results.
        replace_text(folder / KEPT, json.dumps([case.case_id for case in manifest], indent=1) + "\n")
        written += [folder / LEFT_OUT, folder / KEPT]
    return written


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


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Stop at the first error among findings.

    Raises:
        ManifestError: That error.
    """
    for found in findings:
        if found.severity == "error":
            raise ManifestError(found.code, found.message, where=found.where, remedy=found.remedy)


def _sound_rows(study: Study) -> tuple[Manifest, list[LeftOut]]:
    """The rows that can be used, by what the table and the files' names say."""
    needs = needs_of(study)
    if not study.keep_going:
        refuse_errors(check_table(study.manifest, root=study.data_root, needs=needs))
        return read_manifest(study.manifest, root=study.data_root), []
    cases, errors = parse_manifest(study.manifest)
    manifest = Manifest(cases=cases, root=study.data_root)
    left_out = [left_out_by(error) for error in errors]
    found = check_manifest(manifest, needs=needs)
    left_out += [one for _, one in blamed(found, cases) if one is not None]
    # What is the whole study's fault may go with the bad rows; what stays is refused once they are out.
    return without(manifest, left_out), left_out


def _remaining(study: Study, manifest: Manifest, left_out: list[LeftOut]) -> Manifest:
    """What is left, and sound as a study: a case whose pair is gone goes too, and is added to ``left_out``.

    Raises:
        ManifestError: The first error that is no single case's fault.
    """
    while True:
        manifest = without(manifest, left_out)
        found = list(blamed(check_manifest(manifest, needs=needs_of(study)), manifest))
        refuse_errors(finding for finding, one in found if one is None)
        more = [one for _, one in found if one is not None]
        if not more:
            return manifest
        left_out += more


def _prepared(study: Study, manifest: Manifest, left_out: list[LeftOut], progress: Progress) -> list[PreparedCase]:
    """Prepare every case that the study reads; where it keeps going, those that fail are added to ``left_out``."""

    def leave_out(case: Case, error: MedganError) -> None:
        left_out.append(left_out_by(error, case))

    store = PreparedStore(Workspace(study.output).store, study.preparation)
    cases = [case for case in manifest if case.domain in used_domains(study)]
    total, workers = len(cases), study.preparing_threads or usable_cores()
    prepared = store.add_all(
        cases,
        manifest,
        workers=workers,
        report=lambda done: progress(
            done, total, doing="preparing cases", at=cases[done].where if workers == 1 and done < total else ""
        ),
        on_error=leave_out if study.keep_going else None,
    )
    return [one for one in prepared if _labels_known(study, one, leave_out if study.keep_going else None)]


def _refuse_twins(study: Study, prepared: list[PreparedCase]) -> list[list[str]]:
    """Refuse the same image under two subjects, in whatever file; the pairs of cases that the study lets pass.

    Raises:
        ManifestError: M024 or M054.
    """
    allowed = []
    for first, second, findings in prepared_twins(prepared, allowed=study.allow_duplicates):
        refuse_errors(hidden_findings(study, findings))
        if any(finding.code == "M024" for finding in findings):
            allowed.append([first, second])
    return allowed


def _labels_known(study: Study, one: PreparedCase, leave_out: Callable[[Case, MedganError], None] | None) -> bool:
    """Whether a mask holds only values that the tasks name: seen before hours are spent on training.

    Raises:
        ManifestError: M052, where nothing is left out.
    """
    try:
        for task in study.tasks:
            if task.label == "mask" and one.label_values is not None and one.case.domain in domains_of(study, task):
                class_label(np.asarray(one.label_values), task.mask_values, where=one.case.where)
    except ManifestError as error:
        if leave_out is None:
            raise
        leave_out(one.case, error)
        return False
    return True


def _stratum(case: Case, key: str) -> str:
    return f"{case.domain}:{getattr(case, key)}"


def _losses(lines: list[str]) -> dict[str, int]:
    """How many cases lost something in preparation, by what."""
    kinds = [line.split(":")[0].split(" 0.")[0].strip() for line in lines]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
