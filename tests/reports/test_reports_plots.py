"""Figures carry their numbers in words, follow the page's colours, and survive undefined values."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from medgan.errors import WriteError
from medgan.reports import plots
from medgan.reports.content import ClassCounts, CurveSet, ReportContent

NAN = math.nan


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_forest_labels_every_row_with_its_numbers_and_n(content: ReportContent) -> None:
    rows = [row for row in content.comparisons if row.metric == "Dice"]
    svg = plots.forest(rows, confidence=0.95, prefix="f1")
    said = texts(svg)
    assert "+0.031 (+0.012 to +0.050)" in said
    assert sum(text.startswith("n = 41") for text in said) == len(rows)
    assert "undefined (n = 41)" in said
    assert "better →" in said
    assert "xmlns" not in svg
    assert "currentColor" in svg


def test_forest_turns_its_sides_where_lower_is_better(make_primary) -> None:
    said = texts(plots.forest([make_primary(higher_is_better=False, margin=NAN)], confidence=0.9, prefix="f1"))
    assert "← better" in said
    assert any("90% interval" in text for text in said)


def test_score_by_cases_tells_arms_and_n(content: ReportContent) -> None:
    rows = [row for row in content.scores if row.target_cases is not None]
    rows[0] = replace(rows[0], value=NAN, low=NAN, high=NAN)
    said = texts(plots.score_by_cases(rows, confidence=0.95, prefix="f1"))
    assert {"target-only", "+translated (CycleGAN)", "+translated (CUT)"} <= set(said)
    assert said.count("(n = 41)") == 3


def test_class_shares_show_counts(content: ReportContent) -> None:
    said = texts(plots.class_shares(content.quality[0], prefix="f1"))
    assert {"81", "97", "130", "reject", "usable", "good"} <= set(said)
    assert "n = 164 images, 39 subjects" in said


def test_counts_must_fit_the_classes(content: ReportContent) -> None:
    with pytest.raises(WriteError, match="W083"):
        replace(content.quality[0], sets=(ClassCounts("original", (1, 2), 3),))


def test_curves_stay_small_and_survive_what_is_not_finite() -> None:
    steps = list(range(20_000))
    series = {"cycle": np.linspace(2, 1, 20_000).tolist(), "identity": [NAN] * 20_000, "d_a": [math.inf] * 20_000}
    svg = plots.training_curves(CurveSet(name="run", steps=steps, series=series), prefix="f1")
    assert {"cycle", "identity", "d_a"} <= set(texts(svg))
    assert len(svg) < 60_000


def test_letters_that_the_measuring_font_lacks_are_kept(make_primary) -> None:
    assert "眼底" in plots.forest([make_primary(arm="眼底")], confidence=0.95, prefix="f1")
