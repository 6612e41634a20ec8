"""Check: two domains side by side, and what differs too much between them."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from tiny_studies import brain_settings, brain_study, lesion_study, write_settings
from typer.testing import CliRunner

from medgan import cli
from medgan.errors import ManifestError
from medgan.manifests.case import Case
from medgan.manifests.catalogue import build_named
from medgan.manifests.manifest import write_manifest
from medgan.settings.preparation import Preparation
from medgan.settings.study import read_study
from medgan.stages import check_domains
from medgan.stages.check_differences import Domain, differences
from medgan.stages.check_domains import compare_domains, sample_of
from medgan.stages.check_facts import CaseFacts

MR = Preparation(preset="mr")
PHOTOGRAPH = Preparation(preset="photograph", size_px=64)


def fact(number=0, **changes):
    return replace(
        CaseFacts(
            case_id=f"c{number}",
            format="nifti",
            kind="grey volume",
            dtype="int16",
            unit="a.u.",
            size=(20, 100, 100),
            spacing_mm=(5.0, 1.0, 1.0),
            axis_codes="RAS",
            oblique_deg=0.0,
            percentiles=(0.0, 100.0, 400.0),
            field_share=0.4,
            label_shares={1: 0.02 + 0.001 * number},
        ),
        **changes,
    )


def domain(name, facts=None, *, grades=(0, 1), **changes):
    rows = [
        Case(case_id=f"{name}{n}", subject_id=f"s{n}", domain=name, image=str(n), grade=grades[n % len(grades)])
        for n in range(40)
    ]
    return Domain(name=name, cases=tuple(rows), facts=tuple(facts or [fact(n, **changes) for n in range(10)]))


def codes(source, target, preparation=MR):
    return [found.code for found in differences(source, target, preparation)]


def test_like_domains_have_no_finding():
    assert codes(domain("a"), domain("b")) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": (20, 160, 100)}, "G053"),
        ({"size": (100, 100, 100), "spacing_mm": (1.0, 1.0, 1.0)}, "G054"),
        ({"oblique_deg": 25.0}, "G055"),
        ({"kind": "RGB volume"}, "M064"),
        ({"unit": "HU"}, "M065"),
        ({"format": "jpeg"}, "M066"),
        ({"label_shares": {}}, "M060 M061"),
        ({"label_shares": {1: 0.2}}, "M060"),
        ({"label_shares": None}, ""),
        ({"axis_codes": "LPS", "percentiles": (0.0, 9.0, 40.0), "dtype": "uint16"}, ""),
    ],
)
def test_what_a_translator_would_learn_is_told(changes, code):
    assert codes(domain("a"), domain("b", **changes)) == code.split()


def test_hounsfield_units_without_their_rescale():
    ct = {"unit": "HU", "percentiles": (-100.0, 40.0, 900.0)}
    raw = {"unit": "HU", "percentiles": (900.0, 1064.0, 1900.0)}
    assert codes(domain("a", **ct), domain("b", **raw), Preparation(preset="ct")) == ["M063"]


def test_pictures_of_another_size():
    small = {"size": (100, 100), "spacing_mm": None, "kind": "RGB photograph"}
    assert codes(domain("a", **small), domain("b", **small | {"size": (190, 190)}), PHOTOGRAPH) == []
    assert codes(domain("a", **small), domain("b", **small | {"size": (300, 300)}), PHOTOGRAPH) == ["G053"]


def test_classes_of_other_shares_but_not_those_that_define_the_domains():
    assert codes(domain("a", grades=(0, 0, 0, 1)), domain("b", grades=(1, 1, 1, 0))) == ["M062"]
    assert codes(domain("a", grades=(0, 0, 1, 1)), domain("b", grades=(0, 0, 0, 1, 1))) == []
    assert codes(domain("a", grades=(0,)), domain("b", grades=(1,))) == []


def test_a_few_cases_are_not_enough_to_call_prevalence_different():
    few = [fact(n, label_shares={1: share}) for n, share in enumerate((0.001, 0.05, 0.1))]
    many = [fact(n, label_shares={1: share}) for n, share in enumerate((0.02, 0.09, 0.2))]
    assert codes(domain("a", few), domain("b", many)) == []


def test_a_sample_is_of_whole_pairs_and_does_not_depend_on_the_order():
    one = [Case(case_id=f"a{n}", subject_id=f"s{n}", domain="a", image="i", pair_id=f"p{n}") for n in range(20)]
    other = [Case(case_id=f"b{n}", subject_id=f"s{n}", domain="b", image="i", pair_id=f"p{n}") for n in range(20)]
    alone = [Case(case_id=f"c{n}", subject_id=f"t{n}", domain="b", image="i") for n in range(30)]
    drawn = sample_of(one, [*alone, *other], size=8, seed=1)
    assert len(drawn) == 8
    assert all(len(pair) == 2 and pair[0].pair_id == pair[1].pair_id for pair in drawn)
    assert drawn == sample_of(one[::-1], [*other, *alone][::-1], size=8, seed=1)
    assert drawn != sample_of(one, [*alone, *other], size=8, seed=2)
    assert len(sample_of(one, [*alone, *other], size=25, seed=1)) == 20 + 5
    assert len(sample_of(one, [*alone, *other], size=None, seed=1)) == 20 + 30


def test_brains_side_by_side_with_their_pairs(tmp_path):
    study = read_study(brain_study(tmp_path))
    told = compare_domains(study)
    assert told.findings == ()
    assert told.pairs_line.startswith("0 of 6 pairs shifted")
    assert ("orientation", "SPL", "SPL") in told.rows
    assert ("kind", "grey volume", "grey volume") in told.rows
    assert told.sample == "6 of 6 cases of t1 and 6 of 6 cases of flair read"
    part = compare_domains(study, sample=2)
    assert "2 of 6 cases of t1" in part.sample
    assert f"seed {study.split_seed}" in part.sample


@pytest.mark.parametrize(
    ("method", "recipe", "needed"),
    [
        ("pix2pix", {}, True),
        ("srgan", {}, True),
        ("srgan", {"low_resolution": "made"}, False),
        ("srgan", {"low_resolution": "no such"}, True),
        ("cyclegan", {}, False),
    ],
)
def test_pairs_matter_where_a_recipe_learns_by_them(tmp_path, method, recipe, needed):
    study = read_study(lesion_study(tmp_path))
    plan = study.translators[0].model_copy(update={"method": method, "recipe": recipe})
    assert check_domains._learns_by_pairs(study.model_copy(update={"translators": (plan,)})) is needed


def test_one_bad_case_costs_nothing_else(tmp_path):
    study = read_study(lesion_study(tmp_path))
    next(iter((tmp_path / "phantoms" / "clinical").glob("*.png"))).write_bytes(b"x")
    told = compare_domains(study)
    assert [finding.code for finding in told.findings if finding.severity == "error"] == ["R002"]
    assert len(told.target.facts) == len(told.target.cases) - 1


def test_without_a_data_root_or_a_domain(tmp_path):
    path = lesion_study(tmp_path)
    study = read_study(path)
    with pytest.raises(ManifestError, match=r"M040.*data_root"):
        compare_domains(study.model_copy(update={"data_root": tmp_path / "none"}))
    direction = study.direction.model_copy(update={"target": "none"})
    with pytest.raises(ManifestError, match=r"M004.*'none'"):
        compare_domains(study.model_copy(update={"direction": direction}))


class TestCommand:
    def test_table_json_and_status(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cli, "console", cli.Console(width=100))
        path = brain_study(tmp_path)
        out = tmp_path / "domains.json"
        result = CliRunner().invoke(cli.app, ["check", str(path), "--domains", "--sample", "3", "--json", str(out)])
        assert result.exit_code == 0, result.output
        assert "0 of 3 pairs shifted" in result.output
        assert "3 of 6 cases of t1 and 3 of 6 cases of flair read, chosen with seed" in result.output
        assert max(map(len, result.output.split("of t1")[0].splitlines()[:-1])) <= 100
        content = json.loads(out.read_text())
        assert [len(content["domains"][name]) for name in ("t1", "flair")] == [3, 3]
        assert all(max(map(abs, pair["voxels"])) < 0.75 for pair in content["pairs"])
        assert content["findings"] == []

    def test_findings_alone_as_json(self, tmp_path, monkeypatch):
        monkeypatch.setattr(cli, "console", cli.Console(width=100))
        path = lesion_study(tmp_path, subjects=12)
        picture = next(iter((tmp_path / "phantoms" / "clinical").glob("*.png")))
        Pillow.new("L", (32, 32), 5).save(picture)
        out = tmp_path / "check.json"
        result = CliRunner().invoke(cli.app, ["check", str(path), "--json", str(out)])
        assert result.exit_code == 1, result.output
        assert [one["code"] for one in json.loads(out.read_text())["findings"]] == ["M055"]


@pytest.mark.real_data
def test_real_pairs_are_not_called_shifted(tmp_path):
    data = Path(os.environ.get("MEDGAN_DATA", ""))
    if not (data / "brain_openms").is_dir():
        pytest.skip("MEDGAN_DATA names no folder with brain_openms")
    write_manifest(build_named(["brain_openms"], data), tmp_path / "m.csv")
    settings = brain_settings() | {"manifest": "m.csv", "data_root": str(data)}
    told = compare_domains(read_study(write_settings(tmp_path, settings)), sample=3)
    assert told.pairs_line.startswith("0 of 3 pairs shifted")
    assert np.max([np.abs(pair.shift.voxels) for pair in told.pairs]) < 0.5


def test_a_picture_that_cannot_be_read_is_named_by_its_case(tmp_path):
    path = lesion_study(tmp_path)
    study = read_study(path)
    spoilt = sorted((study.data_root / "clinical").glob("*.png"))
    for number, picture in enumerate(spoilt[:3]):
        raw = picture.read_bytes()
        picture.write_bytes((b"", raw[:60], b"no picture")[number])
    found = [one for one in compare_domains(study).findings if one.code.startswith("R")]
    assert len(found) == 3
    for one in found:
        assert one.where.startswith("row ")
        assert not [name.name for name in spoilt if name.name in str(one)]
        assert str(study.data_root) not in str(one)
