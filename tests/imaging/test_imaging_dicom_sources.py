"""DICOM from folders in folders, zips and DICOMDIRs; nothing outside them is ever read."""

import warnings
import zipfile

import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medgan.errors import ReadError
from medgan.imaging.container import is_dicom, kind_of
from medgan.imaging.dicom import read_series
from medgan.imaging.limits import seconds_for
from medgan.imaging.read import read_image
from medgan.manifests.file_checks import files_of
from medgan.manifests.manifest import Case, Manifest
from medgan.samples.store import PreparedStore
from medgan.settings.preparation import Preparation


@pytest.fixture
def stored(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(4, 6, 7)).astype(np.uint16)


@pytest.fixture
def folder(stored, make_dicom_series):
    return make_dicom_series(stored, "medium/images")


def zipped(folder, path, **extra):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in extra.items():
            archive.writestr(name, content)
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"export/{file.relative_to(folder)}")
    return path


def add_directory(folder, names):
    """Write a DICOMDIR that names files by their parts."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    patient, records = Dataset(), []
    patient.DirectoryRecordType = "PATIENT"
    for parts in names:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record[0x00041500] = DataElement(0x00041500, "CS", parts, validation_mode=config.IGNORE)
        records.append(record)
    dataset.DirectoryRecordSequence = [patient, *records]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that the standard does not allow, as media have them
        dataset.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def test_folders_below_are_read_too(stored, folder):
    (folder / "deeper").mkdir()
    first = min(folder.glob("*.dcm"))
    first.rename(folder / "deeper" / "renamed")
    np.testing.assert_array_equal(read_image(folder.parent).pixels[0], stored.astype(int) - 1024)


def test_zip_reads_like_its_folder(stored, folder, tmp_path):
    path = zipped(folder, tmp_path / "series.zip", readme="notes")
    assert kind_of(path) == "dicom"
    image, plain = read_image(path), read_image(folder)
    np.testing.assert_array_equal(image.pixels, plain.pixels)
    assert image.geometry == plain.geometry
    assert "1 files are not DICOM images; skipped" in image.stored.notes
    frame = read_series(path, whole=True, series=image.stored.series).frames[0]
    assert frame.dataset.PatientID == "P1"
    assert len(frame.dataset.PixelData) == 84
    assert "series.zip" in str(frame.path)
    assert {item.name for item in tmp_path.iterdir()} == {"medium", "series.zip"}


def test_zip_with_long_pixels_reads_them_from_memory(rng, make_dicom_series, tmp_path):
    stored = rng.integers(0, 4096, size=(3, 64, 50)).astype(np.uint16)
    folder = make_dicom_series(stored)
    np.testing.assert_array_equal(read_image(zipped(folder, tmp_path / "a.zip")).pixels[0], stored.astype(int) - 1024)


def test_errors_name_the_member(folder, tmp_path):
    file = min(folder.iterdir())
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ReadError, match=rf"R004.*a\.zip/export/{file.name}"):
        read_image(zipped(folder, tmp_path / "a.zip"))


def test_other_zips_are_not_dicom(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("picture.png", b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ReadError, match=r"R002.*zip"):
        kind_of(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["../out.dcm", "/etc/out.dcm", "a/../../b.dcm", "C:\\b.dcm", "..\\b.dcm"])
def test_zip_slip_is_refused(folder, tmp_path, name):
    with pytest.raises(ReadError, match="R019"):
        read_image(zipped(folder, tmp_path / "a.zip", **{name: b"x"}))


def test_links_in_a_zip_are_refused(folder, tmp_path):
    path = zipped(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ReadError, match=r"R019.*link"):
        read_image(path)


def test_encrypted_and_damaged_zips_are_refused(folder, tmp_path):
    path = zipped(folder, tmp_path / "a.zip")
    whole = bytearray(path.read_bytes())
    locked = bytes(whole).replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(ReadError, match=r"R031.*encrypted"):
        read_image(tmp_path / "locked.zip")
    whole[60] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(whole)
    with pytest.raises(ReadError, match=r"R031|R002"):
        read_image(tmp_path / "flipped.zip")
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match=r"R031"):
        read_image(tmp_path / "cut.zip")


def test_zip_bombs_are_refused_before_they_go_off(folder, tmp_path, monkeypatch):
    path = zipped(folder, tmp_path / "a.zip", **{"zeros.bin": bytes(2**20)})
    monkeypatch.setattr("medgan.imaging.dicom_zip._RATIO_FROM_BYTES", 2**16)
    with pytest.raises(ReadError, match=r"R031.*packed \d+:1"):
        read_image(path)
    monkeypatch.setattr("medgan.imaging.dicom_zip._MAX_MEMBERS", 3)
    with pytest.raises(ReadError, match=r"R031.*5 files"):
        read_image(path)
    monkeypatch.setattr("medgan.imaging.dicom_zip._MAX_MEMBERS", 9)
    monkeypatch.setattr("medgan.imaging.dicom_zip._MAX_MEMBER_BYTES", 2**19)
    with pytest.raises(ReadError, match=r"R031.*GiB"):
        read_image(path)


def test_dicomdir_gives_the_files_that_it_names(stored, folder):
    names = [["IMAGES", file.name.upper()] for file in sorted(folder.iterdir())]
    path = add_directory(folder.parent, names)
    for place in (path, folder.parent):
        np.testing.assert_array_equal(read_image(place).pixels[0], stored.astype(int) - 1024)
    short = add_directory(folder.parent, names[:3])
    assert read_image(short).pixels.shape == (1, 3, 6, 7)


def test_dicomdir_in_a_zip(stored, folder, tmp_path):
    add_directory(folder.parent, [["images", file.name] for file in folder.iterdir()])
    path = zipped(folder.parent, tmp_path / "medium.zip")
    np.testing.assert_array_equal(read_image(path).pixels[0], stored.astype(int) - 1024)
    add_directory(folder.parent, [["images", "gone.dcm"]])
    with pytest.raises(ReadError, match=r"R032.*gone\.dcm"):
        read_image(zipped(folder.parent, tmp_path / "medium.zip"))


def test_a_file_of_the_dicomdir_that_is_gone(folder):
    names = [["images", file.name] for file in sorted(folder.iterdir())]
    path = add_directory(folder.parent, names)
    max(folder.iterdir()).unlink()
    for place in (path, folder.parent):
        with pytest.raises(ReadError, match=rf"R032.*images/{names[-1][1]}"):
            read_image(place)


def test_the_files_of_a_dicomdir_are_those_that_reading_it_reads(folder):
    slices = sorted(folder.iterdir())
    path = add_directory(folder.parent, [["IMAGES", file.name.upper()] for file in slices[:3]])
    assert files_of(path) == [path, *slices[:3]]
    assert seconds_for(path) > seconds_for(slices[0])
    add_directory(folder.parent, [["images", slices[0].name], ["..", "x"], ["images", "gone"], ["DICOMDIR"]])
    assert files_of(path) == [path, slices[0]]
    path.write_bytes(path.read_bytes()[:300])
    assert files_of(path) == [path]


def test_a_slice_beside_a_dicomdir_makes_another_key(folder, tmp_path):
    path = add_directory(folder.parent, [["images", file.name] for file in sorted(folder.iterdir())])
    case = Case(case_id="c", subject_id="s", domain="a", image=path.name)
    manifest = Manifest(cases=(case,), root=path.parent)
    store = PreparedStore(tmp_path / "store", Preparation(preset="mr", size_px=32))
    before = store.key_of(case, manifest)
    last = max(folder.iterdir())
    header = pydicom.dcmread(last)
    header.PixelData = bytes(len(header.PixelData))
    header.save_as(last)
    assert store.key_of(case, manifest) != before


@pytest.mark.parametrize("parts", [["..", "secret.dcm"], ["/etc", "passwd"], ["images", "..", "..", "secret.dcm"]])
def test_dicomdir_cannot_name_files_outside(folder, parts, tmp_path):
    (tmp_path / "secret.dcm").write_bytes(min(folder.iterdir()).read_bytes())
    path = add_directory(folder.parent, [parts])
    with pytest.raises(ReadError, match="R019"):
        read_image(path)


def test_links_that_leave_are_refused(folder, make_dicom_series, stored, tmp_path):
    outside = make_dicom_series(stored[:1], "outside")
    (folder / "inside").symlink_to(min(folder.glob("*.dcm")))
    assert "1 links within the folder not followed" in read_image(folder).stored.notes
    (folder / "link.dcm").symlink_to(min(outside.iterdir()))
    with pytest.raises(ReadError, match=r"R019.*link\.dcm"):
        read_image(folder)
    (folder / "link.dcm").unlink()
    (folder / "below").symlink_to(outside)
    with pytest.raises(ReadError, match=r"R019.*below"):
        read_image(folder)
    (folder / "below").unlink()
    (folder.parent / "LINK").symlink_to(min(outside.iterdir()))
    path = add_directory(folder.parent, [["LINK"]])
    with pytest.raises(ReadError, match="R019"):
        read_image(path)


def test_a_slice_that_lost_its_first_bytes_is_no_other_file(folder):
    (folder / "._0.dcm").write_bytes(b"\0\5\x16\7")
    assert "1 files are not DICOM images; skipped" in read_image(folder).stored.notes
    (folder / "0.dcm").write_bytes(b"")
    with pytest.raises(ReadError, match="R001"):
        read_image(folder)
    (folder / "0.dcm").write_bytes(bytes(500))
    with pytest.raises(ReadError, match=r"R022.*not DICOM"):
        read_image(folder)


def test_files_without_preamble_are_told_by_their_elements(stored, folder, tmp_path):
    file = min(folder.iterdir())
    raw = file.read_bytes()
    (tmp_path / "no_preamble").write_bytes(raw[132:])
    (tmp_path / "no_header").write_bytes(raw[raw.index(b"\x08\x00\x08\x00CS") :])
    for name in ("no_preamble", "no_header"):
        assert kind_of(tmp_path / name) == "dicom"
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, read_image(file).pixels)
    notes = read_image(tmp_path / "no_header").stored.notes
    assert any("without a DICOM file header" in note for note in notes)
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    pydicom.dcmwrite(tmp_path / "implicit", dataset, implicit_vr=True, little_endian=True)
    raw = (tmp_path / "implicit").read_bytes()
    (tmp_path / "implicit").write_bytes(raw[raw.index(b"\x08\x00\x08\x00") :])
    np.testing.assert_array_equal(read_image(tmp_path / "implicit").pixels, read_image(file).pixels)


@pytest.mark.parametrize(
    "head",
    [b"", b"\x08\0\x05\0", b"\x08\0\x05\0CS\xff\xff" * 60, bytes(400), b"\x5c\x01\0\0" + bytes(396), b"P6 10 10 255\n"],
)
def test_other_bytes_are_not_taken_for_dicom(head):
    assert not is_dicom(head)


def test_a_deflated_bomb_is_refused(folder, tmp_path, monkeypatch):
    dataset = pydicom.dcmread(min(folder.iterdir()))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, read_image(min(folder.iterdir())).pixels)
    monkeypatch.setattr("medgan.imaging.dicom_parse._MAX_INFLATED_BYTES", 100)
    with pytest.raises(ReadError, match=r"R006.*inflates"):
        read_image(tmp_path / "a.dcm")


def test_a_folder_that_cannot_be_opened_is_not_passed_over(folder, monkeypatch):
    import os

    (folder / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ReadError, match=r"R040.*locked"):
        read_image(folder)
