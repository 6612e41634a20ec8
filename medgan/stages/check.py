"""Check: every bad row and file of a study, in one pass."""

from collections.abc import Iterator

from medgan.errors import MedganError
from medgan.imaging.case_images import read_case_image
from medgan.imaging.read import read_label
from medgan.manifests.checks import check_folds, check_table
from medgan.manifests.file_checks import files_of
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.manifest import Case, Manifest, parse_manifest
from medgan.settings.study import Study
from medgan.stages.choices import wrong_choices
from medgan.stages.needs import domains_of, label_needs, needs_of, no_data_root, used_domains
from medgan.stages.prepare import study_folds
from medgan.stages.progress import Progress
from medgan.stages.scoring import class_label
from medgan.transforms.prepare import prepare


def check_study(study: Study, *, progress: Progress | None = None) -> list[Finding]:
    """List everything that is wrong with a study: settings of methods, rows, files, folds, and every image and mask.

    Args:
        study: The study.
        progress: Told how far it is.

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
    try:
        folds = study_folds(study, manifest)
        findings += [found for need in label_needs(study) for found in check_folds(folds, manifest, need=need)]
    except MedganError as error:
        findings.append(finding_of(error))
    cases = [case for case in manifest if case.domain in used_domains(study)]
    for case in progress.over(cases, doing="reading cases") if progress else cases:
        findings.extend(_case(study, manifest, case))
    return _unique(findings)


def _case(study: Study, manifest: Manifest, case: Case) -> Iterator[Finding]:
    path, mask = manifest.image_path(case), manifest.mask_path(case)
    limit = study.preparation.max_megapixels
    if not any(part.stat().st_size for part in files_of(path) if part.is_file()):
        return  # absent or empty, as the check of files has said
    try:
        image = read_case_image(manifest, case, max_megapixels=limit)
        prepare(image, study.preparation)
        if mask is not None and mask.exists():
            label = read_label(mask, like=image, max_megapixels=limit)
            for task in study.tasks:
                if task.label == "mask" and case.domain in domains_of(study, task):
                    class_label(label, task.mask_values)
    except MedganError as error:
        yield _at(case, finding_of(error))


def _at(case: Case, finding: Finding) -> Finding:
    return Finding(
        code=finding.code,
        severity=finding.severity,
        where=f"case {case.case_id} ({case.image})",
        message=finding.message,
        remedy=finding.remedy,
    )


def _unique(findings: list[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity)
