"""The page loads nothing, escapes everything, and never shows a number without its n and interval."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from medgan.errors import WriteError
from medgan.reports import page
from medgan.reports.content import AlarmMark, BeforeAfter, ClassCounts, CurveSet, Fact, Preview, ReportContent
from medgan.reports.page import render, write_report

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
ONE = rf"[+{MINUS}]?[\d,.]+"
NUMBER = re.compile(rf"^{ONE} \({ONE} to {ONE}\)$|^undefined \(.*\d+\)$")
HOSTILE = "<script>alert('x')</script>\"&$a_1$"


class Outline(HTMLParser):
    """Tags with their attributes, and tables as rows of cell texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self._cell = self._heading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        self._cell = tag in ("td", "th") or (self._cell and tag not in ("tr", "table"))
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append("")
            self._heading = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False
        if tag in ("h1", "h2", "h3", "h4"):
            self._heading = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data
        if self._heading:
            self.headings[-1] += data


def captions(text: str) -> list[str]:
    """Caption of each table; empty where it has none."""
    found = [re.search(r"<caption>(.*?)</caption>", table) for table in text.split("<table")[1:]]
    return [caption[1] if caption else "" for caption in found]


def bare(content: ReportContent) -> ReportContent:
    """Make a page quick to draw: no figures."""
    return replace(
        content, comparisons=(), scores=(), pictures=(), quality=(), similarity=(), audit=(), curves=(), runs=()
    )


def test_page_loads_nothing_from_outside(full: str) -> None:
    assert "http:" not in full
    assert "https:" not in full
    for tag, attributes in Outline(full).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/", "#")), (tag, attributes[name][:60])
    assert set(re.findall(r"url\((.)", full)) <= {"#"}
    assert "@import" not in full


def test_policy_forbids_loading_and_admits_the_script(full: str) -> None:
    import base64
    import hashlib

    policy = next(a["content"] for t, a in Outline(full).tags if a.get("http-equiv") == "Content-Security-Policy")
    script = re.search(r"<script>(.*)</script>", full, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"'sha256-{digest}'" in policy


def test_ids_are_unique_and_every_reference_has_its_target(full: str) -> None:
    tags = Outline(full).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', full))
    assert referred
    assert referred <= set(ids)


def test_all_text_is_escaped(content: ReportContent) -> None:
    picture = np.zeros((8, 8), np.uint8)
    hostile = replace(
        content,
        title=HOSTILE,
        question=HOSTILE,
        comparisons=tuple(
            replace(row, arm=HOSTILE, task=HOSTILE, metric=HOSTILE, method=HOSTILE) for row in content.comparisons[:4]
        ),
        scores=tuple(replace(row, arm=HOSTILE, metric=HOSTILE, tested_on=HOSTILE) for row in content.scores[:3]),
        pictures=(
            BeforeAfter(
                case_id=HOSTILE, source=picture, output=picture, note=HOSTILE, source_label=HOSTILE, worst=True
            ),
        ),
        quality=(replace(content.quality[0], name=HOSTILE, classes=(HOSTILE,), sets=(ClassCounts(HOSTILE, (3,), 2),)),),
        similarity=tuple(replace(row, metric=HOSTILE) for row in content.similarity),
        audit=tuple(replace(row, name=HOSTILE, reason=HOSTILE) for row in content.audit),
        curves=(
            CurveSet(
                name=HOSTILE,
                steps=[1, 2],
                series={HOSTILE: [1, 2]},
                alarms=(AlarmMark(1, HOSTILE, HOSTILE),),
                previews=(Preview(1, picture),),
            ),
        ),
        runs=(replace(content.runs[0], name=HOSTILE, scored_by=HOSTILE, alarms=(AlarmMark(1, HOSTILE, HOSTILE),)),),
        provenance=replace(content.provenance, command=HOSTILE, settings=(Fact(HOSTILE, HOSTILE),)),
    )
    text = render(hostile)
    assert text.count("<script") == 1
    assert "alert('x')" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    assert "&lt;script&gt;alert" in text
    assert sum(tag == "script" for tag, _ in Outline(text).tags) == 1
    assert not any(name.startswith("on") for _, attributes in Outline(text).tags for name in attributes)


def test_every_number_has_n_interval_and_method(full: str, content: ReportContent) -> None:
    checked = 0
    for (header, *rows), caption in zip(Outline(full).tables, captions(full), strict=True):
        columns = [cell.replace("\xa0", " ") for cell in header]
        values = [index for index, name in enumerate(columns) if name.endswith("(interval)")]
        for row in rows if values else []:
            if len(row) == 1:
                continue  # a group's heading
            assert NUMBER.search(row[values[0]]), row
            assert row[columns.index("Subjects")].isdigit()
            assert row[columns.index("Method")] if "Method" in columns else "Method: " in caption
            checked += 1
    measures = sum(len(shift.measures) for shift in content.quality)
    rows = (content.comparisons, content.scores, content.similarity, content.audit)
    assert checked == measures + sum(map(len, rows))


def test_undefined_is_shown_with_its_count(full: str) -> None:
    assert "undefined (164)" in full
    assert "undefined (n = 41)" in full
    assert ">nan" not in full.lower()


def test_verdict_stands_first_with_its_numbers(full: str) -> None:
    verdict = full[full.index('id="verdict"') : full.index("<nav")]
    for part in (
        "Better",
        "+0.031 (+0.012 to +0.050)",
        "n = 41",
        "0.002",
        "0.008",
        "±0.020",
        "sign-flip",
        "95% interval",
    ):
        assert part in verdict, part
    assert "1 of 3 checks raised a flag; 1 could not be made" in verdict
    assert "+translated (CycleGAN) could not be shown to beat +translated (histogram matching)" in verdict
    assert "CUT" not in verdict
    assert (
        full.index('id="verdict"') < full.index('id="scores"') < full.index('id="pictures"') < full.index('id="audit"')
    )


@pytest.mark.parametrize(
    ("verdict", "heading"),
    [
        ("better", "Better"),
        ("worse", "Worse"),
        ("equivalent", "Equivalent"),
        ("inconclusive", "Inconclusive: this study cannot tell"),
    ],
)
def test_each_verdict_is_the_first_heading(content: ReportContent, make_primary, verdict: str, heading: str) -> None:
    text = render(replace(bare(content), comparisons=(make_primary(verdict=verdict),)))
    assert Outline(text).headings[1].split() == ["Verdict", *heading.split()]
    assert f'class="verdict {verdict}"' in text


@pytest.mark.parametrize(("folds", "seeds", "stamped"), [(5, 3, False), (1, 3, True), (5, 1, True)])
def test_one_fold_or_one_seed_is_stamped_exploratory(
    content: ReportContent, folds: int, seeds: int, stamped: bool
) -> None:
    experiment = replace(content.experiment, folds=folds, seeds=seeds)
    assert ("EXPLORATORY" in render(replace(bare(content), experiment=experiment))) is stamped


def test_empty_parts_are_left_out(content: ReportContent) -> None:
    text = render(bare(content))
    headings = [heading.strip() for heading in Outline(text).headings]
    assert headings[2:] == ["The experiment", "Missing and undefined", "Provenance", "Data"]
    assert "No verdict" in text
    assert "No safety audit was made" in text
    assert "<svg" not in text


def test_worst_cases_come_first_then_random_ones(full: str) -> None:
    shown = re.findall(r"<h4>(\w+)</h4>", full)
    assert shown == ["W001", "W003", "R000", "R002", "R004"]
    assert full.index("Worst cases") < full.index("<h4>W001") < full.index("Random cases") < full.index("<h4>R000")
    assert "lesion erased" in full
    assert "Drawn at random (seed 17)" in full
    assert "5 of 164 translated cases" in full


def test_outlines_wait_to_be_asked_for(full: str) -> None:
    (box,) = [attributes for _, attributes in Outline(full).tags if attributes.get("id") == "outlines"]
    assert "checked" not in box
    assert 'class="outline"' in full


@pytest.mark.parametrize(("worst", "random", "abreast", "three"), [(3, 3, True, 0), (2, 3, False, 1), (0, 3, False, 1)])
def test_cases_fill_their_rows(content: ReportContent, worst: int, random: int, abreast: bool, three: int) -> None:
    chosen = [replace(content.pictures[index % 5], worst=index < worst) for index in range(worst + random)]
    text = render(replace(bare(content), pictures=tuple(chosen)))
    assert ('class="gallery referenced abreast"' in text) is abreast
    assert text.count('class="cases three"') == three


def test_sweep_shows_one_metric_and_folds_the_others(swept_page: str) -> None:
    scores = swept_page[swept_page.index('id="scores"') : swept_page.index('id="pictures"')]
    shown, *folded = re.split(r'<details class="metric">', scores)
    assert len(folded) == 5
    assert shown.count("<svg") == 2
    assert "Thresholded" not in shown
    assert "thresholded Jaccard (TJA, 0 below 0.65)" in folded[1]
    assert "26 differences: 7 better, 4 worse, 15 inconclusive" in folded[0]
    assert "Margin</th>" in shown
    assert "Margin</th>" not in "".join(folded)
    for raw in ("thresholded_jaccard", "pixel_accuracy", ">dice<", ">None<"):
        assert raw not in swept_page
    assert "worst Dice: 0.31" in swept_page


def test_forest_of_nothing_but_undefined_is_told_in_words(swept_page: str) -> None:
    part = swept_page[swept_page.index('<span class="metric">specificity (SP)') : swept_page.index('id="trivial"')]
    assert "No plot of the differences: all 26 are undefined." in part
    assert "Forest plot" not in part


def test_each_metric_has_one_table_of_scores(swept_page: str, sweep: ReportContent) -> None:
    tables = [rows for rows in Outline(swept_page).tables if "Tested on" in rows[0]]
    assert len(tables) == 6
    for header, *rows in tables:
        assert header[:3] == ["Arm", "Tested on", "Target cases"]
        assert {row[2] for row in rows} == {"20", "all"}
        assert len(rows) == 18


def test_margin_is_shown_only_where_one_was_declared(content: ReportContent, make_primary) -> None:
    rows = (make_primary(), make_primary(arm="other", primary=False, margin=float("nan")))
    (table,) = Outline(render(replace(bare(content), comparisons=rows))).tables[:1]
    at = table[0].index("Margin")
    assert [row[at] for row in table[1:] if len(row) > 1] == ["±0.020", NONE]


def test_all_that_speaks_of_trivial_baselines_stands_in_one_box_and_one_table(swept_page: str) -> None:
    verdict = swept_page[swept_page.index('id="verdict"') : swept_page.index("<nav")]
    assert verdict.count("Trivial baselines") == 1
    table = next(rows for rows in Outline(swept_page).tables if rows[0][0] == "Metric")
    assert len([row for row in table[1:] if len(row) > 1]) == 12
    assert table[2][1:] == [
        NONE,
        "translated-before against transfer, matched-beforetranslated-beside against source-beside, matched-beside",
        "translated-only over source-only",
    ]


def test_pictures_stand_side_by_side_without_the_script(full: str) -> None:
    pairs = full.split('<div class="compare"')[1:]
    assert len(pairs) == 5
    for pair in pairs:
        case = pair[: pair.index("</article>")]
        assert case.index('class="before"') < case.index('class="after"')
        assert case.count("<img ") == (3 if 'class="reference"' in case else 2)
        assert "<input" not in case
    assert all(attributes.get("alt") for tag, attributes in Outline(full).tags if tag == "img")
    assert all(
        attributes.get("aria-label") or attributes.get("aria-hidden")
        for tag, attributes in Outline(full).tags
        if tag == "svg"
    )


def test_page_is_stamped_synthetic(full: str) -> None:
    assert full.count("SYNTHETIC - NOT FOR DIAGNOSIS") == 2
    assert full.count('class="synthetic"') == 5


def test_same_content_gives_the_same_page(content: ReportContent) -> None:
    few = replace(bare(content), comparisons=content.comparisons[:2], pictures=content.pictures[:1])
    assert render(few) == render(few)


def test_written_page_is_under_the_limit(content: ReportContent, tmp_path: Path, monkeypatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    case = BeforeAfter(case_id="N1", source=noise, output=noise, note="noise", worst=False)
    monkeypatch.setattr(page, "MAX_BYTES", 600_000)
    write_report(replace(bare(content), pictures=(case,)), tmp_path / "made" / "report.html")
    written = (tmp_path / "made" / "report.html").read_text(encoding="utf-8")
    assert len(written.encode()) < 600_000
    assert "longer than 640 px" not in written
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["report.html"]


def test_too_large_a_page_is_refused_and_nothing_written(content: ReportContent, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(page, "MAX_BYTES", 1000)
    with pytest.raises(WriteError, match="W086"):
        write_report(bare(content), tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_failed_write_leaves_the_old_report(content: ReportContent, tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def refuse(self: Path, other: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_report(bare(content), target)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text() == "old"


def test_alarms_stand_beside_the_verdict_and_in_a_table_with_run_step_and_reason(full: str) -> None:
    verdict = full[full.index('id="verdict"') : full.index("<nav")]
    assert "Training raised alarms in 1 of 2 runs: checkerboard, saturation." in verdict
    (table,) = [rows for rows in Outline(full).tables if rows[0][:3] == ["Run", "Step", "Alarm"]]
    assert [row[:3] for row in table[1:]] == [
        ["fold1/seed0/train/cyclegan", "1,800", "saturation"],
        ["fold1/seed0/train/cyclegan", "3,000", "checkerboard"],
    ]
    assert table[1][3].startswith("discriminator a: mean loss 0.004")


def test_each_runs_checkpoint_is_told(full: str, content: ReportContent) -> None:
    (table,) = [rows for rows in Outline(full).tables if rows[0][:2] == ["Run", "Checkpoint"]]
    assert [row[1:5] for row in table[1:]] == [["best", "3,500", "4,000", "-0.08412"], ["last", "2,000", "2,000", NONE]]
    assert (
        "Of 1 of 2 runs the checkpoint that scored best on held-out training subjects was used; of the other 1" in full
    )
    last = render(replace(bare(content), runs=content.runs[1:]))
    assert "The run's last checkpoint was used; none was chosen by a score." in last.replace("&#39;", "'")
    assert "No alarm in 1 run." in last
