"""Everything that a report shows, as frozen records of plain fields."""

from dataclasses import dataclass
from typing import NamedTuple

from medgan.reports.exhibits import AlarmMark, BeforeAfter, CurveSet, Preview
from medgan.reports.rows import (
    AuditRow,
    ClassCounts,
    ComparisonRow,
    Flag,
    Measure,
    QualityShift,
    ScoreRow,
    SimilarityRow,
    Verdict,
)
from medgan.reports.runs import RunRow

__all__ = [
    "AlarmMark",
    "ArmPlan",
    "AuditRow",
    "BeforeAfter",
    "ClassCounts",
    "ComparisonRow",
    "CurveSet",
    "DataSource",
    "DomainCount",
    "Experiment",
    "Fact",
    "Flag",
    "Measure",
    "MissingCount",
    "Preview",
    "Provenance",
    "QualityShift",
    "ReportContent",
    "RunRow",
    "ScoreRow",
    "SimilarityRow",
    "Verdict",
]


class Fact(NamedTuple):
    """A name and a value in words, such as ``("torch", "2.13.0")``."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ArmPlan:
    """One arm of the experiment: its name, training steps of the downstream model, and what it is trained on."""

    name: str
    steps: int
    trained_on: str


@dataclass(frozen=True, kw_only=True)
class DomainCount:
    """Cases of one domain.

    Args:
        domain: Name.
        role: ``"source"`` or ``"target"``.
        n_subjects: Subjects.
        n_images: Cases (rows of the manifest).
        n_labelled: Cases with a label.
        manifest_digest: SHA-256 of the manifest they come from, hexadecimal.
    """

    domain: str
    role: str
    n_subjects: int
    n_images: int
    n_labelled: int
    manifest_digest: str


@dataclass(frozen=True, kw_only=True)
class MissingCount:
    """What is not in the numbers: what it is, how many of how many, and why."""

    what: str
    count: int
    total: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """How the numbers were made.

    Args:
        folds: Outer folds that were run, not those planned.
        seeds: Seeds that were run.
        split: How folds were cut, such as ``"by subject, stratified by grade"``.
        arms: Arms of the downstream training.
        domains: Cases per domain.
        missing: Missing jobs and undefined scores.
        notes: Anything else a reader should know.
    """

    folds: int
    seeds: int
    split: str
    arms: tuple[ArmPlan, ...] = ()
    domains: tuple[DomainCount, ...] = ()
    missing: tuple[MissingCount, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_exploratory(self) -> bool:
        """Whether one fold or one seed leaves run-to-run variation unmeasured."""
        return self.folds <= 1 or self.seeds <= 1


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set's name, licence and citation."""

    name: str
    licence: str
    citation: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the report comes from.

    Args:
        date: ISO 8601 date or time of the report.
        command: Command line that made it.
        device: What the models ran on.
        precision: Number format of training and translation.
        versions: Package -> version.
        run_ids: Runs that the numbers come from.
        settings: Name of a study file or recipe -> its text; shown collapsed.
        data: Licences and citations.
    """

    date: str
    command: str
    device: str
    precision: str
    versions: tuple[Fact, ...] = ()
    run_ids: tuple[str, ...] = ()
    settings: tuple[Fact, ...] = ()
    data: tuple[DataSource, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportContent:
    """Everything on the page; parts left empty are left out.

    Args:
        title: Name of the study.
        question: The study's question, one sentence.
        experiment: How the numbers were made.
        provenance: Where the page comes from.
        confidence: Level of every interval, in (0, 1).
        comparisons: Paired differences; those marked primary carry the verdict.
        scores: Scores per task and arm.
        pictures: Before and after; the worst come first on the page, each group in the order given.
        picture_seed: Seed that drew the random pictures.
        pictures_from: How many translated cases the pictures were chosen from.
        quality: Shifts in class distribution.
        similarity: Similarity of outputs to references.
        audit: Safety checks; empty means that none was made, and the page says so beside the verdict.
        curves: Training curves, one per run.
        runs: Every training run: its checkpoint and its alarms.
    """

    title: str
    question: str
    experiment: Experiment
    provenance: Provenance
    confidence: float = 0.95
    comparisons: tuple[ComparisonRow, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    pictures: tuple[BeforeAfter, ...] = ()
    picture_seed: int | None = None
    pictures_from: int | None = None
    quality: tuple[QualityShift, ...] = ()
    similarity: tuple[SimilarityRow, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    curves: tuple[CurveSet, ...] = ()
    runs: tuple[RunRow, ...] = ()

    @property
    def primary(self) -> tuple[ComparisonRow, ...]:
        """The comparisons that the study named as its main ones."""
        return tuple(row for row in self.comparisons if row.primary)
