"""Left out: which cases a study goes on without, and why."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from medgan.errors import MedganError
from medgan.manifests.findings import Finding, finding_of
from medgan.manifests.manifest import Case, Manifest
from medgan.manifests.table import replace_text

FILE = "left_out.csv"
_MOST_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A case that a study goes on without.

    Args:
        case_id: The case; empty for a row that cannot be read.
        where: Its row.
        code: Code of the error.
        message: What is wrong.
        remedy: What the user can do.
    """

    case_id: str
    where: str
    code: str
    message: str
    remedy: str = ""


def left_out_by(error: MedganError, case: Case | None = None) -> LeftOut:
    """A case that an error takes out, or a row that is no case at all."""
    return _of_finding(finding_of(error), case)


def blamed(findings: Iterable[Finding], cases: Iterable[Case]) -> Iterator[tuple[Finding, LeftOut | None]]:
    """Errors among findings, each with the one case that is to blame; None where it is the study's as a whole.

    Two images alike, or a subject in two splits, are nobody's alone: which of the rows is wrong only a person can say.
    """
    known = {case.where: case for case in cases}
    for finding in findings:
        if finding.severity == "error":
            case = known.get(finding.where) or known.get(finding.where.rpartition(", ")[0])
            yield finding, None if case is None else _of_finding(finding, case)


def without(manifest: Manifest, left_out: Iterable[LeftOut]) -> Manifest:
    """The manifest of the cases that remain."""
    gone = {one.case_id for one in left_out}
    return replace(manifest, cases=tuple(case for case in manifest if case.case_id not in gone))


@contextmanager
def naming_left_out(left_out: Sequence[LeftOut]) -> Iterator[None]:
    """Let an error that ends a study that keeps going name what it went on without: often its cause."""
    try:
        yield
    except MedganError as error:
        if left_out:
            named = ", ".join(f"{one.where} [{one.code}]" for one in left_out[:_MOST_NAMED])
            more = f" and {len(left_out) - _MOST_NAMED} more" if len(left_out) > _MOST_NAMED else ""
            said = f"left out before: {named}{more}"
            error.remedy = f"{error.remedy}; {said}" if error.remedy else said
            error.args = (str(error),)
        raise


def write_left_out(left_out: Iterable[LeftOut], path: Path) -> None:
    """Write the table of what is left out, one row a case."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [entry.name for entry in fields(LeftOut)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(one) for one in left_out)
    replace_text(path, out.getvalue())


def read_left_out(path: Path) -> list[LeftOut]:
    """Read such a table; nothing is left out where there is none."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [LeftOut(**row) for row in csv.DictReader(file)]


def _of_finding(finding: Finding, case: Case | None) -> LeftOut:
    return LeftOut(
        case_id="" if case is None else case.case_id,
        where=finding.where if case is None else case.where,
        code=finding.code,
        message=finding.message,
        remedy=finding.remedy,
    )
