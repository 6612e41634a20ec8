"""Two domains side by side, in words that fit a narrow table."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from medgan.stages.check_differences import Domain

_MOST_SHOWN = 4


def side_by_side(source: Domain, target: Domain) -> list[tuple[str, str, str]]:
    """Rows of what is compared, the source's and the target's value; those that say nothing in both are left out."""
    columns = [_column(one) for one in (source, target)]
    return [(name, columns[0][name], columns[1][name]) for name in columns[0] if columns[0][name] or columns[1][name]]


def _column(domain: Domain) -> dict[str, str]:
    facts = domain.facts
    masks = [one.label_shares for one in facts if one.label_shares is not None]
    values = sorted({value for one in masks for value in one})
    return {
        "cases": f"{len(domain.cases)} of {len({case.subject_id for case in domain.cases})} subjects",
        "read": str(len(facts)),
        "format": _counted(one.format for one in facts),
        "kind": _counted(one.kind for one in facts),
        "stored as": _counted(f"{one.dtype}, {one.unit}" for one in facts),
        "size (voxels or px)": _spread([one.size for one in facts], "{:.0f}"),
        "field of view (mm)": _spread([one.extent_mm for one in facts], "{:.0f}"),
        "spacing (mm)": _spread([one.spacing_mm for one in facts], "{:.3g}"),
        "orientation": _counted(one.axis_codes for one in facts if one.axis_codes),
        "oblique by (degrees)": _spread([(one.oblique_deg,) for one in facts if one.spacing_mm], "{:.0f}"),
        "share of field": _spread([(one.field_share,) for one in facts], "{:.0%}"),
        "1 % of values": _spread([one.percentiles[:1] for one in facts], "{:.4g}"),
        "median of values": _spread([one.percentiles[1:2] for one in facts], "{:.4g}"),
        "99 % of values": _spread([one.percentiles[2:] for one in facts], "{:.4g}"),
        "cases with a mask": f"{len(masks)}" if masks else "",
        "empty masks": f"{sum(not one for one in masks)} of {len(masks)}" if masks else "",
        "share of mask value": "; ".join(
            f"{value}: {np.mean([one.get(value, 0.0) for one in masks]):.2%}" for value in values[: 2 * _MOST_SHOWN]
        )
        + (" ..." if len(values) > 2 * _MOST_SHOWN else ""),
        "grade": _classes(case.grade for case in domain.cases),
        "quality": _classes(case.quality for case in domain.cases),
    }


def _counted(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return counts[0][0]
    more = f", {len(counts) - _MOST_SHOWN} more" if len(counts) > _MOST_SHOWN else ""
    return ", ".join(f"{value} ({count})" for value, count in counts[:_MOST_SHOWN]) + more


def _spread(values: Iterable[tuple[float, ...] | None], text: str) -> str:
    """The median of each axis, and in brackets the least and the most where they differ."""
    known = [value for value in values if value is not None]
    if not known or len({len(value) for value in known}) > 1:
        return ""
    array = np.array(known, dtype=float)
    rows = [" x ".join(text.format(v) for v in row) for row in (np.median(array, axis=0), array.min(0), array.max(0))]
    return rows[0] if rows[1] == rows[2] else f"{rows[0]} ({rows[1]} to {rows[2]})"


def _classes(labels: Iterable[int | None]) -> str:
    counts = Counter(label for label in labels if label is not None)
    total = sum(counts.values())
    return ", ".join(f"{label}: {count / total:.0%}" for label, count in sorted(counts.items()))
