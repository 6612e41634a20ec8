"""Numbers and verdicts in words: nothing rounds to a claim that the interval does not make."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from medgan.reports.content import ReportContent
from medgan.reports.rows import ComparisonRow, SimilarityRow

_MINUS = "\N{MINUS SIGN}"
HEADLINES = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "Equivalent",
    "inconclusive": "Inconclusive: this study cannot tell",
}


class Remark(NamedTuple):
    """A sentence beside the verdict, and whether it speaks for the translation."""

    favourable: bool
    words: str


def number(value: float, *, like: Sequence[float] = (), sign: bool = False) -> str:
    """Write a number with as many decimals as its size deserves.

    Args:
        value: Number; NaN becomes ``"undefined"``.
        like: Numbers beside which it stands, so that all have the same decimals.
        sign: Whether to show a plus.

    Example:
        >>> number(0.7123), number(-0.0251, sign=True), number(24.5), number(float("nan"))
        ('0.712', '−0.025', '24.50', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    written = f"{value:{'+' if sign else ''},.{_decimals([value, *like])}f}"
    return written.replace("-", _MINUS)


def estimate(value: float, low: float, high: float, *, n: int, undefined: int | None = None, sign: bool = False) -> str:
    """Write a value with its interval, ``"undefined (n)"`` where there is none.

    Args:
        value: Estimate; NaN where undefined.
        low: Lower end of the interval.
        high: Upper end.
        n: Subjects it would have come from.
        undefined: Images with an undefined score, if they are counted; told in place of n.
        sign: Whether to show a plus.

    Example:
        >>> estimate(0.7, 0.65, 0.75, n=12)
        '0.700 (0.650 to 0.750)'
        >>> estimate(float("nan"), float("nan"), float("nan"), n=12)
        'undefined (n = 12)'
    """
    if math.isnan(value):
        return f"undefined (n = {n})" if undefined is None else f"undefined ({undefined})"
    shown = number(value, like=(low, high), sign=sign)
    if math.isnan(low) or math.isnan(high):
        return f"{shown} (interval undefined)"
    ends = [number(end, like=(value, low, high), sign=sign) for end in (low, high)]
    return f"{shown} ({ends[0]} to {ends[1]})"


def p_value(p: float) -> str:
    """Write a p value.

    Example:
        >>> p_value(0.0004), p_value(0.0312), p_value(float("nan"))
        ('< 0.001', '0.031', 'undefined')
    """
    if math.isnan(p):
        return "undefined"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def margin(value: float) -> str:
    """Write an equivalence margin.

    Example:
        >>> margin(0.02), margin(float("nan"))
        ('±0.020', 'none declared')
    """
    return "none declared" if math.isnan(value) else f"±{number(value)}"


def contrast(row: ComparisonRow) -> str:
    """Name what is compared: arm against baseline, with the number of target cases where it varies."""
    cases = "" if row.target_cases is None else f", {row.target_cases} target cases"
    return f"{row.arm} against {row.baseline}{cases}"


def explanation(row: ComparisonRow) -> str:
    """Say in a sentence or two what a verdict means and what it does not."""
    where = f"{row.metric} ({row.task})"
    if math.isnan(row.difference):
        return f"The difference in {where} between {row.arm} and {row.baseline} is undefined, so nothing follows."
    first = {
        "better": f"{row.arm} did better than {row.baseline} on {where}.",
        "worse": f"{row.arm} did worse than {row.baseline} on {where}.",
        "equivalent": f"{row.arm} and {row.baseline} did equally well on {where}, within the margin.",
        "inconclusive": f"Whether {row.arm} does better or worse than {row.baseline} on {where} remains open.",
    }[row.verdict]
    second = _caveat(row)
    return f"{first} {second}" if second else first


def exploratory_reason(content: ReportContent) -> str:
    """Say why a study is only exploratory; empty where it is not."""
    if not content.experiment.is_exploratory:
        return ""
    folds, seeds = content.experiment.folds, content.experiment.seeds
    count = f"{folds} fold{'s' * (folds != 1)} and {seeds} seed{'s' * (seeds != 1)}"
    return f"{count} only: how much the result varies from run to run was not measured. Not a basis for decisions."


def safety_summary(content: ReportContent) -> str:
    """Say in one sentence what the safety audit came to."""
    rows = content.audit
    if not rows:
        return "No safety audit was made: nothing is known of what translation did to lesions, labels or anatomy."
    flagged = sum(row.flag == "flagged" for row in rows)
    undefined = sum(row.flag == "undefined" for row in rows)
    tail = f"; {undefined} could not be made" if undefined else ""
    if not flagged:
        return f"No flag among {len(rows)} checks{tail}. That is not a proof of safety."
    return f"{flagged} of {len(rows)} checks raised a flag{tail}."


def trivial_remarks(comparisons: Sequence[ComparisonRow]) -> list[Remark]:
    """Say how each arm fares against baselines that learn nothing, the losers first.

    Args:
        comparisons: All of the study's; where none is against a trivial baseline, that is said too.
    """
    claims = {
        "worse": "loses to",
        "equivalent": "is no better than",
        "inconclusive": "was not shown to beat",
        "better": "beats",
    }
    rows = sorted((row for row in comparisons if row.trivial_baseline), key=lambda row: list(claims).index(row.verdict))
    if comparisons and not rows:
        none = "No arm was compared with a baseline that learns nothing (identity, histogram matching)."
        return [Remark(favourable=False, words=none)]
    return [
        Remark(
            favourable=row.verdict == "better",
            words=f"{row.arm} {claims[row.verdict]} {row.baseline}, which learns nothing, on {row.metric} ({row.task}"
            + ("" if row.target_cases is None else f", {row.target_cases} target cases")
            + "): difference "
            + estimate(row.difference, row.low, row.high, n=row.n_subjects, sign=True)
            + f", n = {row.n_subjects} subjects, {row.method}.",
        )
        for row in rows
    ]


def trivial_similarity_sentences(rows: Iterable[SimilarityRow]) -> list[str]:
    """Name the translators whose similarity is no better than a trivial baseline's.

    Args:
        rows: Similarity of all translators; only rows of the same metric are compared, by their estimates.
    """
    listed = list(rows)
    return [
        f"{row.translator} is no better than {other.translator} on {row.metric}: "
        f"{estimate(row.value, row.low, row.high, n=row.n_subjects)} against "
        f"{estimate(other.value, other.low, other.high, n=other.n_subjects)}, n = {row.n_subjects} and "
        f"{other.n_subjects} subjects (estimates side by side, not a paired test)."
        for row in listed
        if not row.trivial
        for other in listed
        if other.trivial and other.metric == row.metric and _falls_short(row, other)
    ]


def _decimals(values: Sequence[float]) -> int:
    finite = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not finite:
        return 3
    largest = max(finite)
    if largest >= 10:
        return 2 if largest < 100 else 1 if largest < 1000 else 0
    return 3 if largest >= 0.01 else min(9, 1 - math.floor(math.log10(largest)))


def _caveat(row: ComparisonRow) -> str:
    if math.isnan(row.low) or math.isnan(row.high):
        return "Its interval is undefined."
    within = not math.isnan(row.margin) and max(abs(row.low), abs(row.high)) < row.margin
    if row.verdict == "inconclusive":
        return _why_open(row)
    if row.verdict == "equivalent":
        return (
            f"The whole interval lies within {margin(row.margin)}, declared beforehand as too small to matter."
            if within
            else ""
        )
    if within:
        return f"But the whole interval lies within {margin(row.margin)}, which the study calls too small to matter."
    if not math.isnan(row.margin) and min(abs(row.low), abs(row.high)) < row.margin:
        return f"A difference smaller than the margin of {margin(row.margin)} is not ruled out."
    return ""


def _why_open(row: ComparisonRow) -> str:
    reach = f"The interval runs from {number(row.low, like=(row.high,), sign=True)} to "
    reach += number(row.high, like=(row.low,), sign=True)
    undeclared = " No margin was declared, so equivalence could not be shown." if math.isnan(row.margin) else ""
    if row.low <= 0 <= row.high:
        open_ends = "harm, gain and no difference are all compatible with it."
        return f"{reach}: {open_ends}{undeclared} This is not evidence of no difference."
    return f"{reach}; the study's rule for a verdict is not met.{undeclared}"


def _falls_short(row: SimilarityRow, trivial: SimilarityRow) -> bool:
    if math.isnan(row.value) or math.isnan(trivial.value):
        return False
    return row.value <= trivial.value if row.higher_is_better else row.value >= trivial.value
