"""What the words claim is what the interval allows."""

import math
from dataclasses import replace

import pytest

from medgan.errors import WriteError
from medgan.reports import names, trivial, wording
from medgan.reports.content import ReportContent

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.7123, "0.712"),
        (0.00123, "0.0012"),
        (12.3456, "12.35"),
        (123.456, "123.5"),
        (12345.6, "12,346"),
        (0.0, "0.000"),
        (-0.5, "\N{MINUS SIGN}0.500"),
        (math.inf, "∞"),
        (NAN, "undefined"),
    ],
)
def test_number(value: float, written: str) -> None:
    assert wording.number(value) == written


def test_estimate_keeps_decimals_alike_and_never_hides_a_missing_interval() -> None:
    assert wording.estimate(9.5, 8.0, 11.25, n=4) == "9.50 (8.00 to 11.25)"
    assert wording.estimate(0.5, NAN, NAN, n=4) == "0.500 (interval undefined)"
    assert wording.estimate(NAN, NAN, NAN, n=4, undefined=7) == "undefined (7)"
    assert wording.estimate(NAN, NAN, NAN, n=4, undefined=0) == "undefined (n = 4)"


def test_better_within_the_margin_is_said_to_be_too_small_to_matter(make_primary) -> None:
    said = wording.explanation(make_primary(difference=0.010, low=0.004, high=0.016, margin=0.02))
    assert "did better" in said
    assert "too small to matter" in said


def test_better_across_the_margin_is_hedged_and_beyond_it_is_not(make_primary) -> None:
    assert "not ruled out" in wording.explanation(make_primary(low=0.012, high=0.05, margin=0.02))
    assert "ruled out" not in wording.explanation(make_primary(low=0.03, high=0.05, margin=0.02))


def test_worse_says_so(make_primary) -> None:
    said = wording.explanation(make_primary(verdict="worse", difference=-0.06, low=-0.09, high=-0.03))
    assert "did worse than target-only on Dice in the lesion segmentation task with 20 target cases." in said


def test_sentences_use_display_names(make_primary) -> None:
    row = make_primary(
        arm="source images translated by cyclegan", task="quality", metric="expected_class", target_cases=None, low=0.03
    )
    said = "Source images translated by cyclegan did better than target-only on expected class (0 = worst)"
    assert wording.explanation(row) == f"{said} in the quality task."
    assert wording.explanation(row, swept=True) == f"{said} in the quality task with all target cases."


def test_every_metric_has_a_name_for_readers_and_others_pass_through() -> None:
    from medgan.metrics.catalogue import CATALOGUE

    assert set(CATALOGUE) | {"expected_class"} == set(names.METRIC_NAMES)
    assert not any("_" in names.metric_name(name) for name in CATALOGUE)
    assert names.metric_name("hd95_px_2") == "Hausdorff 95 % (px), class 2"
    assert names.metric_name("new_score") == "new_score"
    assert names.in_text("C_dice_7 by new_score, lesion dice_2") == "C_dice_7 by new_score, lesion Dice, class 2"


def test_equivalent_names_the_margin(make_primary) -> None:
    said = wording.explanation(make_primary(verdict="equivalent", difference=0.001, low=-0.009, high=0.011))
    assert "lies within ±0.020, declared beforehand" in said


def test_inconclusive_is_not_evidence_of_no_difference(make_primary) -> None:
    said = wording.explanation(make_primary(verdict="inconclusive", low=-0.01, high=0.05, margin=NAN))
    assert "harm, gain and no difference" in said
    assert "No margin was declared" in said
    assert "not evidence of no difference" in said


def test_undefined_difference_claims_nothing(make_primary) -> None:
    said = wording.explanation(make_primary(verdict="inconclusive", difference=NAN, low=NAN, high=NAN))
    assert said.endswith("is undefined, so nothing follows.")


def test_trivial_remarks_tell_of_the_primary_arm_then_of_all(content: ReportContent) -> None:
    first, second = trivial.trivial_remarks(content.comparisons)
    assert first.words == (
        "On Dice in the lesion segmentation task with 20 target cases, +translated (CycleGAN) could not be shown to "
        "beat +translated (histogram matching)."
    )
    assert "2 comparisons with such baselines: 1 lost (on Dice), 1 open or undefined." in second.words
    assert not first.favourable
    assert not second.favourable


def test_trivial_remarks_join_gains_and_shortfalls(make_primary) -> None:
    against = {"primary": False, "trivial_baseline": True, "target_cases": None}
    rows = [
        make_primary(target_cases=None),
        make_primary(baseline="identity", **against),
        make_primary(baseline="matched", verdict="worse", **against),
        make_primary(baseline="blurred", difference=NAN, low=NAN, high=NAN, verdict="inconclusive", **against),
        make_primary(arm="matched", baseline="identity", verdict="worse", **against),
    ]
    first, second = trivial.trivial_remarks(rows)
    assert first.words.endswith(
        "+translated (CycleGAN) beat identity but lost to matched and could not be compared with blurred."
    )
    assert "3 comparisons" in second.words  # one trivial baseline against another says nothing of translation
    (line,) = trivial.trivial_lines(rows)
    assert line.lost == ("+translated (CycleGAN) to matched",)
    assert line.open == ("+translated (CycleGAN) against blurred (undefined)",)
    assert line.won == ("+translated (CycleGAN) over identity",)


def test_trivial_remarks_are_never_more_than_three(sweep: ReportContent) -> None:
    rows = [replace(row, primary=row.metric in ("dice", "jaccard", "sensitivity")) for row in sweep.comparisons]
    assert len(trivial.trivial_remarks(rows)) == 3
    assert trivial.trivial_remarks([]) == []


def test_only_gains_over_trivial_baselines_are_favourable(make_primary) -> None:
    rows = [make_primary(), make_primary(baseline="identity", primary=False, trivial_baseline=True)]
    assert all(remark.favourable for remark in trivial.trivial_remarks(rows))


def test_missing_trivial_baseline_is_said(make_primary) -> None:
    (remark,) = trivial.trivial_remarks([make_primary()])
    assert remark.words.startswith("No arm was compared with a baseline that learns nothing")


@pytest.mark.parametrize(("higher_is_better", "said"), [(True, 1), (False, 0)])
def test_similarity_below_identity_is_said(content: ReportContent, higher_is_better: bool, said: int) -> None:
    rows = [replace(row, higher_is_better=higher_is_better) for row in content.similarity]
    sentences = trivial.trivial_similarity_sentences(rows)
    assert len(sentences) == said
    assert all(sentence.startswith("CycleGAN is no better than identity") for sentence in sentences)


def test_safety_summary_never_claims_safety(content: ReportContent) -> None:
    clear = replace(content, audit=(replace(content.audit[1]),))
    assert wording.safety_summary(clear) == "No flag among 1 checks. That is not a proof of safety."
    assert "No safety audit was made" in wording.safety_summary(replace(content, audit=()))


def test_unknown_verdict_and_flag_are_refused(content: ReportContent, make_primary) -> None:
    with pytest.raises(WriteError, match="W080"):
        make_primary(verdict="good")
    with pytest.raises(WriteError, match="W080"):
        replace(content.audit[0], flag="ok")
