"""Privacy: who the patients are stands in their own files, and in nothing that medgan keeps or says.

Names, ids and dates are seeded into headers, EXIF blocks, folder names and file names. Then whole studies run, good
and bad ones, and every byte of what they leave is searched.
"""

import base64
import csv
import gzip
import logging
import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import pydicom
import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin
from tiny_studies import TINY_CYCLEGAN, lesion_settings, medgan, run_here, write_settings

from medgan.errors import HIDDEN, SHOW_PATHS, MedganError, ReadError, about
from medgan.manifests.manifest import Manifest, parse_manifest
from medgan.phantoms import ct, lesion
from medgan.samples.store import PreparedStore
from medgan.settings.study import read_study
from medgan.stages.check import check_study
from medgan.stages.hidden import hidden_findings
from medgan.stages.left_out import read_left_out
from medgan.stages.materials import open_materials
from medgan.workflow.job import run_job
from medgan.workflow.plan import plan_study, write_plan

PERSON = "ZZYVONNE^TESTPATIENT_19520304/visit 20210617"
UID = "1.2.826.0.77319501"
SEEDED = (
    *("ZZYVONNE", "TESTPATIENT", "MRN7731950", "19520304", "20210617", "Quibbletown", "ACC-0099887", "DRMOOGLE"),
    "visit 2021",
)
HEADER = {
    "PatientName": "ZZYVONNE^TESTPATIENT",
    "PatientID": "MRN7731950",
    "PatientBirthDate": "19520304",
    "StudyDate": "20210617",
    "InstitutionName": "Quibbletown Infirmary",
    "AccessionNumber": "ACC-0099887",
    "ReferringPhysicianName": "DRMOOGLE^HUBERTINA",
    "StudyDescription": "thorax of ZZYVONNE",
    "PatientComments": "ZZYVONNE was here on 20210617",
}


def edit_manifest(folder: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    path = folder / "manifest.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def move_under_the_name(folder: Path) -> None:
    """Put every image into a folder that is named after a patient."""
    for part in [path for path in folder.iterdir() if path.name != "manifest.csv"]:
        (folder / PERSON).mkdir(parents=True, exist_ok=True)
        part.rename(folder / PERSON / part.name)

    def moved(row: dict[str, str]) -> dict[str, str]:
        return row | {name: f"{PERSON}/{row[name]}" for name in ("image", "mask") if row[name]}

    edit_manifest(folder, moved)


def scans(folder: Path) -> Path:
    """CT: a DICOM series made like a NIfTI volume; the true image stands in a free column."""
    phantoms = folder / "phantoms"
    ct.write_study(phantoms, seed=0, subjects=5, size_px=32, slices=4, dicom=True)
    for number, path in enumerate(sorted(phantoms.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        for keyword, value in HEADER.items():
            setattr(dataset, keyword, value)
        series = sum(map(ord, path.parent.name)) * 1000 + len(path.parent.name)
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = f"{UID}.{series}", f"{UID}.{series}.{number}"
        dataset.private_block(0x0009, "ZZYVONNE INC", create=True).add_new(1, "LO", "ZZYVONNE")
        dataset.save_as(path.with_name(f"ZZYVONNE_{path.name}"))
        path.unlink()
    for path in phantoms.rglob("*.nii.gz"):
        image = nib.load(path)
        image.header["descrip"], image.header["db_name"] = b"ZZYVONNE 19520304", b"MRN7731950"
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"seen by DRMOOGLE"))
        nib.save(nib.Nifti1Image(image.get_fdata().astype("int16"), image.affine, image.header), path)

    def chosen(row: dict[str, str]) -> dict[str, str]:
        dicom = row.pop("dicom")
        truth = f"{PERSON}/noncontrast/{row['subject_id']}.nii.gz"
        image = dicom if row["domain"] == "contrast" else row["image"]
        return row | {"image": image, "truth": truth, "scanner": "brand new"}

    edit_manifest(phantoms, chosen)
    move_under_the_name(phantoms)
    task = lesion_settings()["tasks"][0] | {
        "mask_values": [1, 2, 3],
        "classes": 4,
        "metrics": ["dice_1"],
        "tested_on": ["histogram"],
        "arms": [{"name": "target-only"}, {"name": "translated", "images": "histogram", "use": "beside"}],
    }
    settings = lesion_settings() | {
        "preparation": {"preset": "ct"},
        "direction": {"source": "contrast", "target": "noncontrast"},
        "stratify": "none",
        "translators": [{"name": "histogram", "method": "histogram_matching"}],
        "tasks": [task],
        "primary": None,
        "similarity": ["mae"],
        "reference_column": "truth",
    }
    return write_settings(folder, settings)


def photographs(folder: Path) -> Path:
    """Photographs with EXIF blocks and texts."""
    phantoms = folder / "phantoms"
    lesion.write_study(phantoms, seed=0, subjects=6, size_px=32)
    move_under_the_name(phantoms)
    for path in phantoms.rglob("*.png"):
        exif, texts = Pillow.Exif(), PngImagePlugin.PngInfo()
        exif[0x013B], exif[0x010E] = "ZZYVONNE", "MRN7731950"
        texts.add_text("Author", "DRMOOGLE")
        with Pillow.open(path) as picture:
            picture.load()
            picture.save(path.with_name(path.name), exif=exif, pnginfo=texts)
    plans = [{"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN}]
    task = lesion_settings()["tasks"][0] | {"arms": [{"name": "target-only"}]}
    return write_settings(folder, lesion_settings(), translators=plans, tasks=[task], primary=None, tensorboard=True)


@pytest.fixture(scope="module", params=[scans, photographs])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study, all of whose jobs are done, and what was logged while they ran."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    path = request.param(folder)
    lines: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        run_here(path)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    study = read_study(path)
    write_plan(study, plan_study(study))
    return path, "\n".join(lines)


def leaks(folder: Path, *, but: Callable[[Path], bool] = lambda path: False) -> list[str]:
    """Seeded values in the names and bytes of all files below a folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found += [f"name {name}: {word}" for word in hits(name)]
        if path.is_file() and not but(path):
            found += [f"{name}: {word}" for content in contents(path) for word in hits(content)]
    return found


def contents(path: Path) -> Iterator[str]:
    raw = path.read_bytes()
    yield raw.decode("latin-1")
    if raw[:2] == b"\x1f\x8b":
        yield gzip.decompress(raw).decode("latin-1")
    for part in re.findall(rb"base64,([A-Za-z0-9+/=]+)", raw):
        yield base64.b64decode(part).decode("latin-1")


def hits(text: str) -> list[str]:
    return [word for word in (*SEEDED, UID) if word.lower() in text.lower()]


def told(text: str) -> list[str]:
    """As :func:`hits`, but for the UIDs of series, which an error lists where one must be chosen."""
    return [word for word in hits(text) if word != UID]


def is_image_or_mask(path: Path) -> bool:
    """Translated images and copied masks keep the headers of their sources, so that a PACS files them."""
    return bool({"images", "masks"} & set(path.parts))


def test_the_scan_finds_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"zzyvonne"))
    (tmp_path / "page.html").write_text("data:image/png;base64," + base64.b64encode(b"..DRMOOGLE").decode())
    (tmp_path / "MRN7731950").mkdir()
    assert len(leaks(tmp_path)) == 3


def test_study_holds_what_is_seeded(finished: tuple[Path, str]) -> None:
    found = " ".join(leaks(finished[0].parent / "phantoms"))
    assert not [word for word in SEEDED if word not in found and not word.startswith(("ACC", "Quib"))]


def test_nothing_that_a_study_leaves_tells_who_the_patients_are(finished: tuple[Path, str]) -> None:
    path, logged = finished
    out = path.parent / "out"
    assert (out / "report" / "report.html").is_file()
    assert list(out.rglob("events.out.tfevents*")) or "scans" in path.parent.name
    assert list(out.rglob("manifest.csv"))
    assert leaks(out, but=is_image_or_mask) == []
    assert hits(logged) == []


def test_data_root_stands_only_in_the_study_that_the_jobs_read(finished: tuple[Path, str]) -> None:
    path, _ = finished
    root = str(path.parent / "phantoms").encode()
    holders = [file.name for file in (path.parent / "out").rglob("*") if file.is_file() and root in file.read_bytes()]
    assert holders == ["study.json"]


def test_translated_manifest_keeps_free_columns_but_no_path(finished: tuple[Path, str]) -> None:
    path, _ = finished
    tables = sorted((path.parent / "out").rglob("translate/*/manifest.csv"))
    assert tables
    for table in tables:
        text = table.read_text(encoding="utf-8")
        assert "translated_from" in text
        assert hits(text) == []


def spoil(folder: Path) -> None:
    """Make every second image unreadable, each in its own way."""
    pictures = sorted(path for path in (folder / "phantoms").rglob("*") if path.is_file() and path.suffix != ".csv")
    images = [path for path in pictures if not {"labels", "masks"} & set(path.parts)]
    for number, path in enumerate(images[::2]):
        raw = path.read_bytes()
        ways = (b"", raw[: len(raw) // 2], b"<html>not an image</html>", raw[:200], raw[: len(raw) - 3], None)
        way = ways[number % len(ways)]
        if way is None:
            path.unlink()
        else:
            path.write_bytes(way)


@pytest.fixture(scope="module", params=[scans, photographs])
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken_" + request.param.__name__)
    path = request.param(folder)
    spoil(folder)
    return path


def test_findings_name_rows_and_cases_and_no_file(broken: Path) -> None:
    study = read_study(broken)
    findings = hidden_findings(study, check_study(study))
    assert len({finding.code for finding in findings}) >= 3
    assert [str(finding) for finding in findings if told(str(finding))] == []
    assert any(finding.where.startswith(("row", "case")) for finding in findings)


def test_findings_name_files_where_that_is_asked_for(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHOW_PATHS, "1")
    study = read_study(broken)
    assert any("ZZYVONNE" in str(finding) for finding in hidden_findings(study, check_study(study)))


def failures(path: Path) -> Iterator[tuple[str, MedganError]]:
    """Let the store read each case, and give each error with its id."""
    study = read_study(path)
    cases, _ = parse_manifest(study.manifest)
    manifest = Manifest(cases=cases, root=study.data_root)
    store = PreparedStore(path.parent / "store", study.preparation)
    for case in cases:
        try:
            store.add(case, manifest)
        except MedganError as error:
            yield case.case_id, error


def test_tracebacks_of_bad_images_name_the_case_alone(broken: Path) -> None:
    said = list(failures(broken))
    assert len(said) >= 3
    for case_id, error in said:
        assert f"case {case_id}" in error.where
        assert "ZZYVONNE" in error.path
        text = "".join(traceback.format_exception(error))
        messages = [line for line in text.splitlines() if not line.startswith("  ")]
        assert told("\n".join(messages)) == [], text


def test_cases_left_out_are_told_without_their_files(tmp_path: Path) -> None:
    path = photographs(tmp_path)
    pictures = sorted((tmp_path / "phantoms" / PERSON / "clinical").iterdir())
    pictures[0].write_bytes(pictures[0].read_bytes()[:200])
    study = read_study(path).model_copy(update={"keep_going": True})
    run_job(study, plan_study(study)[0], report=lambda line: None)
    (left_out,) = read_left_out(study.output / "prepare" / "left_out.csv")
    assert left_out.case_id
    assert left_out.case_id not in {case.case_id for case in open_materials(study).manifest}
    assert len(open_materials(study).manifest) == 11
    assert leaks(study.output) == []


@pytest.mark.multiprocess
@pytest.mark.parametrize("broken", [scans], indirect=True)
def test_failed_run_says_and_logs_no_name(broken: Path) -> None:
    shutil.rmtree(broken.parent / "out", ignore_errors=True)
    done = medgan("run", broken, "--cores", "1", "--quiet", "--keep-going")
    assert done.returncode == 1
    assert "Error[" in done.stderr
    assert told(done.stdout + done.stderr) == []
    assert list((broken.parent / "out" / "logs").iterdir())
    assert leaks(broken.parent / "out", but=is_image_or_mask) == []


def test_unforeseen_errors_of_libraries_are_hidden_too(
    finished: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medgan.stages import prepare

    study = read_study(finished[0], output=finished[0].parent / "elsewhere")
    victim = study.data_root / PERSON / "contrast" / "x.nii.gz"

    def fail(*_: object) -> None:
        try:
            victim.read_bytes()
        except OSError as error:
            raise ValueError(f"cannot use {victim}") from error

    monkeypatch.setattr(prepare, "study_folds", fail)
    with pytest.raises(ValueError, match=re.escape(HIDDEN)) as caught:
        run_job(study, plan_study(study)[0], report=lambda line: None)
    assert hits(str(caught.value) + str(caught.value.__cause__)) == []


def test_error_keeps_the_file_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ZZYVONNE" / "image.png"

    def fail() -> ReadError:
        try:
            with about("row 3 (case A)", {"image": path, "mask": None}):
                raise ReadError("R004", "truncated", where=str(path), got=f"{path}: 3 bytes", remedy="copy it again")
        except ReadError as error:
            return error

    hidden = fail()
    assert hidden.where == "row 3 (case A), image"
    assert hidden.path == str(path)
    assert str(hidden) == f"ReadError[R004]: row 3 (case A), image: truncated; got {HIDDEN}: 3 bytes; copy it again"
    monkeypatch.setenv(SHOW_PATHS, "1")
    assert f"row 3 (case A), image ({path})" in str(fail())
