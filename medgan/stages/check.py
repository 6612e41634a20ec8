"""Check: every bad row and file of a study, in one pass."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from medgan.errors import MedganError
from medgan.imaging.case_images import read_case_image, read_case_label
from medgan.manifests.checks import check_folds, check_table
from medgan.manifests.file_checks import files_of
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.manifest import Case, Manifest, parse_manifest
from medgan.samples.naming import about_case
from medgan.settings.study import Study
from medgan.stages.check_duplicates import SeenCase, duplicate_findings
from medgan.stages.check_facts import kind_of_image, spacing_along_patient
from medgan.stages.check_folds import few_tested, untrained
from medgan.stages.check_header import header_names_subject
from medgan.stages.check_mixed import mixed_kinds, mixed_spacing
from medgan.stages.check_notes import note_findings
from medgan.stages.check_thumbnail import image_digest, label_digest, thumbnail_of
from medgan.stages.choices import wrong_choices
from medgan.stages.needs import domains_of, label_needs, needs_of, no_data_root, used_domains
from medgan.stages.prepare import study_folds
from medgan.stages.scoring import class_label
from medgan.transforms.prepare import prepare

Item = TypeVar("Item")


class Over(Protocol):
    """Goes through items and may show how far it is, as :meth:`rich.progress.Progress.track` does."""

    def __call__(self, sequence: Sequence[Item], *, description: str) -> Iterable[Item]: ...  # noqa: D102


def one_by_one(sequence: Sequence[Item], *, description: str) -> Iterable[Item]:
    """Go through items and show nothing."""
    return sequence


def check_study(study: Study, *, over: Over = one_by_one) -> list[Finding]:
    """List everything that is wrong with a study: settings of methods, rows, files, folds, and every image and mask.

    Each image is read once, under limits of time and memory; of it a digest and a thumbnail are kept, by which
    images that are there twice are found.

    Args:
        study: The study.
        over: Goes through the cases and shows how far it is.

    Returns:
        Errors first; empty where all is well.
    """
    findings = [finding_of(error) for error in wrong_choices(study)]
    if not study.data_root.is_dir():
        return [*findings, finding_of(no_data_root(study))]
    findings += check_table(study.manifest, root=study.data_root, needs=needs_of(study))
    try:
        sound, _ = parse_manifest(study.manifest)
    except MedganError:
        return _unique(findings)  # no table at all, which the check of the table has said
    manifest = Manifest(cases=sound, root=study.data_root)
    if not any(case.domain in used_domains(study) for case in manifest):
        return _unique(findings)  # no row that can be used, which the findings explain
    try:
        folds = study_folds(study, manifest)
        findings += [found for need in label_needs(study) for found in check_folds(folds, manifest, need=need)]
        findings += [*few_tested(study, folds, manifest), *untrained(study, folds, manifest)]
    except MedganError as error:
        findings.append(finding_of(error))
    seen: list[SeenCase] = []
    cases = [case for case in manifest if case.domain in used_domains(study)]
    for case in over(cases, description="reading cases"):
        found = _look_at(study, manifest, case)
        if isinstance(found, Finding):
            findings.append(found)
        elif found is not None:
            seen.append(found)
            findings += header_names_subject(manifest, case) if found.is_dicom else []
    findings += [*mixed_kinds(seen), *mixed_spacing(seen, study)]
    findings += note_findings([(one.case, one.notes) for one in seen])
    findings += duplicate_findings(seen, told=findings, allowed=study.allow_duplicates)
    return _unique(findings)


def at_case(case: Case, finding: Finding) -> Finding:
    """The same finding with the row that it is about: a file may be named after a patient."""
    return replace(finding, where=case.where)


def _look_at(study: Study, manifest: Manifest, case: Case) -> SeenCase | Finding | None:
    """Read a case as every stage will; None for a file that is absent or empty, as the check of files has said."""
    path, mask = manifest.image_path(case), manifest.mask_path(case)
    limit = study.preparation.max_megapixels
    if not _holds_bytes(path):
        return None
    try:
        with about_case(manifest, case):
            image = read_case_image(
                manifest, case, max_megapixels=limit, guard=True, fill_not_finite=study.preparation.fill_not_finite
            )
            prepared = prepare(image, study.preparation)
            label = None
            if mask is not None and _holds_bytes(mask):
                label = read_case_label(manifest, case, like=image, max_megapixels=limit, guard=True)
            for task in study.tasks:
                if label is not None and task.label == "mask" and case.domain in domains_of(study, task):
                    class_label(label, task.mask_values)
    except MedganError as error:
        return at_case(case, finding_of(error))
    return SeenCase(
        case=case,
        pixels=image_digest(image),
        label=None if label is None else label_digest(label, image),
        thumbnail=thumbnail_of(prepared),
        kind=kind_of_image(image),
        is_dicom=image.stored.format == "dicom",
        spacing_mm=spacing_along_patient(image),
        notes=image.stored.notes,
    )


def _holds_bytes(path: Path) -> bool:
    return any(part.stat().st_size for part in files_of(path) if part.is_file())


def _unique(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity)
