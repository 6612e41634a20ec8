"""Names in short texts: found as far as that is safe, and never where the standard's own words stand."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medgan.imaging.deidentify_dicom import deidentify_dicom
from medgan.imaging.deidentify_names import Pseudonyms
from medgan.imaging.deidentify_sources import kind_of_bytes
from medgan.imaging.deidentify_words import Identity
from medgan.stages.deidentify import deidentify

NAMES = Pseudonyms(b"k" * 32)


def who(name, **others):
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName = name
    for keyword, value in others.items():
        setattr(header, keyword, value)
    return Identity(header)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Doe^Jane", "seen Jane today"),
        ("Testpatient^Jane", "BRAINTESTPATIENT"),
        ("Doex^Jane", "T1_DOEX"),
        ("Doex^Jane", "doex3"),
        ("Doe^Jane", "DOEJANE_T1"),
        ("Doe^Jane", "xJANEDOEx"),
        ("Li^Wei", "control, Li"),
        ("Li^Wei", "LI_T1"),
        ("Li^Wei", "LIWEI"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田様"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "頭部太郎"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "환자길동님"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "洪吉洞氏"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "脳 洪"),
        ("Müller^Jörg", "for Mueller or Muller"),
        ("Muller^Jorg", "Jörg, T2"),
        ("Doe^Jane^Quincy^^", "quincy"),
        ("Иванов^Пётр", "снимок ИВАНОВ"),
    ],
)
def test_names_are_found(name, text):
    assert who(name).is_in(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Li^Wei", "lipid weighted"),
        ("Doe^Jane", "does it"),
        ("Anna^Bo", "Hannah about"),
        ("Yamada^Tarou=山田^太郎", "小山と田中"),
        ("Hong^Gildong=洪^吉洞", "洪水"),
        ("A^B", "A B"),
        ("", "anything"),
        ("12^34", "12 34"),
    ],
)
def test_what_only_looks_like_a_name_stays(name, text):
    assert not who(name).is_in(text)


def test_numbers_are_found_between_other_signs_but_not_within_longer_ones():
    found = who("Doe^Jane", PatientID="77319", AccessionNumber="ACC-12")
    assert found.is_in("study_77319_T1")
    assert found.is_in("ACC-12/3")
    assert not found.is_in("1773190")


def test_short_names_are_no_sign_in_codes_nor_in_random_bytes():
    found = who("Li^Wei")
    assert not found.is_in("LI", is_free=False)
    assert not found.is_in_bytes(b"\0\1 a Li b c d e f \0")
    assert who("Testpatient^Jane").is_in_bytes(b"\0\1comment TESTPATIENT\0")
    assert who("Testpatient^Jane").is_in_bytes("comment Testpatient".encode("utf-16-le"))


def image(**elements):
    dataset = pydicom.dataset.FileDataset("", {}, file_meta=FileMetaDataset(), preamble=bytes(128))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.5", "1.2.3.6"
    dataset.Modality, dataset.PatientID = "CT", "MRN7731950"
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 1
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 4, 4, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = np.arange(16, dtype="<u2").tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def saved(dataset):
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def cleaned(**elements):
    raw, _, done = deidentify_dicom(saved(image(**elements)), NAMES)
    return pydicom.dcmread(io.BytesIO(raw)), done


def test_a_patient_called_like_a_code_empties_no_coded_element():
    dataset, _ = cleaned(
        PatientName="Chest^Axial^Ct",
        BodyPartExamined="CHEST",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        ContrastBolusRoute="for Chest",
    )
    assert dataset.BodyPartExamined == "CHEST"
    assert list(dataset.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert dataset.Modality == "CT"
    assert not dataset.ContrastBolusRoute


def test_a_patient_called_like_a_unit_is_exported():
    dataset, _ = cleaned(PatientName="Hu^Li", RescaleType="HU", RescaleSlope=1, RescaleIntercept=0)
    assert dataset.RescaleType == "HU"


def test_a_body_part_that_is_no_code_is_text():
    dataset, _ = cleaned(PatientName="Doex^Jane", BodyPartExamined="HEAD DOEX")
    assert not dataset.BodyPartExamined


def test_bytes_that_no_image_needs_go():
    profile = b"\0\0\2\0appl" + bytes(60) + b"Display P3 of nobody"
    dataset, done = cleaned(
        PatientName="Testpatient^Jane", ICCProfile=profile, CoordinateSystemAxisValues=b"written Testpatient"
    )
    assert dataset.ICCProfile == profile
    assert "CoordinateSystemAxisValues" not in dataset
    assert done["bytes that no image needs, removed"] == 1
    dataset, _ = cleaned(PatientName="Testpatient^Jane", ICCProfile=profile + b"by Testpatient")
    assert "ICCProfile" not in dataset


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_without_a_preamble_is_an_image(tmp_path, syntax):
    dataset = image(PatientName="Testpatient^Jane", StudyDescription="of Testpatient")
    bare = io.BytesIO()
    pydicom.dcmwrite(
        bare,
        pydicom.dataset.FileDataset("", dict(dataset.items())),
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=True,
        enforce_file_format=False,
    )
    raw = bare.getvalue()
    assert raw[128:132] != b"DICM"
    assert kind_of_bytes(raw) == "dicom"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "slice").write_bytes(raw)
    done = deidentify(tmp_path / "in", tmp_path / "out")
    assert done.files == {"dicom": 1}, list(done.lines())
    made = next((tmp_path / "out").rglob("*.dcm"))
    assert b"estpatient" not in made.read_bytes()
    np.testing.assert_array_equal(pydicom.dcmread(made).pixel_array.ravel(), np.arange(16))
