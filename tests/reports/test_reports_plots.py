"""Figures carry their numbers in words, follow the page's colours, and survive undefined values."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from medgan.errors import WriteError
from medgan.reports import plots
from medgan.reports.content import ClassCounts, CurveSet, ReportContent
from medgan.reports.forest import forest, is_drawable
from medgan.reports.sweep import score_by_cases, spread

NAN = math.nan


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_forest_labels_every_row_with_its_numbers_and_n(content: ReportContent) -> None:
    rows = [row for row in content.comparisons if row.metric == "Dice"]
    svg = forest(rows, confidence=0.95, prefix="f1")
    said = texts(svg)
    assert "+0.031 (+0.012 to +0.050)" in said
    assert sum(text.startswith("n = 41") for text in said) == len(rows)
    assert "undefined (n = 41)" in said
    assert "better →" in said
    assert "xmlns" not in svg
    assert "currentColor" in svg


def test_forest_turns_its_sides_where_lower_is_better(make_primary) -> None:
    said = texts(forest([make_primary(higher_is_better=False, margin=NAN)], confidence=0.9, prefix="f1"))
    assert "← better" in said
    assert any("90% interval" in text for text in said)


def test_score_by_cases_tells_arms_and_n(content: ReportContent) -> None:
    rows = [row for row in content.scores if row.target_cases is not None]
    rows[0] = replace(rows[0], value=NAN, low=NAN, high=NAN)
    said = texts(score_by_cases(rows, confidence=0.95, prefix="f1"))
    assert {"target-only", "+translated (CycleGAN)", "+translated (CUT)"} <= set(said)
    assert said.count("(n = 41)") == 3


def test_score_by_cases_puts_all_cases_last_and_names_undefined_arms(sweep: ReportContent) -> None:
    rows = [row for row in sweep.scores if row.metric == "dice"]
    rows = [replace(row, value=NAN, low=NAN, high=NAN) if row.arm == "transfer" else row for row in rows]
    said = texts(score_by_cases(rows[::-1], confidence=0.95, prefix="f1"))
    assert said.index("20") < said.index("all")
    assert "undefined: transfer" in said
    assert {row.arm for row in rows} - set(said) == {"transfer"}


def test_labels_are_spread_in_order_and_stay_inside() -> None:
    wanted = np.array([0.98, 0.1, 0.97, 0.99, 0.11])
    heights = spread(wanted, gap=0.15)
    assert (np.diff(heights[np.argsort(wanted)]) >= 0.15 - 1e-12).all()
    assert heights.min() >= 0
    assert heights.max() <= 1
    np.testing.assert_allclose(spread(np.array([0.9, 0.2]), gap=0.15), [0.9, 0.2])


def test_forest_groups_rows_by_target_cases_in_order(sweep: ReportContent) -> None:
    rows = [row for row in sweep.comparisons if row.metric == "dice"]
    said = texts(forest(rows[::-1], confidence=0.95, prefix="f1"))
    assert said.index("20 target cases") < said.index("all target cases")
    assert sum(text == "n = 74" for text in said) == len(rows) == 26


def test_forest_of_nothing_but_undefined_is_not_drawable(sweep: ReportContent, make_primary) -> None:
    rows = [row for row in sweep.comparisons if row.metric == "specificity"]
    assert not is_drawable(rows)
    assert is_drawable([*rows, make_primary()])


def test_each_line_of_a_label_is_a_text_of_its_own(make_primary) -> None:
    """matplotlib's own line breaks are laid out by another font than the browser's."""
    row = make_primary(arm="source images translated by a model with a name", primary=False)
    svg = forest([row], confidence=0.95, prefix="f1")
    lines = re.findall(r'<text style="([^"]*)"[^>]*>(source images[^<]*|a name against[^<]*)</text>', svg)
    assert len(lines) == 2
    assert all("text-anchor: end" in style for style, _ in lines)
    assert "DejaVu" not in svg


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


@pytest.mark.parametrize(("end", "scale"), [(2e6, "log"), (-2e6, "linear"), (20.0, "linear"), (NAN, "linear")])
def test_a_loss_over_orders_of_magnitude_has_a_logarithmic_axis(end: float, scale: str) -> None:
    curves = CurveSet(name="run", steps=[20, 40, 60], series={"adversarial": [3.0, 2.0, end]})
    axes = plots.curve_figure(curves).axes[0]
    assert axes.get_yscale() == scale
    if scale == "log":
        assert axes.yaxis.get_major_formatter()(1e6) == "1e+06"


def test_letters_that_the_measuring_font_lacks_are_kept(make_primary) -> None:
    assert "眼底" in forest([make_primary(arm="眼底")], confidence=0.95, prefix="f1")


def test_a_bold_label_of_the_forest_has_room(make_primary) -> None:
    """Bold letters are wider: "source images translated by cut against" was cut off in one line."""
    named = "source images translated by cut"
    primary = make_primary(arm=named, baseline="original source images")
    said = texts(forest([primary, replace(primary, primary=False)], confidence=0.95, prefix="f1"))
    assert "source images translated by cut against" in said
    assert said.count("source images translated by cut against") == 1
    assert "source images translated by cut" in said
