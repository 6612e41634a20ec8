"""An invented study with every part that a report can show."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from medgan.reports.content import (
    AlarmMark,
    ArmPlan,
    AuditRow,
    BeforeAfter,
    ClassCounts,
    ComparisonRow,
    CurveSet,
    DataSource,
    DomainCount,
    Experiment,
    Fact,
    Measure,
    MissingCount,
    Preview,
    Provenance,
    QualityShift,
    ReportContent,
    RunRow,
    ScoreRow,
    SimilarityRow,
)
from medgan.reports.page import render

NAN = math.nan
BOOTSTRAP = "studentised bootstrap over subjects, 2,000 draws"
PAIRED = "mean paired difference over subjects, t interval; sign-flip p, 10,000 flips"


def primary_row(**changes: object) -> ComparisonRow:
    row = ComparisonRow(
        task="lesion segmentation",
        metric="Dice",
        arm="+translated (CycleGAN)",
        baseline="target-only",
        difference=0.0312,
        low=0.0121,
        high=0.0503,
        p=0.0021,
        p_holm=0.0084,
        margin=0.02,
        verdict="better",
        n_subjects=41,
        method=PAIRED,
        target_cases=20,
        primary=True,
    )
    return replace(row, **changes)


def comparisons() -> tuple[ComparisonRow, ...]:
    shared = {"primary": False}
    return (
        primary_row(),
        primary_row(**shared, target_cases=5, difference=0.071, low=0.031, high=0.111, p=0.0004, p_holm=0.0021),
        primary_row(
            **shared,
            target_cases=40,
            difference=0.004,
            low=-0.007,
            high=0.015,
            p=0.47,
            p_holm=0.94,
            verdict="equivalent",
        ),
        primary_row(
            **shared,
            baseline="+translated (histogram matching)",
            trivial_baseline=True,
            difference=-0.0042,
            low=-0.0310,
            high=0.0226,
            p=0.75,
            p_holm=0.94,
            verdict="inconclusive",
        ),
        primary_row(
            **shared,
            arm="+translated (CUT)",
            baseline="+translated (histogram matching)",
            trivial_baseline=True,
            difference=-0.0391,
            low=-0.0612,
            high=-0.0170,
            p=0.003,
            p_holm=0.009,
            verdict="worse",
        ),
        primary_row(
            **shared, arm="transfer", difference=NAN, low=NAN, high=NAN, p=NAN, p_holm=NAN, verdict="inconclusive"
        ),
        primary_row(
            **shared,
            metric="Hausdorff 95 (mm)",
            margin=NAN,
            difference=-1.83,
            low=-3.02,
            high=-0.64,
            p=0.006,
            p_holm=0.018,
            higher_is_better=False,
        ),
    )


def scores() -> tuple[ScoreRow, ...]:
    made = [
        ScoreRow(
            task="lesion segmentation",
            arm=arm,
            metric="Dice",
            value=value,
            low=value - half,
            high=value + half,
            n_subjects=41,
            n_images=164,
            undefined=3,
            method=BOOTSTRAP,
            tested_on="target, held-out folds",
            target_cases=cases,
        )
        for arm, values in {
            "target-only": (0.512, 0.634, 0.691),
            "+translated (CycleGAN)": (0.583, 0.665, 0.695),
            "+translated (CUT)": (0.551, 0.631, 0.688),
        }.items()
        for cases, value, half in zip((5, 20, 40), values, (0.051, 0.038, 0.032), strict=True)
    ]
    undefined = replace(
        made[0],
        arm="source-only",
        value=NAN,
        low=NAN,
        high=NAN,
        undefined=164,
        target_cases=None,
        metric="Hausdorff 95 (mm)",
    )
    return (*made, undefined)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2


def picture_pair(rng: np.random.Generator, size: int = 128) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make a round "retina" with a spot, a brighter copy, and the spot's mask."""
    field, spot = (
        disc((size, size), (size / 2, size / 2), size * 0.46),
        disc((size, size), (size * 0.4, size * 0.63), size * 0.1),
    )
    noise = rng.normal(0, 7, (size, size, 3))
    source = np.clip(field[..., None] * (np.array([120, 62, 34]) + noise) + spot[..., None] * 60, 0, 255)
    output = np.clip(source * 1.35 + field[..., None] * np.array([6, 12, 18]), 0, 255)
    return source.astype(np.uint8), output.astype(np.uint8), spot.astype(np.int16)


def cases() -> tuple[BeforeAfter, ...]:
    rng = np.random.default_rng(3)
    shown = []
    for index in range(5):
        source, output, mask = picture_pair(rng)
        worst = index in (1, 3)
        shown.append(
            BeforeAfter(
                case_id=f"{'W' if worst else 'R'}{index:03d}",
                source=source,
                output=output,
                reference=picture_pair(rng)[1] if index < 3 else None,
                source_mask=mask if index != 2 else None,
                note="lesion erased: 61 % of its area lost; grade 2 became 1" if worst else "no flag",
                source_label="Source: poor quality",
                output_label="Translated (CycleGAN)",
                reference_label="Real target, another subject",
                worst=worst,
            )
        )
    return tuple(shown)


def audit() -> tuple[AuditRow, ...]:
    row = AuditRow(
        name="Lesions erased",
        translator="CycleGAN",
        measured="share of lesions that a frozen segmenter finds on the source and not on the output",
        value=0.082,
        low=0.041,
        high=0.139,
        n_subjects=41,
        n_images=164,
        method="Wilson interval on subjects",
        flag="flagged",
        reason="upper end above 0.05, the limit set in the study",
    )
    return (
        row,
        replace(
            row,
            name="Grade flips",
            measured="share of grades that change",
            value=0.02,
            low=0.0,
            high=0.04,
            flag="clear",
            reason="upper end under 0.05",
        ),
        replace(
            row,
            name="Hidden information",
            measured="rise of the cycle error with noise on the output (ratio)",
            value=NAN,
            low=NAN,
            high=NAN,
            flag="undefined",
            reason="CUT has no way back",
        ),
    )


def curves() -> CurveSet:
    rng = np.random.default_rng(5)
    steps = list(range(0, 4000, 10))
    fall = np.exp(-np.array(steps) / 900)
    series = {
        name: (base + scale * fall + rng.normal(0, 0.06 * scale, len(steps))).tolist()
        for name, base, scale in [
            ("adversarial a→b", 0.4, 0.5),
            ("adversarial b→a", 0.45, 0.5),
            ("cycle", 0.8, 2.2),
            ("identity", 0.3, 1.1),
            ("discriminator a", 0.2, 0.3),
        ]
    }
    series["discriminator a"][180:200] = [NAN] * 20
    previews = tuple(Preview(step, np.hstack(picture_pair(rng, 96)[:2])) for step in (500, 1500, 4000))
    return CurveSet(
        name="CycleGAN, fold 1, seed 0",
        steps=steps,
        series=series,
        alarms=(AlarmMark(1800, "saturation", "discriminator a: mean loss 0.004, under 0.01 for 500 turns"),),
        previews=previews,
    )


def runs() -> tuple[RunRow, ...]:
    where = "fold1/seed0"
    return (
        RunRow(
            name=f"{where}/train/cyclegan",
            checkpoint="best",
            step=3500,
            total_steps=4000,
            score=-0.08412,
            scored_by="minus the sliced Wasserstein distance of 7 px patches to real target images",
            alarms=(
                AlarmMark(1800, "saturation", "discriminator a: mean loss 0.004, under 0.01 for 500 turns"),
                AlarmMark(3000, "checkerboard", "fake_b: a pattern of 2 x any px stands 41.2 times over"),
            ),
        ),
        RunRow(name=f"{where}/downstream/lesion/all/target-only", checkpoint="last", step=2000, total_steps=2000),
    )


def similarity() -> tuple[SimilarityRow, ...]:
    row = SimilarityRow(
        translator="CycleGAN",
        metric="PSNR (dB), data range 255, whole image",
        value=22.1,
        low=21.4,
        high=22.8,
        n_subjects=41,
        n_images=164,
        undefined=0,
        method=BOOTSTRAP,
        higher_is_better=True,
    )
    return (row, replace(row, translator="identity", value=23.0, low=22.2, high=23.8, trivial=True))


def build_content() -> ReportContent:
    return ReportContent(
        title="From poor to good fundus photographs",
        question="Does translating poor photographs into good ones help to segment lesions, and is it safe?",
        comparisons=comparisons(),
        scores=scores(),
        pictures=cases(),
        picture_seed=17,
        pictures_from=164,
        quality=(
            QualityShift(
                name="image quality",
                classes=("reject", "usable", "good"),
                sets=(
                    ClassCounts("original", (81, 60, 23), 41),
                    ClassCounts("CycleGAN", (12, 55, 97), 41),
                    ClassCounts("real target", (3, 31, 130), 39),
                ),
                judged_by="EfficientNet-B0, accuracy 0.87 (0.83 to 0.90), n = 400 images of 120 subjects",
                measures=(
                    Measure(
                        name="correlation of quality and severity, change",
                        value=-0.12,
                        low=-0.21,
                        high=-0.03,
                        n_subjects=41,
                        n_images=164,
                        method=BOOTSTRAP,
                    ),
                ),
            ),
        ),
        similarity=similarity(),
        audit=audit(),
        curves=(curves(),),
        runs=runs(),
        experiment=Experiment(
            folds=5,
            seeds=3,
            split="by subject, stratified by grade",
            arms=(
                ArmPlan(name="target-only", steps=4000, trained_on="20 labelled target cases"),
                ArmPlan(
                    name="+translated (CycleGAN)",
                    steps=4000,
                    trained_on="20 labelled target cases and 160 translated source cases",
                ),
            ),
            domains=(
                DomainCount(
                    domain="poor",
                    role="source",
                    n_subjects=80,
                    n_images=320,
                    n_labelled=320,
                    manifest_digest="9f2c" * 16,
                ),
                DomainCount(
                    domain="good",
                    role="target",
                    n_subjects=41,
                    n_images=164,
                    n_labelled=40,
                    manifest_digest="17ab" * 16,
                ),
            ),
            missing=(MissingCount(what="Hausdorff 95 (mm)", count=3, total=164, reason="empty mask"),),
        ),
        provenance=Provenance(
            date="2026-02-03",
            command="medgan report study.yaml",
            device="CPU, 8 threads",
            precision="bf16 autocast",
            versions=(Fact("medgan", "0.1.0"), Fact("torch", "2.13.0")),
            run_ids=("3fd1c2aa", "90be77d4"),
            settings=(Fact("study.yaml", "folds: 5\nseeds: 3\n"),),
            data=(DataSource(name="Invented retina", licence="CC0", citation="None: drawn for this test."),),
        ),
    )


SWEEP_METRICS = ("dice", "jaccard", "thresholded_jaccard", "pixel_accuracy", "sensitivity", "specificity")
SWEEP_ARMS = {  # rise over the baseline with few and with all target cases
    "target-only": (0.0, 0.0),
    "source-only": (-0.21, -0.26),
    "transfer": (0.031, 0.006),
    "source-beside": (0.022, -0.004),
    "translated-only": (-0.12, -0.17),
    "translated-before": (0.052, 0.011),
    "translated-beside": (0.047, 0.009),
    "matched-before": (0.036, 0.008),
    "matched-beside": (0.029, 0.001),
}
SWEEP_TRIVIAL = {
    "translated-only": ("source-only",),
    "translated-before": ("transfer", "matched-before"),
    "translated-beside": ("source-beside", "matched-beside"),
}
METHOD = "mean paired difference over subjects, t interval"


def sweep_scores() -> tuple[ScoreRow, ...]:
    return tuple(
        ScoreRow(
            task="lesion",
            arm=arm,
            metric=metric,
            value=base + rises[index],
            low=base + rises[index] - 0.04,
            high=base + rises[index] + 0.04,
            n_subjects=74,
            n_images=74,
            undefined=0,
            method="mean over subjects, t interval",
            tested_on="original images of the task's domains",
            target_cases=count,
        )
        for metric in SWEEP_METRICS
        for index, (count, base) in enumerate(((20, 0.61), (None, 0.74)))
        for arm, rises in SWEEP_ARMS.items()
    )


def sweep_comparison(metric: str, arm: str, baseline: str, *, index: int) -> ComparisonRow:
    difference = NAN if metric == "specificity" else SWEEP_ARMS[arm][index] - SWEEP_ARMS[baseline][index]
    low, high = difference - 0.025, difference + 0.025
    return ComparisonRow(
        task="lesion",
        metric=metric,
        arm=arm,
        baseline=baseline,
        difference=difference,
        low=low,
        high=high,
        p=0.01,
        p_holm=0.04,
        margin=0.02 if metric == "dice" else NAN,
        verdict="better" if low > 0 else "worse" if high < 0 else "inconclusive",
        n_subjects=74,
        method=METHOD,
        target_cases=(20, None)[index],
        primary=(metric, arm, baseline, index) == ("dice", "translated-before", "target-only", 1),
        trivial_baseline=baseline != "target-only",
    )


def build_sweep() -> ReportContent:
    """A study that varies the labelled target cases: nine arms, six metrics, 156 comparisons."""
    pairs = [(arm, "target-only") for arm in SWEEP_ARMS if arm != "target-only"]
    pairs += [(arm, other) for arm, others in SWEEP_TRIVIAL.items() for other in others]
    made = build_content()
    return replace(
        made,
        title="Clinical lesions",
        question="Does dermoscopy translated into clinical photographs help to segment lesions?",
        comparisons=tuple(
            sweep_comparison(metric, arm, baseline, index=index)
            for metric in SWEEP_METRICS
            for index in (0, 1)
            for arm, baseline in pairs
        ),
        scores=sweep_scores(),
        pictures=tuple(replace(case, reference=None, note="worst dice: 0.31") for case in made.pictures[::2]),
        quality=(),
        similarity=(),
        audit=(),
        curves=(),
    )


@pytest.fixture
def content() -> ReportContent:
    return build_content()


@pytest.fixture
def sweep() -> ReportContent:
    return build_sweep()


@pytest.fixture(scope="session")
def swept_page() -> str:
    """The page of the study that varies the labelled target cases."""
    return render(build_sweep())


@pytest.fixture
def make_primary() -> Callable[..., ComparisonRow]:
    return primary_row


@pytest.fixture(scope="session")
def full() -> str:
    """The page with every part."""
    return render(build_content())
