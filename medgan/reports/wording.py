"""Numbers and verdicts in words: nothing rounds to a claim that the interval does not make."""

import math
from collections.abc import Iterable, Sequence

from medgan.reports.content import ReportContent
from medgan.reports.names import metric_name
from medgan.reports.rows import ComparisonRow, ScoreRow

_MINUS = "\N{MINUS SIGN}"
HEADLINES = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "Equivalent",
    "inconclusive": "Inconclusive: this study cannot tell",
}


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


def estimate(value: float, low: float, high: float, *, n: int, undefined: int = 0, sign: bool = False) -> str:
    """Write a value with its interval, ``"undefined (n)"`` where there is none.

    Args:
        value: Estimate; NaN where undefined.
        low: Lower end of the interval.
        high: Upper end.
        n: Subjects or images it would have come from.
        undefined: Images with an undefined score; told in place of n where there are any.
        sign: Whether to show a plus.

    Example:
        >>> estimate(0.7, 0.65, 0.75, n=12)
        '0.700 (0.650 to 0.750)'
        >>> estimate(float("nan"), float("nan"), float("nan"), n=12)
        'undefined (n = 12)'
    """
    if math.isnan(value):
        return f"undefined ({undefined})" if undefined else f"undefined (n = {n})"
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


def swept_tasks(rows: Iterable[ComparisonRow | ScoreRow]) -> frozenset[str]:
    """Name the tasks whose number of labelled target cases the study varies."""
    return frozenset(row.task for row in rows if row.target_cases is not None)


def in_order(counts: Iterable[int | None]) -> list[int | None]:
    """Sort numbers of target cases, each once; all of them (None) come last."""
    return sorted(set(counts), key=lambda count: math.inf if count is None else count)


def cases_label(target_cases: int | None, *, swept: bool) -> str:
    """Say how many labelled target cases were trained on; empty where the study does not vary them.

    Example:
        >>> cases_label(20, swept=True), cases_label(None, swept=True), cases_label(None, swept=False)
        ('20 target cases', 'all target cases', '')
    """
    if target_cases is None:
        return "all target cases" if swept else ""
    return f"{target_cases} target case{'s' * (target_cases != 1)}"


def contrast(row: ComparisonRow, *, swept: bool | None = None) -> str:
    """Name what is compared: arm against baseline, with the number of target cases where it varies.

    Args:
        row: Comparison.
        swept: Whether the task varies the number of target cases; None leaves the number out.
    """
    cases = "" if swept is None else cases_label(row.target_cases, swept=swept)
    return f"{row.arm} against {row.baseline}{', ' * bool(cases)}{cases}"


def outcome(row: ComparisonRow) -> str:
    """Verdict in a word; ``"undefined"`` where there is no difference to judge."""
    return "undefined" if math.isnan(row.difference) else row.verdict


def tally(rows: Iterable[ComparisonRow]) -> str:
    """Count the outcomes of comparisons, such as ``"2 better, 1 undefined"``."""
    found = [outcome(row) for row in rows]
    return ", ".join(f"{found.count(name)} {name}" for name in (*HEADLINES, "undefined") if name in found)


def opening(name: str) -> str:
    """Begin a sentence with a name: prose gets a capital, an identifier such as ``cyclegan`` stays as it is.

    Example:
        >>> opening("source images translated by cyclegan"), opening("target-only")
        ('Source images translated by cyclegan', 'target-only')
    """
    return name[:1].upper() + name[1:] if " " in name else name


def explanation(row: ComparisonRow, *, swept: bool = False) -> str:
    """Say in a sentence or two what a verdict means and what it does not."""
    cases = cases_label(row.target_cases, swept=swept)
    where = f"{metric_name(row.metric)} in the {row.task} task{' with ' * bool(cases)}{cases}"
    if math.isnan(row.difference):
        return f"The difference between {row.arm} and {row.baseline} on {where} is undefined, so nothing follows."
    first = {
        "better": f"{opening(row.arm)} did better than {row.baseline} on {where}.",
        "worse": f"{opening(row.arm)} did worse than {row.baseline} on {where}.",
        "equivalent": f"{opening(row.arm)} and {row.baseline} did equally well on {where}, within the margin.",
        "inconclusive": f"Whether {row.arm} did better or worse than {row.baseline} on {where} remains open.",
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
