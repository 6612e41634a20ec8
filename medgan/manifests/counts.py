"""How many subjects, images, masks and labels a manifest has, by domain."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from medgan.manifests.manifest import Case, Manifest

_HEADER = ("domain", "subjects", "images", "masks", "grades", "quality")


@dataclass(frozen=True, kw_only=True)
class DomainCounts:
    """Counts of one domain.

    Args:
        domain: Its name.
        subjects: Persons.
        images: Rows.
        masks: Rows with a mask.
        grades: Rows by grade; rows without one are not in it.
        quality: Rows by quality class; rows without one are not in it.
    """

    domain: str
    subjects: int
    images: int
    masks: int
    grades: dict[int, int]
    quality: dict[int, int]


def count_domains(manifest: Manifest) -> list[DomainCounts]:
    """Count by domain, sorted by its name."""
    return [_count(domain, manifest.of_domain(domain)) for domain in manifest.domains]


def counts_table(manifest: Manifest) -> str:
    """The counts as a Markdown table, with a last row over all domains."""
    rows = count_domains(manifest)
    if len(rows) > 1:
        rows.append(_count("all", manifest))
    lines = ["| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER)]
    for row in rows:
        cells = (
            row.domain,
            f"{row.subjects:,}",
            f"{row.images:,}",
            f"{row.masks:,}",
            _classes(row.grades),
            _classes(row.quality),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _count(domain: str, cases: Iterable[Case]) -> DomainCounts:
    listed = list(cases)
    return DomainCounts(
        domain=domain,
        subjects=len({case.subject_id for case in listed}),
        images=len(listed),
        masks=sum(case.mask is not None for case in listed),
        grades=dict(sorted(Counter(case.grade for case in listed if case.grade is not None).items())),
        quality=dict(sorted(Counter(case.quality for case in listed if case.quality is not None).items())),
    )


def _classes(counts: dict[int, int]) -> str:
    return ", ".join(f"{label}: {count}" for label, count in counts.items()) or "none"
