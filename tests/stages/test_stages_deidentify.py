"""De-identification: nothing of the patient is left, nothing of the image is lost."""

import gzip
import io
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, PngImagePlugin
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from medgan.cli import app
from medgan.errors import ReadError, WriteError
from medgan.imaging.deidentify_names import Pseudonyms
from medgan.imaging.read import read_image
from medgan.stages.deidentify import deidentify

NAME, NUMBER, BORN, TAKEN = "ZZYVONNE^TESTPATIENT", "MRN7731950", "19520304", "20210617"
PLACE, ORDER, DOCTOR = "Quibbletown Infirmary", "ACC-0099887", "DRMOOGLE^HUBERTINA"
SEEDED = ("ZZYVONNE", "TESTPATIENT", NUMBER, BORN, TAKEN, "Quibbletown", ORDER, "DRMOOGLE", "HUBERTINA")
PATIENT = {
    "PatientName": NAME,
    "PatientID": NUMBER,
    "PatientBirthDate": BORN,
    "PatientSex": "F",
    "StudyDate": TAKEN,
    "SeriesDate": TAKEN,
    "ContentDate": TAKEN,
    "InstitutionName": PLACE,
    "AccessionNumber": ORDER,
    "ReferringPhysicianName": DOCTOR,
    "StudyDescription": "thorax of Mrs ZZYVONNE",
    "FrameOfReferenceUID": "1.2.3.4.77",
}


@pytest.fixture
def series(make_dicom_series: Callable[..., Path], rng: np.random.Generator) -> Path:
    """Three slices with identifiers at every depth, in a folder that is named after the patient."""
    pixels = rng.integers(0, 4096, size=(3, 6, 8)).astype(np.uint16)
    folder = make_dicom_series(pixels, name="study/ZZYVONNE^TESTPATIENT_19520304/ct", **PATIENT)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.ContrastBolusRoute = "given by TestPatient"  # a text that the standard's table keeps
        dataset.private_block(0x0009, "ZZYVONNE INC", create=True).add_new(1, "LO", NUMBER)
        dataset.add_new(0x60003000, "OW", b"ZZYVONNE")
        dataset.ConceptNameCodeSequence = [_nested()]
        dataset.SourceImageSequence = [_reference(dataset)]
        dataset.preamble = b"TESTPATIENT".ljust(128, b"\0")
        dataset.file_meta.SourceApplicationEntityTitle = "ZZYVONNE"
        dataset.save_as(path)
    return folder


def _nested() -> Dataset:
    inner = Dataset()
    inner.PatientName, inner.PatientID, inner.AcquisitionDateTime = NAME, NUMBER, f"{TAKEN}120000"
    inner.CodeMeaning = "as told by HUBERTINA"
    outer = Dataset()
    outer.EquivalentCodeSequence = [inner]
    return outer


def _reference(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    item.PatientName = NAME
    return item


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_nothing_left(folder: Path, words: tuple[str, ...] = SEEDED) -> None:
    for path in files_below(folder):
        raw = path.read_bytes()
        content = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).lower()
        for word in words:
            assert word.lower().encode() not in content, f"{word} in {path.name}"
            assert word.lower() not in str(path.relative_to(folder)).lower()


def test_no_identifier_is_left_at_any_depth(series: Path, tmp_path: Path) -> None:
    made = deidentify(series.parents[1], tmp_path / "out")
    assert made.files == {"dicom": 3}
    assert made.patients == 1
    assert not made.refused
    assert_nothing_left(tmp_path / "out")
    told = "\n".join(made.lines())
    assert not [word for word in SEEDED if word.lower() in told.lower()]


def test_series_reads_back_with_the_same_pixels_and_geometry(series: Path, tmp_path: Path) -> None:
    deidentify(series, tmp_path / "out")
    before, after = read_image(series), read_image(next((tmp_path / "out" / "dicom").glob("*/*")))
    assert np.array_equal(before.pixels, after.pixels)
    assert before.pixels.dtype == after.pixels.dtype
    assert before.geometry == after.geometry
    assert before.stored == after.stored


def test_headers_say_what_was_done(series: Path, tmp_path: Path) -> None:
    deidentify(series, tmp_path / "out")
    dataset = pydicom.dcmread(files_below(tmp_path / "out")[0])
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.LongitudinalTemporalInformationModified == "REMOVED"
    assert "Basic Profile" in dataset.DeidentificationMethod
    code = dataset.DeidentificationMethodCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert dataset.StudyDate == ""
    assert dataset.PatientBirthDate == ""
    assert dataset.PatientName == dataset.PatientID != ""
    assert "StudyDescription" not in dataset
    assert not [element for element in dataset if element.tag.is_private or element.tag.group == 0x6000]
    assert dataset.preamble == b"\0" * 128
    assert "SourceApplicationEntityTitle" not in dataset.file_meta
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID


def test_uids_fit_together_across_files(series: Path, tmp_path: Path) -> None:
    old = [pydicom.dcmread(path) for path in series.iterdir()]
    deidentify(series, tmp_path / "out")
    new = [pydicom.dcmread(path) for path in files_below(tmp_path / "out")]
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({dataset[name].value for dataset in new}) == 1
        assert new[0][name].value != old[0][name].value
    instances = {dataset.SOPInstanceUID for dataset in new}
    assert len(instances) == 3
    assert {dataset.SourceImageSequence[0].ReferencedSOPInstanceUID for dataset in new} == instances
    assert new[0].SOPClassUID == old[0].SOPClassUID
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in instances)


def test_same_key_gives_the_same_identifiers_and_another_others(series: Path, tmp_path: Path) -> None:
    for out, key in (("one", "key"), ("two", "key"), ("three", None)):
        deidentify(series, tmp_path / out, key=key and tmp_path / key)
    one, two, three = (
        [p.relative_to(tmp_path / n) for p in files_below(tmp_path / n)] for n in ("one", "two", "three")
    )
    assert one == two
    assert not set(one) & set(three)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [p.read_bytes() for p in files_below(tmp_path / "one")] == [
        p.read_bytes() for p in files_below(tmp_path / "two")
    ]


def test_key_that_others_may_read_is_refused(series: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ab" * 32)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(WriteError, match="W034"):
        deidentify(series, tmp_path / "out", key=tmp_path / "key")
    assert not (tmp_path / "out").exists()


def test_crosswalk_is_written_only_when_asked_and_leads_back(series: Path, tmp_path: Path) -> None:
    deidentify(series, tmp_path / "out", crosswalk=tmp_path / "crosswalk.csv")
    table = (tmp_path / "crosswalk.csv").read_text()
    patient = pydicom.dcmread(files_below(tmp_path / "out")[0]).PatientID
    assert f'"patient","{NUMBER}","{patient}"' in table
    assert stat.S_IMODE((tmp_path / "crosswalk.csv").stat().st_mode) == 0o600
    with pytest.raises(WriteError, match="W037"):
        deidentify(series, tmp_path / "new", crosswalk=tmp_path / "new" / "crosswalk.csv")


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"BurnedInAnnotation": "YES"}, "YES"),
        ({"Modality": "US"}, "ultrasound"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.1"}, "ophthalmic"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "SCREEN SAVE"),
    ],
)
def test_images_that_may_hold_text_wait_for_a_review(
    make_dicom_series: Callable[..., Path], tmp_path: Path, elements: dict[str, object], why: str
) -> None:
    pixels = np.zeros((2, 4, 4), np.uint16)
    make_dicom_series(pixels, name="source/clear", uid="1.2.3.5", **PATIENT)
    make_dicom_series(pixels, name="source/odd", uid="1.2.3.6", **(PATIENT | elements))
    made = deidentify(tmp_path / "source", tmp_path / "out")
    assert made.files["dicom"] == 2
    assert {error.code for _, error in made.refused} == {"W030"}
    assert why in str(made.refused[0][1])
    reviewed = deidentify(tmp_path / "source", tmp_path / "reviewed", reviewed=True)
    assert reviewed.files["dicom"] == 4
    said = {str(pydicom.dcmread(path).get("BurnedInAnnotation")) for path in files_below(tmp_path / "reviewed")}
    assert said == {"None", "NO"}


def test_image_that_says_it_holds_no_text_is_exported(make_dicom_series: Callable[..., Path], tmp_path: Path) -> None:
    make_dicom_series(np.zeros((2, 4, 4), np.uint16), Modality="US", BurnedInAnnotation="NO")
    assert deidentify(tmp_path / "series", tmp_path / "out").files["dicom"] == 2


def test_photographs_with_text_wait_for_a_review(tmp_path: Path) -> None:
    picture = Pillow.new("RGB", (512, 384))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((110, 46, 400, 336), fill=(180, 90, 40))
    draw.text((6, 360), "TESTPATIENT 04.03.1952 OD", fill=(255, 255, 255), font_size=15)
    (tmp_path / "source").mkdir()
    picture.save(tmp_path / "source" / "a.png")
    made = deidentify(tmp_path / "source", tmp_path / "out")
    assert [error.code for _, error in made.refused] == ["W030"]
    assert not (tmp_path / "out").exists()
    assert deidentify(tmp_path / "source", tmp_path / "reviewed", reviewed=True).files == {"png": 1}


def test_documents_are_not_exported(make_dicom_series: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_dicom_series(np.zeros((2, 4, 4), np.uint16))
    path = files_below(folder)[0]
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.EncapsulatedDocument = b"%PDF ZZYVONNE"
    dataset.save_as(path)
    made = deidentify(folder, tmp_path / "out")
    assert [error.code for _, error in made.refused] == ["W031"]
    assert made.files["dicom"] == 1


def test_synthetic_stays_synthetic(make_dicom_series: Callable[..., Path], tmp_path: Path) -> None:
    make_dicom_series(np.zeros((2, 4, 4), np.uint16), SyntheticData="YES", SeriesDescription="of ZZYVONNE")
    deidentify(tmp_path / "series", tmp_path / "out")
    dataset = pydicom.dcmread(files_below(tmp_path / "out")[0])
    assert dataset.SyntheticData == "YES"
    assert dataset.SeriesDescription == "SYNTHETIC - NOT FOR DIAGNOSIS"


def test_compressed_pixels_stay_and_a_name_among_them_is_refused(
    make_dicom_series: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_dicom_series(np.arange(2 * 16 * 16, dtype=np.uint16).reshape(2, 16, 16), **PATIENT)
    first, second = files_below(folder)
    for path, comment in ((first, b""), (second, b"ZZYVONNE")):
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        if comment:
            dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xfe" + comment + b" was here  "])
        dataset.save_as(path)
    made = deidentify(folder, tmp_path / "out")
    assert [error.code for _, error in made.refused] == ["W032"]
    kept = pydicom.dcmread(files_below(tmp_path / "out")[0])
    assert kept.PixelData == pydicom.dcmread(first).PixelData
    assert kept.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless


def test_files_that_cannot_be_parsed_say_nothing_of_their_headers(series: Path, tmp_path: Path) -> None:
    broken = series / "ZZYVONNE.dcm"
    broken.write_bytes(files_below(series)[0].read_bytes()[:400])
    made = deidentify(series, tmp_path / "out")
    assert made.files["dicom"] == 3
    assert {error.code for _, error in made.refused} <= {"R022", "W031"}
    assert len(made.refused) == 1
    assert "ZZYVONNE" not in "\n".join(made.lines())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_no_new_error_for_a_validator(series: Path, tmp_path: Path) -> None:
    def errors(path: Path) -> set[str]:
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
        return {line.split("=")[0] for line in said.splitlines() if line.startswith("Error")}

    deidentify(series, tmp_path / "out")
    assert errors(files_below(tmp_path / "out")[0]) <= errors(files_below(series)[0])


@pytest.mark.real_data
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_real_series_keep_pixels_and_raise_no_new_error(data_root: Path, tmp_path: Path) -> None:
    def errors(path: Path) -> set[str]:
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
        return {line.partition(" <")[0] for line in said.splitlines() if line.startswith("Error")}

    folders = [path for path in sorted((data_root / "dicom_series").iterdir()) if path.is_dir()]
    assert len(folders) > 5
    for number, folder in enumerate(folders):
        made = deidentify(folder, tmp_path / str(number), reviewed=True)
        assert {error.code for _, error in made.refused} <= {"W038"}
        images = [path for path in files_below(folder) if path.read_bytes()[128:132] == b"DICM"]
        assert made.files["dicom"] + len(made.refused) + made.skipped["duplicates"] == len(images)
        before, after = pydicom.dcmread(images[0]), None
        for path in files_below(tmp_path / str(number)):
            found = pydicom.dcmread(path)
            after = path if found.PixelData == before.PixelData else after
        assert after is not None
        if before.get("SOPInstanceUID"):  # without one the validator goes no further
            assert errors(after) <= errors(images[0])


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_loses_its_texts_and_nothing_else(
    tmp_path: Path, rng: np.random.Generator, name: str, kind: type, order: str
) -> None:
    header = kind.header_class(endianness=order)
    pixels = rng.integers(-900, 900, size=(4, 5, 6)).astype(np.int16)
    affine = np.array([[0, -0.7, 0, 3], [0.8, 0, 0, 4], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])
    image = kind(pixels, affine, header)
    image.header["descrip"], image.header["aux_file"] = b"ZZYVONNE TESTPATIENT", b"MRN7731950"
    image.header["intent_name"] = b"HUBERTINA"
    image.header.set_slope_inter(2.0, -5.0)
    image.header.set_xyzt_units("mm")
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"ZZYVONNE was here"))
    folder = tmp_path / "ZZYVONNE"
    folder.mkdir()
    nib.save(image, folder / name)
    made = deidentify(folder, tmp_path / "out")
    assert made.files == {"nifti": 1}
    assert_nothing_left(tmp_path / "out")
    after = files_below(tmp_path / "out")[0]
    old, new = read_image(folder / name), read_image(after)
    assert np.array_equal(old.pixels, new.pixels)
    assert old.geometry == new.geometry
    assert (old.stored.dtype, old.stored.slope, old.stored.intercept) == (new.stored.dtype, 2.0, -5.0)
    if name.endswith(".gz"):
        assert after.read_bytes()[3:8] == b"\0\0\0\0\0"  # no name, no time


@pytest.mark.real_data
def test_real_niftis_come_through_or_are_refused(data_root: Path, tmp_path: Path) -> None:
    source = data_root / "nifti_odd"
    made = deidentify(source, tmp_path / "out", crosswalk=tmp_path / "crosswalk.csv")
    assert made.files["nifti"] > 20
    rows = [line.strip('"').split('","') for line in (tmp_path / "crosswalk.csv").read_text().splitlines()[1:]]
    compared = 0
    for _, old, new in rows:
        after = next((tmp_path / "out" / "volumes").glob(new + ".*"), None)
        if after is None:
            continue
        before = nib.load(source / old)
        assert np.array_equal(np.asarray(before.dataobj), np.asarray(nib.load(after).dataobj), equal_nan=True)
        compared += 1
    assert compared == made.files["nifti"]


def _exif(turn: int) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x0112], exif[0x013B], exif[0x010E] = turn, "ZZYVONNE", "TESTPATIENT"
    return exif


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize(
    "options", [{"quality": 90}, {"quality": 80, "progressive": True}, {"quality": 85, "mode": "CMYK"}]
)
def test_jpeg_is_not_encoded_again(
    tmp_path: Path, rng: np.random.Generator, turn: int, options: dict[str, object]
) -> None:
    options = dict(options)
    mode = str(options.pop("mode", "RGB"))
    picture = Pillow.fromarray(rng.integers(0, 255, size=(24, 32, 3)).astype(np.uint8)).convert(mode)
    path = tmp_path / "source" / "ZZYVONNE_19520304.jpg"
    path.parent.mkdir()
    picture.save(path, exif=_exif(turn), comment=b"HUBERTINA", icc_profile=b"a profile", **options)
    raw = path.read_bytes()
    path.write_bytes(raw[:2] + b"\xff\xed\x00\x0eZZYVONNE IPT" + raw[2:] + b"ZZYVONNE")
    deidentify(path.parent, tmp_path / "out")
    assert_nothing_left(tmp_path / "out")
    after = files_below(tmp_path / "out")[0]
    with Pillow.open(path) as old, Pillow.open(after) as new:
        assert old.tobytes() == new.tobytes()
        assert new.info["icc_profile"] == b"a profile"
        assert new.getexif().get(0x0112, 1) == turn
    assert np.array_equal(read_image(path).pixels, read_image(after).pixels)
    scan = raw[raw.index(b"\xff\xda") : raw.rindex(b"\xff\xd9")]
    assert scan in after.read_bytes()


@pytest.mark.parametrize("turn", [1, 8])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_png_loses_its_texts_and_nothing_else(tmp_path: Path, rng: np.random.Generator, turn: int, depth: type) -> None:
    picture = Pillow.fromarray(rng.integers(0, np.iinfo(depth).max, size=(9, 7)).astype(depth))
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "ZZYVONNE")
    texts.add_itxt("XML:com.adobe.xmp", "<x>TESTPATIENT</x>")
    path = tmp_path / "source" / "ZZYVONNE.png"
    path.parent.mkdir()
    picture.save(path, pnginfo=texts, exif=_exif(turn))
    path.write_bytes(path.read_bytes() + b"ZZYVONNE")
    deidentify(path, tmp_path / "out")
    assert_nothing_left(tmp_path / "out")
    after = read_image(files_below(tmp_path / "out")[0])
    assert np.array_equal(after.pixels, read_image(path).pixels)
    assert after.pixels.dtype == depth


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_loses_its_texts_and_nothing_else(
    tmp_path: Path, rng: np.random.Generator, shape: tuple[int, ...], depth: type
) -> None:
    import tifffile

    path = tmp_path / "source" / "ZZYVONNE.tif"
    path.parent.mkdir()
    pixels = rng.integers(0, np.iinfo(depth).max, size=shape).astype(depth)
    kind = "rgb" if len(shape) == 3 else "minisblack"
    turn = [(0x0112, 3, 1, 6, True), (0x013B, "s", 0, "ZZYVONNE", True)]
    tifffile.imwrite(path, pixels, photometric=kind, description="TESTPATIENT", extratags=turn)
    deidentify(path.parent, tmp_path / "out")
    assert_nothing_left(tmp_path / "out")
    after = read_image(files_below(tmp_path / "out")[0])
    assert np.array_equal(after.pixels, read_image(path).pixels)
    assert after.pixels.dtype == depth


def test_zip_is_read_where_it_is(series: Path, tmp_path: Path) -> None:
    archive = tmp_path / "ZZYVONNE.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in series.iterdir():
            file.write(path, f"../../{path.name}")  # a name that leads out of any folder does no harm
        file.writestr("notes.txt", "ZZYVONNE")
    made = deidentify(archive, tmp_path / "out")
    assert made.files == {"dicom": 3}
    assert made.skipped["files that are no images"] == 1
    assert_nothing_left(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ZZYVONNE.zip", "out", "study"]


def test_links_are_not_followed(series: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(_png())
    (series / "link.png").symlink_to(tmp_path / "secret.png")
    made = deidentify(series, tmp_path / "out")
    assert made.skipped == {"links or special files": 1}
    assert made.files == {"dicom": 3}


def _png() -> bytes:
    out = io.BytesIO()
    Pillow.new("L", (4, 4)).save(out, format="PNG")
    return out.getvalue()


def test_nothing_is_mixed_with_what_is_there(series: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(WriteError, match="W036"):
        deidentify(series, tmp_path / "out")
    with pytest.raises(WriteError, match="W036"):
        deidentify(series, series / "out")
    with pytest.raises(ReadError, match="R000"):
        deidentify(tmp_path / "absent", tmp_path / "new")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]


def test_an_interrupted_run_leaves_nothing(series: Path, tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deidentify(series, tmp_path / "out", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_source_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "notes.txt").write_text("hello")
    with pytest.raises(ReadError, match="R002"):
        deidentify(tmp_path / "source", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_patients_without_an_id_are_kept_apart() -> None:
    names = Pseudonyms(b"k" * 32)
    assert names.patient("A") != names.patient("B")
    assert names.uid("1.2.3") != Pseudonyms(b"l" * 32).uid("1.2.3")


def test_command_prints_no_identifier_and_fails_where_images_wait(series: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["deidentify", str(series), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "dicom: 3 files written" in done.output
    path = files_below(series)[0]
    dataset = pydicom.dcmread(path)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(path)
    done = CliRunner().invoke(app, ["deidentify", str(series), str(tmp_path / "more")])
    assert done.exit_code == 1
    assert "W030" in done.output
    assert not [word for word in SEEDED if word.lower() in done.output.lower()]


def test_no_picture_is_decoded_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that crashes a decoder is one that is not exported, and not the end of the export."""
    from medgan.imaging import photograph

    (tmp_path / "in").mkdir()
    Pillow.new("RGB", (40, 30), (90, 40, 20)).save(tmp_path / "in" / "a.png")
    monkeypatch.setattr(photograph, "read_photograph", None)
    assert deidentify(tmp_path / "in", tmp_path / "out").files == {"png": 1}
