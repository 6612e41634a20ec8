"""The numbers that a report shows: scores, differences, shifts, similarity and safety checks."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from medgan.errors import WriteError

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]
Flag = Literal["clear", "flagged", "undefined"]


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """How one arm scored on one task.

    Args:
        task: What the downstream model does, such as ``"lesion segmentation"``.
        arm: Way of training, such as ``"target-only"``.
        metric: Name as the metrics have it (``"hd95"``), which the page puts into words, or any other, shown as it is.
        value: Estimate in the metric's unit; NaN where undefined.
        low: Lower end of the interval, same unit.
        high: Upper end of the interval, same unit.
        n_subjects: Subjects behind the value.
        n_images: Images behind the value.
        undefined: Images whose score is undefined, counted and not in the value.
        method: How the interval was made.
        tested_on: Domain and split the score is from.
        target_cases: Labelled target cases trained on; None for all of them, and where the study does not vary them.
    """

    task: str
    arm: str
    metric: str
    value: float
    low: float
    high: float
    n_subjects: int
    n_images: int
    undefined: int
    method: str
    tested_on: str
    target_cases: int | None = None


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """A paired difference between two arms, arm minus baseline.

    Args:
        task: See `ScoreRow`.
        metric: See `ScoreRow`.
        arm: The arm in question.
        baseline: The arm it is held against.
        difference: Mean paired difference in the metric's unit; NaN where undefined.
        low: Lower end of its interval.
        high: Upper end of its interval.
        p: Unadjusted p; NaN where there is none.
        p_holm: p after Holm's adjustment; NaN where there is none.
        margin: Largest difference that is too small to matter, positive; NaN where the study declared none.
        verdict: What follows, decided where the statistics are made.
        n_subjects: Paired subjects.
        method: How interval and p were made.
        target_cases: See `ScoreRow`.
        primary: Whether the study named this as its main comparison.
        higher_is_better: Direction of the metric.
        trivial_baseline: Whether the baseline learns nothing (identity, histogram matching).

    Raises:
        WriteError: If there is no such verdict (W080).
    """

    task: str
    metric: str
    arm: str
    baseline: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    margin: float
    verdict: Verdict
    n_subjects: int
    method: str
    target_cases: int | None = None
    primary: bool = False
    higher_is_better: bool = True
    trivial_baseline: bool = False

    def __post_init__(self) -> None:
        if self.verdict not in ("better", "worse", "equivalent", "inconclusive"):
            raise WriteError(
                "W080",
                "no such verdict",
                where=f"comparison {self.arm} against {self.baseline}",
                got=repr(self.verdict),
                expected="better, worse, equivalent or inconclusive",
            )


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number with its interval.

    Args:
        name: What was measured, with its unit.
        value: Estimate; NaN where undefined.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n_subjects: Subjects behind it.
        n_images: Images behind it.
        method: How value and interval were made.
    """

    name: str
    value: float
    low: float
    high: float
    n_subjects: int
    n_images: int
    method: str


class ClassCounts(NamedTuple):
    """How many images of one set fall into each class, such as ``("original", (30, 12, 8), 41)``."""

    name: str
    counts: tuple[int, ...]
    n_subjects: int


@dataclass(frozen=True, kw_only=True)
class QualityShift:
    """How the classes of the images moved with translation.

    Args:
        name: What is classified, such as ``"image quality"``.
        classes: Class names, worst to best where they have an order.
        sets: One per set of images (original, each translator, real target), counts in the order of `classes`.
        judged_by: Who assigned the classes, such as ``"EfficientNet-B0, accuracy 0.87 (0.83 to 0.90), n = 400"``.
        measures: Numbers about the shift, each with its interval.

    Raises:
        WriteError: If counts and classes do not fit (W083).
    """

    name: str
    classes: tuple[str, ...]
    sets: tuple[ClassCounts, ...]
    judged_by: str
    measures: tuple[Measure, ...] = ()

    def __post_init__(self) -> None:
        for name, counts, _ in self.sets:
            if len(counts) != len(self.classes):
                raise WriteError(
                    "W083",
                    "one count per class is needed",
                    where=f"{self.name}, {name}",
                    got=str(len(counts)),
                    expected=str(len(self.classes)),
                )


@dataclass(frozen=True, kw_only=True)
class SimilarityRow:
    """How near outputs come to the pictures they should equal or resemble.

    Args:
        translator: Method or trivial baseline.
        metric: Name with unit, features, data range, mask and crop as they apply.
        value: Estimate; NaN where undefined.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n_subjects: Subjects behind it.
        n_images: Images behind it.
        undefined: Images whose score is undefined.
        method: How value and interval were made.
        higher_is_better: Direction of the metric.
        trivial: Whether the translator learns nothing.
    """

    translator: str
    metric: str
    value: float
    low: float
    high: float
    n_subjects: int
    n_images: int
    undefined: int
    method: str
    higher_is_better: bool
    trivial: bool = False


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One safety check of one translator.

    Args:
        name: Name of the check.
        translator: Whose outputs were checked.
        measured: What was measured, in words, with its unit.
        value: Estimate; NaN where undefined.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n_subjects: Subjects behind it.
        n_images: Images behind it.
        method: How value and interval were made.
        flag: ``"clear"``, ``"flagged"`` or ``"undefined"`` (the check could not be made).
        reason: Why it was flagged, cleared or left undefined.

    Raises:
        WriteError: If there is no such flag (W080).
    """

    name: str
    translator: str
    measured: str
    value: float
    low: float
    high: float
    n_subjects: int
    n_images: int
    method: str
    flag: Flag
    reason: str

    def __post_init__(self) -> None:
        if self.flag not in ("clear", "flagged", "undefined"):
            raise WriteError(
                "W080",
                "no such flag",
                where=f"check {self.name} of {self.translator}",
                got=repr(self.flag),
                expected="clear, flagged or undefined",
            )
