import csv
import os
from pathlib import Path

import pytest

from medgan import discover
from medgan.errors import DiscoverError, ManifestError
from medgan.manifests.catalogue import build_named, collections, names
from medgan.manifests.checks import LabelNeed, Needs, check_manifest
from medgan.manifests.counts import count_domains, counts_table
from medgan.manifests.manifest import Case, Manifest, read_manifest
from medgan.manifests.masks import mask_and_image

COMMITTED = Path(__file__).parents[2] / "data_manifests"

ISIC = """path,group_id,image_id,mask,melanoma,seborrheic_keratosis,age,sex
i/1.jpg,G1,I1,m/1.png,1,0,unknown,male
i/2.jpg,G1,I2,,0,0,30,female
"""
PADUFES = """path,patient_id,image_id,lesion_id,mask,mask2,diagnostic,age,gender,fitzpatrick
i/1.jpg,P1,P1_1,7,m/1.png,,NEV,41,nan,nan
i/2.jpg,P1,P1_2,7,,,MEL,41,FEMALE,2.0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, table in (("derm_isic2017", ISIC), ("derm_padufes", PADUFES)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "manifest.csv").write_text(table)
    return tmp_path


def test_collection_joins_its_sources_and_keeps_cases_with_masks(root: Path) -> None:
    first, second = build_named(["clinical_lesions"], root)
    assert (first.domain, first.subject_id, first.mask) == ("dermoscopy", "isic2017-G1", "derm_isic2017/m/1.png")
    assert (second.domain, second.subject_id, second.image) == ("clinical", "padufes-P1", "derm_padufes/i/1.jpg")
    assert first.extra.keys() == second.extra.keys()
    assert (first.extra["melanoma"], first.extra["age"], first.extra["diagnostic"]) == ("1", "", "")
    assert (second.extra["fitzpatrick"], second.extra["sex"], second.extra["diagnostic"]) == ("", "", "NEV")


def test_masks_become_cases_of_their_own(root: Path) -> None:
    mask, image = build_named(["lesion_synthesis"], root)
    assert (mask.domain, mask.image, mask.mask) == ("mask", "derm_isic2017/m/1.png", "derm_isic2017/m/1.png")
    assert (image.domain, image.image) == ("dermoscopy", "derm_isic2017/i/1.jpg")
    assert mask.pair_id == image.pair_id == image.case_id != mask.case_id
    assert mask.subject_id == image.subject_id


@pytest.mark.parametrize(("changes", "message"), [({"mask": None}, "M037"), ({"pair_id": "1"}, "M038")])
def test_a_case_without_a_mask_or_with_a_pair_is_refused(changes: dict[str, str | None], message: str) -> None:
    columns = {"case_id": "1", "subject_id": "s", "domain": "a", "image": "i", "mask": "m", **changes}
    with pytest.raises(ManifestError, match=message):
        mask_and_image(Case(**columns))


def test_source_by_its_own_name_keeps_all_cases(root: Path) -> None:
    manifest = build_named(["derm_padufes"], root)
    assert [case.mask for case in manifest] == ["derm_padufes/m/1.png", None]
    assert [case.extra["fitzpatrick"] for case in manifest] == ["", "2"]


def test_sites_are_domains_and_odd_cases_of_theirs_are_left_out(tmp_path: Path) -> None:
    rows = {
        "fundus_deepdrid": [{"image_id": "1_l1", "domain": "good"}, {"image_id": "1_l2", "domain": "poor"}],
        "fundus_idrid": [
            {"path": "images/train_001.jpg", "dr_grade": "2"},
            {"path": "images/train_002.jpg"},
            {"path": "images/train_021.jpg", "dr_grade": "1"},
        ],
        "fundus_chase": [{"path": "images/Image_01L.jpg"}],
    }
    for name, wanted in rows.items():
        table = (Path(__file__).parents[1] / "contracts" / "source_tables" / f"{name}.csv").read_text().splitlines()
        first = next(csv.DictReader(table))
        cleared = {**first, "dr_grade": "", "domain": "good"} if "dr_grade" in first else {**first, "domain": "good"}
        (tmp_path / name).mkdir()
        with (tmp_path / name / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(first))
            writer.writeheader()
            writer.writerows({**cleared, **one} for one in wanted)
    found = build_named(["fundus_sites"], tmp_path)
    assert [(case.domain, case.case_id) for case in found] == [
        ("deepdrid", "deepdrid-1_l1"),
        ("idrid", "idrid-train_001"),
        ("chase", "chase-01-L"),
    ]


def test_unknown_name_lists_what_there_is(root: Path) -> None:
    with pytest.raises(DiscoverError, match=r"D001.*'clinical'.*clinical_lesions.*fundus_chase"):
        build_named(["clinical"], root)


def test_dataset_named_twice(root: Path) -> None:
    with pytest.raises(ManifestError, match=r"M035.*clinical_lesions and derm_isic2017: 1 cases.*isic2017-I1"):
        build_named(["clinical_lesions", "derm_isic2017"], root)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("i/1.jpg", "../1.jpg", r"M006.*derm_isic2017/manifest.csv row 2"),
        ("G1,I1", ",I1", r"M033.*row 2: group_id is blank"),
    ],
)
def test_bad_row_of_a_dataset(root: Path, old: str, new: str, message: str) -> None:
    table = root / "derm_isic2017" / "manifest.csv"
    table.write_text(ISIC.replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        build_named(["derm_isic2017"], root)


def test_grade_that_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "fundus_idrid").mkdir()
    columns = ",".join(discover.load("medgan.manifests.sources", "fundus_idrid").columns)
    (tmp_path / "fundus_idrid" / "manifest.csv").write_text(f"{columns}\ni/1.jpg,G,good,mild,,,\n")
    with pytest.raises(ManifestError, match=r"M034.*dr_grade is not a whole number; got 'mild'"):
        build_named(["fundus_idrid"], tmp_path)


def test_lesion_change_is_no_lesion_mask(tmp_path: Path) -> None:
    (tmp_path / "brain_openms").mkdir()
    table = Path(__file__).parents[1] / "contracts" / "source_tables" / "brain_openms.csv"
    (tmp_path / "brain_openms" / "manifest.csv").write_bytes(table.read_bytes())
    cases = {case.case_id: case for case in build_named(["brain_openms"], tmp_path)}
    longitudinal, cross_sectional = cases["openms-long01-study1-flair"], cases["openms-cs07-flair"]
    assert longitudinal.mask is None
    assert longitudinal.extra["lesion_change"].endswith("lesion_change.nii.gz")
    assert cross_sectional.mask == "brain_openms/open/cs07/lesion.nii.gz"
    assert cases["openms-cs07-t1"].pair_id == cross_sectional.pair_id != longitudinal.pair_id


def test_overlapping_scans_are_one_subject(tmp_path: Path) -> None:
    (tmp_path / "ct_mr_samples").mkdir()
    table = Path(__file__).parents[1] / "contracts" / "source_tables" / "ct_mr_samples.csv"
    (tmp_path / "ct_mr_samples" / "manifest.csv").write_bytes(table.read_bytes())
    manifest = build_named(["ct_mr_samples"], tmp_path)
    assert [case.subject_id for case in manifest.of_domain("ct")] == ["samples-example_ct"] * 2
    assert manifest.domains == ("ct", "mr")


def test_counts_by_domain() -> None:
    cases = (
        Case(case_id="1", subject_id="s", domain="a", image="1", grade=2, mask="m"),
        Case(case_id="2", subject_id="s", domain="b", image="2", grade=0),
        Case(case_id="3", subject_id="t", domain="a", image="3", grade=0),
    )
    first, second = count_domains(Manifest(cases=cases, root=Path()))
    assert (first.subjects, first.images, first.masks, first.grades) == (2, 2, 1, {0: 1, 2: 1})
    assert (second.domain, second.subjects, second.quality) == ("b", 1, {})
    assert "| all | 2 | 3 | 1 | 0: 2, 2: 1 | none |" in counts_table(Manifest(cases=cases, root=Path()))


def test_every_collection_is_committed_and_counted_in_the_readme() -> None:
    assert {path.stem for path in COMMITTED.glob("*.csv")} == set(collections)
    readme = (COMMITTED / "README.md").read_text(encoding="utf-8")
    for name, collection in collections.items():
        manifest = read_manifest(COMMITTED / f"{name}.csv", root=Path())
        assert counts_table(manifest) in readme
        assert f"medgan manifest {name} " in readme
        for source in collection.sources:
            module = discover.load("medgan.manifests.sources", source)
            assert module.citation in readme
            assert module.licence in readme


def test_names_hold_collections_and_sources() -> None:
    assert {"clinical_lesions", "fundus_idrid"} < set(names())


@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(collections))
def test_committed_manifest_is_what_its_command_makes(name: str) -> None:
    root = os.environ.get("MEDGAN_DATA")
    if not root:
        pytest.skip("MEDGAN_DATA names no data root")
    committed = read_manifest(COMMITTED / f"{name}.csv", root=Path(root))
    assert build_named([name], Path(root)) == committed


@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(collections))
def test_committed_manifest_has_no_findings(name: str) -> None:
    root = os.environ.get("MEDGAN_DATA")
    if not root:
        pytest.skip("MEDGAN_DATA names no data root")
    needs = {
        "clinical_lesions": Needs(domains=("dermoscopy", "clinical"), masks=("dermoscopy", "clinical"), folds=5),
        "fundus_quality": Needs(
            labels=tuple(
                LabelNeed(column=column, classes=classes, domains=("good", "mid", "poor"))
                for column, classes in (("grade", 5), ("quality", 2))
            ),
            folds=5,
        ),
        "fundus_sites": Needs(domains=("deepdrid", "idrid", "chase"), folds=3),
        "lesion_synthesis": Needs(
            domains=("mask", "dermoscopy"), masks=("mask", "dermoscopy"), pairs=("mask", "dermoscopy"), folds=5
        ),
        "t1_to_flair": Needs(pairs=("t1", "flair"), masks=("t1", "flair"), paths=("labels",), folds=5),
    }
    manifest = read_manifest(COMMITTED / f"{name}.csv", root=Path(root))
    assert check_manifest(manifest, needs=needs[name]) == []
