"""Names of a study's files, which may be those of patients, are kept out of what its jobs say."""

import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from medgan.errors import MedganError, hide_paths, path_pattern, paths_shown, without_paths
from medgan.manifests.findings import Finding
from medgan.manifests.manifest import parse_manifest
from medgan.settings.study import Study
from medgan.stages.left_out import LeftOut

Told = TypeVar("Told", Finding, LeftOut)

_READERS = ("PIL", "pydicom", "nibabel")


@contextmanager
def study_files_hidden(study: Study) -> Iterator[None]:
    """Keep what tells who the patients are out of what a job says.

    The net under the stages, which name the case themselves: an unforeseen error of a library often quotes a file, so
    the paths that the manifest names are taken out of it; and libraries that read images quote
    headers in their warnings and detailed logs, which are silenced.
    """
    try:
        with _readers_silent():
            yield
    except Exception as error:
        hide_paths(error, study_paths(study), names=False)
        raise


def hidden_findings(study: Study, findings: Iterable[Told]) -> list[Told]:
    """Findings, or cases left out, whose texts name no file of the study, unless they may be shown."""
    pattern = None if paths_shown() else path_pattern(study_paths(study))
    return [_hidden(finding, pattern) for finding in findings]


def study_paths(study: Study) -> list[str]:
    """Every path that the manifest names, as it stands there, and whatever lies below the data root."""
    roots = {f"{study.data_root}/", f"{study.data_root.resolve()}/"}
    try:
        cases, _ = parse_manifest(study.manifest)
    except MedganError:
        return sorted(roots)
    columns = (study.reference_column,) if study.reference_column else ()
    named = {name for case in cases for name in (case.image, case.mask, *(case.extra.get(c) for c in columns)) if name}
    return sorted(roots | named)


@contextmanager
def _readers_silent() -> Iterator[None]:
    if paths_shown():
        yield
        return
    loggers = [logging.getLogger(name) for name in _READERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for name in _READERS:
                warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _hidden(finding: Told, pattern: re.Pattern[str] | None) -> Told:
    return replace(
        finding,
        where=without_paths(finding.where, pattern),
        message=without_paths(finding.message, pattern),
        remedy=without_paths(finding.remedy, pattern),
    )
