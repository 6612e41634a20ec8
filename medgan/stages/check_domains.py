"""Compare the domains of a study before anything is trained, and how well its pairs lie on one another."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from medgan import discover
from medgan.errors import MedganError
from medgan.imaging.case_images import read_case_image, read_case_label
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.manifest import Case, Manifest, parse_manifest
from medgan.samples.naming import about_case
from medgan.settings.study import Study, TranslatorPlan
from medgan.stages.check import Over, at_case, one_by_one
from medgan.stages.check_differences import Domain, differences
from medgan.stages.check_facts import CaseFacts, facts_of
from medgan.stages.check_pairs import PairShift, measure_pair, pair_findings, pair_summary
from medgan.stages.check_side import side_by_side
from medgan.stages.needs import needs_of, no_data_root
from medgan.training.translator import Translator
from medgan.transforms.prepare import prepare
from medgan.transforms.trace import Prepared

SAMPLE = 40
"""Cases of each domain that are read where nothing else is said."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two domains side by side.

    Args:
        source: The domain that is translated.
        target: The domain that it is translated to.
        pairs: Shifts of the pairs that were read.
        findings: What differs too much, and cases that cannot be read; errors first.
        seed: Of the sample of cases.
    """

    source: Domain
    target: Domain
    pairs: tuple[PairShift, ...]
    findings: tuple[Finding, ...]
    seed: int

    @property
    def sample(self) -> str:
        """What was read, in words."""
        read = [f"{len(one.facts)} of {len(one.cases)} cases of {one.name}" for one in (self.source, self.target)]
        chosen = any(len(one.facts) < len(one.cases) for one in (self.source, self.target))
        return " and ".join(read) + (f" read, chosen with seed {self.seed}" if chosen else " read")

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What is compared, with the source's and the target's value in words."""
        return side_by_side(self.source, self.target)

    @property
    def pairs_line(self) -> str:
        """How many pairs are shifted; empty for a study without pairs."""
        return pair_summary(self.pairs) if self.pairs else ""

    def to_json(self) -> dict[str, Any]:
        """Everything as numbers."""
        return {
            "sample": self.sample,
            "seed": self.seed,
            "rows": [dict(zip(("what", "source", "target"), row, strict=True)) for row in self.rows],
            "domains": {one.name: [asdict(fact) for fact in one.facts] for one in (self.source, self.target)},
            "pairs": [_pair_json(pair) for pair in self.pairs],
            "pairs_summary": self.pairs_line,
            "findings": [asdict(finding) for finding in self.findings],
        }


def compared_with_source(study: Study) -> tuple[str, ...]:
    """Domains that are set beside the source: the target, and those that a translator learns also."""
    return tuple(dict.fromkeys([study.direction.target, *(name for plan in study.translators for name in plan.also)]))


def compare_domains(
    study: Study, *, beside: str | None = None, sample: int | None = SAMPLE, over: Over = one_by_one
) -> Comparison:
    """Read a sample of the cases of two domains and set these side by side.

    Args:
        study: The study.
        beside: Domain that its source is compared with; the target by default.
        sample: Cases of each domain that are read, drawn with the study's split_seed, whole pairs first; None for all.
        over: Goes through the work and shows how far it is.

    Raises:
        ManifestError: What parsing the manifest raises; M004, if a domain has no case; M040, if there is no data root.
    """
    if not study.data_root.is_dir():
        raise no_data_root(study)
    rows, errors = parse_manifest(study.manifest)
    manifest = Manifest(cases=rows, root=study.data_root)
    domains = (study.direction.source, beside or study.direction.target)
    of_each = [manifest.of_domain(name).cases for name in domains]
    findings = [finding_of(error) for error in errors]
    facts: dict[str, list[CaseFacts]] = {name: [] for name in domains}
    pairs: list[PairShift] = []
    needed = _learns_by_pairs(study)
    for cases in over(sample_of(*of_each, size=sample, seed=study.split_seed), description="comparing domains"):
        read: list[tuple[Case, Prepared]] = []
        for case in cases:
            try:
                with about_case(manifest, case):
                    fact, prepared = _read(study, manifest, case)
            except MedganError as error:
                findings.append(at_case(case, finding_of(error)))
            else:
                facts[case.domain].append(fact)
                read.append((case, prepared))
        if len(read) == 2:
            (one, first), (other, second) = read
            found = measure_pair(str(one.pair_id), (one, other), (first, second), needed=needed)
            (findings if isinstance(found, Finding) else pairs).append(found)  # type: ignore[arg-type]
    source, target = (
        Domain(name=name, cases=cases, facts=tuple(facts[name])) for name, cases in zip(domains, of_each, strict=True)
    )
    findings += [*differences(source, target, study.preparation), *pair_findings(pairs)]
    ordered = tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.severity))
    return Comparison(source=source, target=target, pairs=tuple(pairs), findings=ordered, seed=study.split_seed)


def sample_of(
    source: Sequence[Case], target: Sequence[Case], *, size: int | None, seed: int
) -> list[tuple[Case] | tuple[Case, Case]]:
    """Draw cases of both domains: whole pairs first, then single cases, each domain up to the size.

    Args:
        source: Cases of the one domain.
        target: Cases of the other.
        size: How many of each; None for all.
        seed: Of the draw; the order of the rows does not matter.
    """
    by_pair = [{case.pair_id: case for case in cases if case.pair_id} for cases in (source, target)]
    pairs = [(by_pair[0][name], by_pair[1][name]) for name in sorted(by_pair[0].keys() & by_pair[1].keys())]
    rng = random.Random(seed)  # noqa: S311
    drawn: list[tuple[Case] | tuple[Case, Case]] = [*_draw(pairs, size, rng)]
    left = None if size is None else size - len(drawn)
    paired = {case.case_id for pair in drawn for case in pair}
    for cases in (source, target):
        rest = sorted((case for case in cases if case.case_id not in paired), key=lambda case: case.case_id)
        drawn += [(case,) for case in _draw(rest, left, rng)]
    return drawn


def _draw(items: Sequence[Any], size: int | None, rng: random.Random) -> list[Any]:
    return list(items) if size is None or size >= len(items) else rng.sample(list(items), size)


def _read(study: Study, manifest: Manifest, case: Case) -> tuple[CaseFacts, Prepared]:
    limit = study.preparation.max_megapixels
    image = read_case_image(
        manifest, case, max_megapixels=limit, guard=True, fill_not_finite=study.preparation.fill_not_finite
    )
    label = read_case_label(manifest, case, like=image, max_megapixels=limit, guard=True)
    prepared = prepare(image, study.preparation)
    return facts_of(case.case_id, image, prepared, label), prepared


def _learns_by_pairs(study: Study) -> bool:
    if needs_of(study).pairs is not None:
        return True
    known = discover.names("medgan.methods")
    return any(_by_pairs(plan) for plan in study.translators if plan.method in known)


def _by_pairs(plan: TranslatorPlan) -> bool:
    method: type[Translator] = discover.load("medgan.methods", plan.method).method
    try:
        return method.learns_by_pairs(method.recipe_type.model_validate(plan.recipe))
    except ValidationError:
        return method.needs_pairs  # the study's own check says what is wrong with the recipe


def _pair_json(pair: PairShift) -> dict[str, Any]:
    return {
        "pair_id": pair.pair_id,
        "source": pair.source.case_id,
        "target": pair.target.case_id,
        "is_shifted": pair.is_shifted,
        "shift_mm": pair.shift_mm,
        "spacing_mm": pair.spacing_mm,
        **({} if pair.shift is None else asdict(pair.shift)),
    }
