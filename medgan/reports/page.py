"""The report as one HTML file that loads nothing from outside."""

import base64
import hashlib
import os
from itertools import count
from pathlib import Path
from typing import NamedTuple

from medgan.errors import WriteError
from medgan.reports import boards, names, plots, runs, trivial, wording
from medgan.reports.content import ReportContent
from medgan.reports.exhibits import CurveSet
from medgan.reports.panels import SYNTHETIC, columns, compared, stand_abreast, worst_first
from medgan.reports.pictures import Fidelity, data_uri

MAX_BYTES = 8_000_000
FIDELITIES = (Fidelity(640, 92), Fidelity(512, 90), Fidelity(384, 85), Fidelity(256, 80), Fidelity(192, 70))

_HERE = Path(__file__).parent
_FUNCTIONS = (
    wording.estimate,
    wording.p_value,
    wording.margin,
    wording.contrast,
    wording.explanation,
    wording.outcome,
    names.metric_name,
    names.in_text,
    boards.by_cases,
    boards.common_method,
    columns,
)


class Training(NamedTuple):
    """One run's curves on the page; previews are (step, data URI)."""

    curves: CurveSet
    svg: str
    previews: list[tuple[int, str]]


def write_report(content: ReportContent, path: Path) -> None:
    """Write a study's report.

    Pictures are reduced, all alike, until the page is under 8 MB; the page says to what. The file is written beside
    and renamed, so that there is never half a report.

    Args:
        content: What to show.
        path: HTML file to write; its folder is made.

    Raises:
        WriteError: If the page is too large with the smallest pictures (W086).
    """
    for fidelity in FIDELITIES:
        page = render(content, fidelity=fidelity).encode()
        if len(page) < MAX_BYTES:
            break
    else:
        raise WriteError(
            "W086",
            "the report is too large",
            where=str(path),
            got=f"{len(page) / 1e6:.1f} MB",
            expected=f"under {MAX_BYTES / 1e6:.0f} MB",
            remedy="show fewer cases, previews or runs",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(page)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def render(content: ReportContent, *, fidelity: Fidelity = FIDELITIES[0]) -> str:
    """Make the page's HTML.

    Args:
        content: What to show.
        fidelity: How much of each picture to keep.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for function in _FUNCTIONS:
        environment.globals[function.__name__] = function
    script = (_HERE / "report.js").read_text(encoding="utf-8")
    numbers = count(1)
    worst, random = worst_first(content.pictures)
    return environment.get_template("report.html").render(
        content=content,
        headlines=wording.HEADLINES,
        exploratory=wording.exploratory_reason(content),
        safety=wording.safety_summary(content),
        remarks=trivial.trivial_remarks(content.comparisons),
        trivial_lines=trivial.trivial_lines(content.comparisons),
        trivial_similarity=trivial.trivial_similarity_sentences(content.similarity),
        swept=wording.swept_tasks((*content.scores, *content.comparisons)),
        tasks=boards.boards(content, numbers=numbers),
        open_rows=boards.OPEN_ROWS,
        shares=[(shift, plots.class_shares(shift, prefix=f"f{next(numbers)}")) for shift in content.quality],
        worst=[compared(case, fidelity=fidelity) for case in worst],
        random=[compared(case, fidelity=fidelity) for case in random],
        abreast=stand_abreast(len(worst), len(random)),
        trainings=[_training(curves, prefix=f"f{next(numbers)}", fidelity=fidelity) for curves in content.curves],
        alarms=runs.raised(content.runs),
        alarm_summary=runs.alarm_summary(content.runs),
        checkpoint_summary=runs.checkpoint_summary(content.runs),
        fidelity=fidelity,
        stamp=SYNTHETIC,
        style=(_HERE / "report.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def _training(curves: CurveSet, *, prefix: str, fidelity: Fidelity) -> Training:
    svg = plots.training_curves(curves, prefix=prefix) if curves.series and len(curves.steps) else ""
    previews = [(preview.step, data_uri(preview.picture, fidelity=fidelity)) for preview in curves.previews]
    return Training(curves, svg, previews)
