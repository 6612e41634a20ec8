"""What differs so much between two domains that a translator would learn it in place of the appearance."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medgan.manifests.findings import Finding
from medgan.manifests.manifest import Case
from medgan.settings.preparation import Preparation
from medgan.stages.check_facts import CaseFacts

LARGEST_EXTENT_RATIO = 1.25
LARGEST_SPACING_RATIO = 1.5
LARGEST_SIZE_RATIO = 2.0
LARGEST_ANGLE_DEG = 10.0
LARGEST_HU = 500.0
LARGEST_PREVALENCE_RATIO = 1.5
LARGEST_SHARE = 0.2
_SURE = 2.0
_HALLUCINATES = (
    "balance the domains, or compare like with like: a translator inserts or erases what marks the rarer, to match the "
    "target's share (Cohen 2018, DOI 10.1007/978-3-030-00928-1_60)"
)
_DIRECTIONS = ("up and down", "front to back", "left to right")


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One domain of a study.

    Args:
        name: As in the manifest.
        cases: Every row of it.
        facts: Of those that were read.
    """

    name: str
    cases: tuple[Case, ...]
    facts: tuple[CaseFacts, ...]

    def median(self, name: str) -> tuple[float, ...] | None:
        """The median of a fact along each axis, over the cases that have it."""
        values = [value for value in (getattr(one, name) for one in self.facts) if value is not None]
        if not values or len({len(value) for value in values}) > 1:
            return None
        return tuple(float(value) for value in np.median(np.array(values, dtype=float), axis=0))

    def most(self, name: str) -> str:
        """The most frequent value of a fact."""
        return Counter(str(getattr(one, name)) for one in self.facts).most_common(1)[0][0]


def differences(source: Domain, target: Domain, preparation: Preparation) -> Iterator[Finding]:
    """Warnings of the differences that a translator would learn, M060 to M066 and G053 to G055."""
    yield from _classes(source, target)
    if not source.facts or not target.facts:
        return
    yield from (
        *(_extent if preparation.is_volume else _size)(source, target),
        *_spacing(source, target, preparation),
        *_orientation(source, target),
        *_storage(source, target),
        *_values(source, target),
        *_masks(source, target),
    )


def _extent(source: Domain, target: Domain) -> Iterator[Finding]:
    for axis, ratio, told in _ratios(source, target, "extent_mm", "{:.0f} mm"):
        if ratio > LARGEST_EXTENT_RATIO:
            message = f"the field of view {_DIRECTIONS[axis]} differs by a factor of {ratio:.2f}: {told}"
            remedy = "crop the larger to what the smaller shows: else anatomy at the border is invented or cut away"
            yield _warning("G053", source, target, message, remedy)


def _size(source: Domain, target: Domain) -> Iterator[Finding]:
    ratios = list(_ratios(source, target, "size", "{:.0f} px"))
    large = [(ratio, told) for _, ratio, told in ratios if ratio > LARGEST_SIZE_RATIO]
    if large:
        message = f"the pictures differ in size by a factor of {large[0][0]:.1f}: {large[0][1]}"
        remedy = "choose a size_px that neither domain must be enlarged for, or the translator learns to blur"
        yield _warning("G053", source, target, message, remedy)


def _spacing(source: Domain, target: Domain, preparation: Preparation) -> Iterator[Finding]:
    for axis, ratio, told in _ratios(source, target, "spacing_mm", "{:.3g} mm"):
        if ratio > LARGEST_SPACING_RATIO:
            message = f"the spacing {_DIRECTIONS[axis]} differs by a factor of {ratio:.2f}: {told}"
            remedy = (
                "set spacing_mm in preparation, so that both are resampled alike"
                if preparation.spacing_mm is None
                else "resampling gives one grid, not one sharpness: the coarser domain stays blurred"
            )
            yield _warning("G054", source, target, message, remedy)


def _orientation(source: Domain, target: Domain) -> Iterator[Finding]:
    angles = [float(np.median([one.oblique_deg for one in domain.facts])) for domain in (source, target)]
    if abs(angles[0] - angles[1]) > LARGEST_ANGLE_DEG:
        told = f"{angles[0]:.0f} and {angles[1]:.0f} degrees"
        message = f"the volumes are turned against the patient's axes by different angles: {told}"
        yield _warning("G055", source, target, message, "resample both along the patient's axes before the study")


def _storage(source: Domain, target: Domain) -> Iterator[Finding]:
    for name, code, words, remedy in (
        ("kind", "M064", "kinds of image", "convert one of them on purpose; a method may need equal channels"),
        ("unit", "M065", "units", "check the headers: values of different units share no window"),
    ):
        one, other = source.most(name), target.most(name)
        if one != other:
            yield _warning(code, source, target, f"the domains are of different {words}: {one} and {other}", remedy)
    lossy = [float(np.mean([one.is_lossy for one in domain.facts])) for domain in (source, target)]
    if abs(lossy[0] - lossy[1]) > 1 / 2:
        message = f"JPEG are {lossy[0]:.0%} of the one and {lossy[1]:.0%} of the other"
        remedy = "save both from the originals in one format: compression's blocks are learnt as appearance"
        yield _warning("M066", source, target, message, remedy)


def _values(source: Domain, target: Domain) -> Iterator[Finding]:
    middles = [
        float(np.median([one.percentiles[1] for one in d.facts if one.unit == "HU"] or [np.nan]))
        for d in (source, target)
    ]
    if abs(middles[0] - middles[1]) > LARGEST_HU:
        message = f"the middle value within the body differs: {middles[0]:.0f} and {middles[1]:.0f} HU"
        yield _warning(
            "M063", source, target, message, "one domain may be stored without its rescale: check its values"
        )


def _masks(source: Domain, target: Domain) -> Iterator[Finding]:
    shares = [[one.label_shares for one in domain.facts if one.label_shares is not None] for domain in (source, target)]
    if not shares[0] or not shares[1]:
        return
    for value in sorted({value for domain in shares for one in domain for value in one}):
        found = [np.array([one.get(value, 0.0) for one in domain]) for domain in shares]
        means = [float(one.mean()) for one in found]
        ratio = max(means) / max(min(means), 1e-9)
        if ratio > LARGEST_PREVALENCE_RATIO and abs(means[0] - means[1]) > _SURE * _error(found):
            told = f"{means[0]:.2%} and {means[1]:.2%} of the image"
            message = f"mask value {value} covers different shares: {told}"
            yield _warning("M060", source, target, message, _HALLUCINATES)
    empty = [np.array([not one for one in domain], dtype=float) for domain in shares]
    means = [float(one.mean()) for one in empty]
    if abs(means[0] - means[1]) > max(LARGEST_SHARE, _SURE * _error(empty)):
        message = f"masks are empty in {means[0]:.0%} and {means[1]:.0%} of the cases"
        yield _warning("M061", source, target, message, _HALLUCINATES)


def _classes(source: Domain, target: Domain) -> Iterator[Finding]:
    from scipy.stats import chi2_contingency

    for name in ("grade", "quality"):
        counts = [Counter(getattr(case, name) for case in domain.cases) for domain in (source, target)]
        for one in counts:
            del one[None]
        values = sorted(counts[0].keys() | counts[1].keys())
        table = np.array([[one[value] for value in values] for one in counts], dtype=float)
        if len(values) < 2 or (table.sum(axis=1) == 0).any() or not table.min(axis=0).any():
            continue  # where no class is in both, it is the class that tells the domains apart, as good and poor do
        shares = table / table.sum(axis=1, keepdims=True)
        apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
        if apart > LARGEST_SHARE and chi2_contingency(table).pvalue < 0.01:
            told = "; ".join(
                ", ".join(f"{v}: {share:.0%}" for v, share in zip(values, row, strict=True)) for row in shares
            )
            message = f"the classes of {name} are of other shares: {told}"
            yield _warning("M062", source, target, message, _HALLUCINATES)


def _ratios(source: Domain, target: Domain, name: str, text: str) -> Iterator[tuple[int, float, str]]:
    one, other = source.median(name), target.median(name)
    if one is None or other is None or len(one) != len(other):
        return
    for axis, pair in enumerate(zip(one, other, strict=True)):
        yield axis, max(pair) / max(min(pair), 1e-9), " and ".join(text.format(value) for value in pair)


def _error(samples: Sequence[np.ndarray]) -> float:
    """Standard error of the difference of two means; infinite where there are too few to tell."""
    if min(len(one) for one in samples) < 3:
        return float("inf")
    return float(np.sqrt(sum(one.var(ddof=1) / len(one) for one in samples)))


def _warning(code: str, source: Domain, target: Domain, message: str, remedy: str) -> Finding:
    where = f"domains {source.name} and {target.name}"
    return Finding(code=code, severity="warning", where=where, message=message, remedy=remedy)
