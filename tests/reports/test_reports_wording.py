"""What the words claim is what the interval allows."""

import math
from dataclasses import replace

import pytest

from medgan.errors import WriteError
from medgan.reports import wording
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


def test_better_within_the_margin_is_said_to_be_too_small_to_matter(make_primary) -> None:
    said = wording.explanation(make_primary(difference=0.010, low=0.004, high=0.016, margin=0.02))
    assert "did better" in said
    assert "too small to matter" in said


def test_better_across_the_margin_is_hedged_and_beyond_it_is_not(make_primary) -> None:
    assert "not ruled out" in wording.explanation(make_primary(low=0.012, high=0.05, margin=0.02))
    assert "ruled out" not in wording.explanation(make_primary(low=0.03, high=0.05, margin=0.02))


def test_worse_says_so(make_primary) -> None:
    said = wording.explanation(make_primary(verdict="worse", difference=-0.06, low=-0.09, high=-0.03))
    assert "did worse than target-only on Dice" in said


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


def test_trivial_remarks_put_losers_first_and_tell_the_numbers(content: ReportContent) -> None:
    first, second = wording.trivial_remarks(content.comparisons)
    assert "(CUT) loses to" in first.words
    assert "n = 41 subjects" in first.words
    assert "\N{MINUS SIGN}0.039 (\N{MINUS SIGN}0.061 to \N{MINUS SIGN}0.017)" in first.words
    assert "was not shown to beat" in second.words
    assert not first.favourable
    assert not second.favourable


def test_missing_trivial_baseline_is_said(make_primary) -> None:
    (remark,) = wording.trivial_remarks([make_primary()])
    assert remark.words.startswith("No arm was compared with a baseline that learns nothing")


@pytest.mark.parametrize(("higher_is_better", "said"), [(True, 1), (False, 0)])
def test_similarity_below_identity_is_said(content: ReportContent, higher_is_better: bool, said: int) -> None:
    rows = [replace(row, higher_is_better=higher_is_better) for row in content.similarity]
    sentences = wording.trivial_similarity_sentences(rows)
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
