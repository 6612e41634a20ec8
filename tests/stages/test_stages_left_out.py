"""Left out: one bad case does not stop a study that keeps going, and nobody can miss that it is gone."""

import pytest
from tiny_studies import brain_study, lesion_study, medgan, run_here

from medgan.errors import MedganError
from medgan.manifests.manifest import read_manifest
from medgan.settings.study import read_study
from medgan.stages.arguments import JobArguments
from medgan.stages.left_out import read_left_out
from medgan.stages.materials import open_materials
from medgan.stages.prepare import run
from medgan.stages.progress import Progress


def prepare(study, folder):
    folder.mkdir(parents=True, exist_ok=True)
    return run(study, JobArguments(), folder, Progress(folder / "p.json", what="prepare", report=lambda line: None))


def spoil(path, number=0):
    """Cut one clinical picture in half; its case."""
    study = read_study(path)
    case = read_manifest(study.manifest, root=study.data_root).of_domain("clinical").cases[number]
    file = study.data_root / case.image
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return case


def test_without_the_option_the_first_bad_case_stops_the_study(tmp_path):
    path = lesion_study(tmp_path)
    spoil(path)
    with pytest.raises(MedganError, match=r"R00[45]"):
        prepare(read_study(path), tmp_path / "job")


def test_bad_cases_are_listed_and_the_others_go_on(tmp_path):
    path = lesion_study(tmp_path, keep_going=True)
    study = read_study(path)
    whole = read_manifest(study.manifest, root=study.data_root)
    cut = spoil(path)
    table = study.manifest.read_text().splitlines()
    clinical = [line for line in table if ",clinical," in line]
    absent, odd = clinical[2].split(",")[0], clinical[3].split(",")[0]
    table[table.index(clinical[2])] = clinical[2].replace("clinical/", "clinical/no-", 1)
    table[table.index(clinical[3])] = clinical[3].replace("masks/", "../masks/", 1)
    study.manifest.write_text("\n".join(table) + "\n")
    names = {file.name for file in prepare(study, tmp_path / "out" / "prepare")}
    assert names == {"splits.csv", "summary.json", "left_out.csv", "kept.json"}
    left_out = read_left_out(tmp_path / "out" / "prepare" / "left_out.csv")
    assert {one.code for one in left_out} <= {"R004", "R005", "M040", "M006"}
    assert {one.case_id for one in left_out} == {cut.case_id, absent, ""}
    remain = {case.case_id for case in open_materials(study).manifest}
    assert remain == {case.case_id for case in whole} - {cut.case_id, absent, odd}


def test_the_partner_of_a_case_that_is_left_out_goes_too(tmp_path):
    path = brain_study(tmp_path, keep_going=True)
    study = read_study(path)
    case = read_manifest(study.manifest, root=study.data_root).of_domain("flair").cases[0]
    (study.data_root / case.image).write_bytes(b"")
    prepare(study, tmp_path / "out" / "prepare")
    left_out = read_left_out(tmp_path / "out" / "prepare" / "left_out.csv")
    assert [one.code for one in left_out] == ["M042", "M044"]
    materials = open_materials(study)
    assert case.pair_id not in {other.pair_id for other in materials.manifest}
    assert len(materials.folds.train(0) | materials.folds.test(0)) == 5


def test_what_is_the_whole_study_s_fault_still_stops_it(tmp_path):
    path = brain_study(tmp_path, keep_going=True)
    study = read_study(path)
    for case in read_manifest(study.manifest, root=study.data_root).of_domain("flair").cases[:2]:
        (study.data_root / case.image).write_bytes(b"")
    with pytest.raises(
        MedganError, match=r"M022.*left out before: row \d+ \(case [^)]+\) \[M042\], row \d+ .*\[M042\]"
    ):  # too few
        prepare(study, tmp_path / "job")


def test_it_stops_it_too_where_no_case_is_left_out(tmp_path):
    path = lesion_study(tmp_path, keep_going=True)
    table = read_study(path).manifest
    rows = table.read_text().splitlines()
    again = next(row for row in rows if ",clinical," in row).replace("_clinical", "_again", 1)
    table.write_text("\n".join([*rows, again]) + "\n")
    with pytest.raises(MedganError, match="M043") as caught:
        prepare(read_study(path), tmp_path / "job")
    assert "left out" not in str(caught.value)


def test_the_command_ends_with_a_status_that_is_not_zero(tmp_path):
    path = lesion_study(tmp_path)
    case = spoil(path)
    assert medgan("prepare", path).returncode == 1
    ended = medgan("prepare", path, "--keep-going")
    assert ended.returncode == 1
    assert f"(case {case.case_id})" in ended.stdout
    assert "1 cases left out" in ended.stdout
    assert run_here(path, until="fold0/seed0/train/histogram") == ["fold0/seed0/train/histogram"]


@pytest.mark.multiprocess
def test_a_whole_run_goes_on_without_the_bad_case(tmp_path):
    path = lesion_study(tmp_path, tasks=[], primary=None, similarity=[])
    spoil(path)
    ended = medgan("run", path, "--keep-going", "--quiet")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "cases left out" in (tmp_path / "out" / "report" / "report.html").read_text()
    assert "1 cases left out" in ended.stdout
