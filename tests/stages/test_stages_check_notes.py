"""Remarks of reading reach the user: once a kind, with the first case and how many more."""

import json

import numpy as np
import pytest
from PIL import Image as Pillow
from tiny_studies import lesion_study, run_here

from medgan.manifests.case import Case
from medgan.settings.study import read_study
from medgan.stages.check import check_study
from medgan.stages.check_notes import note_findings


def case(number):
    return Case(case_id=f"c{number}", subject_id="s", domain="a", image="x", row=number)


def test_each_kind_is_told_once_with_its_first_case():
    told = list(
        note_findings(
            [
                (case(2), ["qform and sform differ by up to 3; sform taken", "volume 1 of 3"]),
                (case(3), []),
                (case(4), ["qform and sform differ by up to 1.5e-3; sform taken", "1 localizers left out"]),
                (case(5), ["qform and sform differ by up to 7; sform taken"]),
            ]
        )
    )
    assert [(one.code, one.severity, one.where) for one in told] == [
        ("R060", "warning", "row 2 (case c2)"),
        ("R060", "warning", "row 4 (case c4)"),
    ]
    assert told[0].message == "read with a remark: qform and sform differ by up to 3; sform taken; so have 2 more"
    assert told[1].message == "read with a remark: 1 localizers left out"


@pytest.fixture
def study(tmp_path):
    """Lesions of which two pictures are turned by EXIF, with masks that are turned the same way."""
    path = lesion_study(tmp_path, subjects=12)
    study = read_study(path)
    for picture in sorted((study.data_root / "clinical").glob("*.png"))[:2]:
        exif = Pillow.Exif()
        exif[0x0112] = 3
        for place in (picture, study.data_root / "masks" / picture.name):
            with Pillow.open(place) as opened:
                pixels = np.array(opened)
            Pillow.fromarray(pixels).save(place, exif=exif)
    return path


def test_a_check_warns_and_preparing_counts(study):
    found = [one for one in check_study(read_study(study)) if one.code == "R060"]
    assert len(found) == 1
    assert "EXIF orientation 3 applied; so have 1 more" in found[0].message
    run_here(study, until="prepare")
    summary = json.loads((read_study(study).output / "prepare" / "summary.json").read_text())
    assert summary["notes"] == {"EXIF orientation ... applied": 2}
