"""Images that do not go together: grey and colour in one domain, and spacings too far apart."""

from collections.abc import Iterator, Sequence

import numpy as np

from medgan.errors import if_shown
from medgan.manifests.findings import Finding
from medgan.settings.study import Study
from medgan.stages.check_duplicates import SeenCase

NOTEWORTHY_RATIO = 1.25
"""Spacings that differ by more than this in a study that does not resample are told."""


def mixed_kinds(seen: Sequence[SeenCase]) -> Iterator[Finding]:
    """The error M055 of a domain with images of two kinds, which cannot stand in one batch; with a row of each."""
    for domain in dict.fromkeys(one.case.domain for one in seen):
        kinds: dict[str, list[SeenCase]] = {}
        for one in seen:
            if one.case.domain == domain:
                kinds.setdefault(one.kind, []).append(one)
        if len(kinds) < 2:
            continue
        common, *others = sorted(kinds, key=lambda kind: -len(kinds[kind]))
        for kind in others:
            example, usual = kinds[kind][0].case, kinds[common][0].case
            yield Finding(
                code="M055",
                severity="error",
                where=f"domain {domain}: {example.where} and {usual.where}",
                message=f"images of different kinds in one domain: {len(kinds[kind])} {_plural(kind, kinds)} such as "
                f"case {example.case_id}, and {len(kinds[common])} {_plural(common, kinds)} such as case "
                f"{usual.case_id}",
                remedy="convert the few on purpose, or take them out: nothing is turned grey or coloured in silence",
            )


def mixed_spacing(seen: Sequence[SeenCase], study: Study) -> Iterator[Finding]:
    """Volumes whose spacing is far from that of the others, or from the one that all are resampled to.

    Yields:
        The error G058 for a case beyond the study's ``spacing_tolerance``; where the study names none and does not
        resample, one warning G052 with the two cases that are farthest apart.
    """
    volumes = [one for one in seen if one.spacing_mm is not None]
    if len(volumes) < 2:
        return
    spacings = np.array([one.spacing_mm for one in volumes])
    aim = study.preparation.spacing_mm
    usual = np.median(spacings, axis=0) if aim is None else np.array(aim)
    ratios = np.maximum(spacings / usual, usual / spacings).max(axis=1)
    limit = study.spacing_tolerance
    if limit is not None:
        for place in np.flatnonzero(ratios > limit * (1 + 1e-6)):
            yield Finding(
                code="G058",
                severity="error",
                where=volumes[place].case.where + if_shown(f" ({volumes[place].case.image})"),
                message=f"the spacing is too far from {'the others' if aim is None else 'what is resampled to'}: "
                f"got {_mm(spacings[place])}; expected {_mm(usual)} within a factor of {limit:g}",
                remedy="leave the case out, or raise spacing_tolerance in the study file",
            )
    elif aim is None and ratios.max() > NOTEWORTHY_RATIO:
        far, near = int(ratios.argmax()), int(ratios.argmin())
        yield Finding(
            code="G052",
            severity="warning",
            where=f"{volumes[far].case.where} and {volumes[near].case.where}",
            message=f"volumes of different spacing are not resampled: {_mm(spacings[far])} and {_mm(spacings[near])}",
            remedy="set spacing_mm in preparation; spacing_tolerance says what is too far",
        )


def _plural(kind: str, kinds: dict[str, list[SeenCase]]) -> str:
    return kind if len(kinds[kind]) == 1 else f"{kind}s"


def _mm(spacing: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{value:.3g}" for value in spacing) + " mm"
