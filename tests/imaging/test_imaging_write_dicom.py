"""Derived DICOM series: exact pixels, the right class, and no doubt that they are synthetic."""

from dataclasses import replace

import dicom_objects as objects
import numpy as np
import pydicom
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medgan.errors import WriteError
from medgan.imaging.derivation import Derivation
from medgan.imaging.image import StoredAs
from medgan.imaging.read import read_image
from medgan.imaging.write import write_image
from medgan.imaging.write_dicom_values import decimal_text, pack_anew

DERIVATION = Derivation(method="cyclegan", run="0a1b2c3d4e5f", weights_sha256="ab" * 32, source="T1", target="Köln\\CT")


@pytest.fixture
def twelve_bits(rng) -> np.ndarray:
    return rng.integers(0, 4096, size=(3, 6, 5)).astype(np.uint16)


def files(folder):
    return sorted(folder.iterdir())


def read(folder):
    return [pydicom.dcmread(file) for file in files(folder)]


def identity(path, out):
    image = read_image(path)
    assert write_image(image, out, like=image, derivation=DERIVATION) == 0
    return image, read_image(out)


def stored_bytes(datasets):
    def place(dataset):
        return tuple(dataset.get("ImagePositionPatient") or ())

    return [dataset.PixelData for dataset in sorted(datasets, key=place)]


def make_volumes(rng, root):
    signed = rng.integers(-2048, 2048, size=(3, 6, 5)).astype(np.int16)
    unsigned = signed.view(np.uint16) & 0x0FFF
    return {
        "ct": objects.ct(root / "ct", unsigned),
        "mr signed, oblique": objects.mr(root / "mr", signed),
        "mr scaled": objects.mr(
            root / "scaled", unsigned, RescaleSlope="0.37", RescaleIntercept="-3", RescaleType="US"
        ),
        "monochrome1": objects.mr(root / "inverted", unsigned, PhotometricInterpretation="MONOCHROME1"),
        "pet": objects.pet(root / "pet", signed),
    }


def test_identity_keeps_bytes_and_geometry_of_volumes(rng, tmp_path):
    for name, path in make_volumes(rng, tmp_path).items():
        image, again = identity(path, tmp_path / f"out {name}")
        assert again.geometry == image.geometry, name
        np.testing.assert_array_equal(again.pixels, image.pixels, err_msg=name)
        assert (again.stored.unit, again.stored.modality) == (image.stored.unit, image.stored.modality), name
        old, new = read(path), read(tmp_path / f"out {name}")
        assert stored_bytes(new) == stored_bytes(old), name
        assert {item.SOPClassUID for item in new} == {item.SOPClassUID for item in old}, name
        assert new[0].PhotometricInterpretation == old[0].PhotometricInterpretation, name


def test_identity_keeps_bytes_of_an_enhanced_file_in_its_own_order(twelve_bits, tmp_path):
    path = objects.enhanced_mr(tmp_path / "enhanced", twelve_bits, order=[2, 0, 1])
    image, again = identity(path, tmp_path / "out")
    assert again.geometry == image.geometry
    np.testing.assert_array_equal(image.pixels[0], twelve_bits * 2.0 - 5)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    (new,) = read(tmp_path / "out")
    assert new.PixelData == twelve_bits[[2, 0, 1]].tobytes()
    assert list(new.ImageType) == ["DERIVED", "PRIMARY", "OTHER", "NONE"]
    for index, group in enumerate(new.PerFrameFunctionalGroupsSequence):
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        assert source.ReferencedFrameNumber == index + 1
        assert source.ReferencedSOPInstanceUID == read(path)[0].SOPInstanceUID


def test_an_enhanced_file_gets_a_new_rescale_for_all_its_frames(twelve_bits, tmp_path):
    path = objects.enhanced_mr(tmp_path / "enhanced", twelve_bits, order=[2, 0, 1])
    image = read_image(path)
    wanted = image.pixels + np.float32(0.25) * np.arange(3, dtype=np.float32)[:, None, None] - 40000
    write_image(image.with_pixels(wanted), tmp_path / "out", like=image)
    step = (wanted.max() - wanted.min()) / 65534
    np.testing.assert_allclose(read_image(tmp_path / "out").pixels, wanted, atol=step / 2 + 0.01)


def test_a_modality_lut_becomes_values_without_a_rescale(rng, tmp_path):
    pixels = rng.integers(0, 8, size=(6, 5)).astype(np.uint16)
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [8, 0, 16])
    table.ModalityLUTType = "US"
    table.add_new("LUTData", "US", [100, 90, 70, 40, 41, 42, 43, 60000])
    path = objects.picture(tmp_path / "cr", "CR", pixels, shown="MONOCHROME2", ModalityLUTSequence=[table])
    image, again = identity(path, tmp_path / "out")
    np.testing.assert_array_equal(image.pixels[0], np.array(table.LUTData)[pixels])
    np.testing.assert_array_equal(again.pixels, image.pixels)
    (new,) = read(tmp_path / "out")
    assert "ModalityLUTSequence" not in new
    assert (new.RescaleSlope, new.RescaleIntercept) == (1, 0)


def test_pictures_keep_their_class_and_pixels(rng, tmp_path):
    grey = rng.integers(0, 4096, size=(7, 5)).astype(np.uint16)
    colour = rng.integers(0, 256, size=(7, 5, 3)).astype(np.uint8)
    kinds = [(kind, grey, "MONOCHROME1") for kind in ("CR", "DX")]
    kinds += [(kind, colour, "RGB") for kind in ("US", "SC", "XC", "OP")]
    for kind, pixels, shown in kinds:
        path = objects.picture(tmp_path / kind, kind, pixels, shown=shown)
        image, again = identity(path, tmp_path / f"{kind} out")
        assert not image.is_volume
        np.testing.assert_array_equal(again.pixels, image.pixels)
        (old,), (new,) = read(path), read(tmp_path / f"{kind} out")
        assert (new.SOPClassUID, new.Modality) == (old.SOPClassUID, old.Modality)
        assert new.PhotometricInterpretation == shown
        assert new.PixelData == old.PixelData


def test_a_palette_becomes_rgb(rng, tmp_path):
    indices = rng.integers(0, 4, size=(6, 5)).astype(np.uint8)
    tables = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, data in (("Red", [0, 10, 20, 255]), ("Green", [1, 2, 3, 4]), ("Blue", [9, 8, 7, 6]))
        for part, value in (("Descriptor", [4, 0, 8]), ("Data", bytes(data)))
    }
    path = objects.picture(tmp_path / "us", "US", indices, shown="PALETTE COLOR", **tables)
    image, again = identity(path, tmp_path / "out")
    np.testing.assert_array_equal(image.pixels[0], np.array([0, 10, 20, 255])[indices])
    np.testing.assert_array_equal(again.pixels, image.pixels)
    (new,) = read(tmp_path / "out")
    assert (new.PhotometricInterpretation, new.SamplesPerPixel) == ("RGB", 3)
    assert not any("Palette" in element.keyword for element in new)


def test_it_says_what_it_is_and_where_it_comes_from(twelve_bits, tmp_path):
    path = objects.ct(
        tmp_path / "ct",
        twelve_bits,
        PixelPaddingValue=0,
        SmallestImagePixelValue=0,
        LargestImagePixelValue=4095,
        IconImageSequence=[pydicom.Dataset()],
        SeriesDescription="CT thorax",
    )
    for file in files(path):
        dataset = pydicom.dcmread(file)
        dataset.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "private")
        dataset.add_new(0x60000010, "US", 6)
        dataset.save_as(file)
    identity(path, tmp_path / "out")
    old = {dataset.SOPInstanceUID: dataset for dataset in read(path)}
    new = read(tmp_path / "out")
    for dataset in new:
        (source,) = dataset.SourceImageSequence
        before = old.pop(source.ReferencedSOPInstanceUID)
        assert dataset.ImagePositionPatient == before.ImagePositionPatient
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "InstanceNumber"):
            assert dataset[keyword] == before[keyword]
        assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert (dataset.SyntheticData, dataset.SeriesNumber) == ("YES", 9004)
        assert dataset.SeriesDescription == "SYNTHETIC - NOT FOR DIAGNOSIS"
        assert (dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleType) == (40, 400, "HU")
        gone = ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue", "IconImageSequence")
        assert not [keyword for keyword in gone if keyword in dataset]
        assert not [element for element in dataset if element.tag.is_private or element.tag.group == 0x6000]
    assert not old
    first = new[0]
    assert first.DerivationDescription == (
        "Translated between image domains: T1 -> K?ln/CT by cyclegan, run 0a1b2c3d4e5f, "
        f"weights SHA-256 {'ab' * 32}. Synthetic, not for diagnosis."
    )
    scanner, program = first.ContributingEquipmentSequence
    assert (scanner.Manufacturer, scanner.ManufacturerModelName) == ("ACME", "Scan 9")
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Acquisition Equipment"
    assert (program.Manufacturer, first.Manufacturer) == ("medgan", "medgan")
    assert "DeviceSerialNumber" not in first
    assert len({dataset.SeriesInstanceUID for dataset in new}) == 1
    assert len({dataset.SOPInstanceUID for dataset in new}) == 3


def test_the_same_input_gives_the_same_bytes_and_other_input_other_uids(twelve_bits, tmp_path):
    path = objects.mr(tmp_path / "mr", twelve_bits)
    image = read_image(path)
    runs = {
        "first": (image, DERIVATION),
        "again": (image, DERIVATION),
        "other run": (image, replace(DERIVATION, run="1")),
        "other pixels": (image.with_pixels(image.pixels + 1), DERIVATION),
    }
    for name, (result, derivation) in runs.items():
        write_image(result, tmp_path / name, like=image, derivation=derivation)
    contents = {name: [file.read_bytes() for file in files(tmp_path / name)] for name in runs}
    assert contents["first"] == contents["again"]
    series = {name: read(tmp_path / name)[0].SeriesInstanceUID for name in ("first", "other run", "other pixels")}
    assert len(set(series.values())) == 3
    assert not any(dataset.ContentDate for dataset in read(tmp_path / "first"))


def test_a_derived_series_as_a_source_stays_synthetic(twelve_bits, tmp_path):
    _, once = identity(objects.mr(tmp_path / "mr", twelve_bits), tmp_path / "once")
    write_image(once, tmp_path / "twice", like=once)
    for dataset in read(tmp_path / "twice"):
        assert (dataset.SyntheticData, dataset.SeriesNumber) == ("YES", 18004)
        makers = [item.Manufacturer for item in dataset.ContributingEquipmentSequence]
        assert makers == ["ACME", "medgan", "medgan"]


def test_an_mr_translated_to_hu_is_a_ct(twelve_bits, tmp_path):
    path = objects.mr(tmp_path / "mr", twelve_bits, ContrastBolusAgent="Gd", ProtocolName="t1")
    image = read_image(path)
    hu = (image.pixels.astype(np.int32) - 1000) % 3000 - 1000
    result = replace(image.with_pixels(hu), stored=replace(image.stored, unit="HU"))
    write_image(result, tmp_path / "out", like=image, derivation=DERIVATION)
    again = read_image(tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, hu)
    assert (again.stored.modality, again.stored.unit, again.geometry) == ("CT", "HU", image.geometry)
    for dataset in read(tmp_path / "out"):
        assert dataset.SOPClassUID == objects.BASE + "2"
        assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType) == (1, -1024, "HU")
        assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        left = ("ScanningSequence", "EchoTime", "RepetitionTime", "MRAcquisitionType", "ContrastBolusAgent")
        assert not [keyword for keyword in left if keyword in dataset]
        assert (dataset["KVP"].is_empty, dataset.PatientPosition) == (True, "HFS")
        assert -1000 < dataset.WindowCenter < 2000


def test_a_ct_translated_to_arbitrary_units_is_an_mr(twelve_bits, tmp_path):
    image = read_image(objects.ct(tmp_path / "ct", twelve_bits))
    values = (image.pixels[:] + 1024) * np.float32(1.37)
    result = replace(image.with_pixels(values), stored=replace(image.stored, unit="a.u."))
    write_image(result, tmp_path / "out", like=image)
    again = read_image(tmp_path / "out")
    np.testing.assert_allclose(again.pixels, values, atol=values.max() / 65534 / 2 + 1e-3)
    assert (again.stored.modality, again.stored.unit) == ("MR", "a.u.")
    assert {(item.ScanningSequence, item.SequenceVariant) for item in read(tmp_path / "out")} == {("RM", "NONE")}


def test_a_scale_of_the_result_s_own_is_used(twelve_bits, tmp_path):
    image = read_image(objects.mr(tmp_path / "mr", twelve_bits))
    own = StoredAs(format="dicom", dtype="uint16", unit="HU", slope=0.0625, intercept=-1024)
    values = (np.rint(image.pixels * 0.9 * 16) / 16 - 1024).astype(np.float32)
    write_image(replace(image.with_pixels(values), stored=own), tmp_path / "out", like=image)
    np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, values)
    assert {float(item.RescaleSlope) for item in read(tmp_path / "out")} == {0.0625}


def test_frames_of_a_classic_class_are_written_one_file_each(twelve_bits, tmp_path):
    path = objects.enhanced_mr(tmp_path / "enhanced", twelve_bits, order=[2, 0, 1])
    image = read_image(path)
    hu = image.pixels.astype(np.int32) - 1000
    result = replace(image.with_pixels(hu), stored=replace(image.stored, unit="HU"))
    write_image(result, tmp_path / "out", like=image)
    again = read_image(tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, hu)
    assert again.geometry == image.geometry
    new = read(tmp_path / "out")
    assert len(new) == 3
    assert not any("PerFrameFunctionalGroupsSequence" in item for item in new)
    assert [item.SourceImageSequence[0].ReferencedFrameNumber for item in new] == [2, 3, 1]


def test_a_lossy_source_is_said_to_be_lossy_ever_after(rng, tmp_path):
    pixels = np.repeat(np.arange(0, 240, 15, dtype=np.uint8), 16).reshape(16, 16)
    path = objects.picture(tmp_path / "sc", "SC", pixels, shown="MONOCHROME2", LossyImageCompression="01")
    _, again = identity(path, tmp_path / "out")
    assert [item.LossyImageCompression for item in read(tmp_path / "out")] == ["01"]
    write_image(again, tmp_path / "twice", like=again)
    assert [item.LossyImageCompression for item in read(tmp_path / "twice")] == ["01"]


def test_long_decimals_ages_and_old_dates_are_mended(twelve_bits, tmp_path):
    path = objects.ct(tmp_path / "ct", twelve_bits, StudyDate="20200102")
    for file in files(path):
        raw = file.read_bytes()
        for old, new in (
            (b"\x28\x00\x30\x00DS\x08\x000.8\\0.75", b"\x28\x00\x30\x00DS\x18\x000.6666666865348820\\0.75 "),
            (b"DA\x08\x0020200102", b"DA\x0a\x002020.01.02"),
            (b"\x10\x00\x40\x00CS", b"\x10\x00\x10\x10AS\x02\x0042\x10\x00\x40\x00CS"),
        ):
            assert raw.count(old) == 1
            raw = raw.replace(old, new)
        file.write_bytes(raw)
    image, again = identity(path, tmp_path / "out")
    np.testing.assert_allclose(again.geometry.affine, image.geometry.affine, rtol=0, atol=1e-12)
    for dataset in read(tmp_path / "out"):
        assert str(dataset.PixelSpacing[0]) == "0.66666668653488"
        assert ("PatientAge" in dataset, dataset.StudyDate) == (False, "20200102")


def test_a_source_without_a_study_gets_one(twelve_bits, tmp_path):
    path = objects.ct(tmp_path / "ct", twelve_bits, StudyInstanceUID=None)
    identity(path, tmp_path / "out")
    identity(path, tmp_path / "again")
    studies = {dataset.StudyInstanceUID for name in ("out", "again") for dataset in read(tmp_path / name)}
    assert len(studies) == 1


def test_names_in_another_script_survive(twelve_bits, tmp_path):
    path = objects.ct(tmp_path / "ct", twelve_bits, SpecificCharacterSet=["", "ISO 2022 IR 87"])
    for file in files(path):
        dataset = pydicom.dcmread(file)
        dataset.PatientName = "Yamada^Tarou=山田^太郎"
        dataset.save_as(file)
    identity(path, tmp_path / "out")
    assert {str(dataset.PatientName) for dataset in read(tmp_path / "out")} == {"Yamada^Tarou=山田^太郎"}


def test_what_cannot_be_written_is_refused(twelve_bits, rng, tmp_path):
    image = read_image(objects.ct(tmp_path / "ct", twelve_bits))
    pet = replace(image, stored=replace(image.stored, unit="BQML"))
    with pytest.raises(WriteError, match=r"W007.*BQML from a source of modality CT in HU"):
        write_image(pet, tmp_path / "out", like=image)
    assert not (tmp_path / "out").exists()
    files(tmp_path / "ct")[-1].unlink()
    with pytest.raises(WriteError, match=r"W006.*got 2 slices; expected 3"):
        write_image(image, tmp_path / "out", like=image)
    colour = rng.integers(0, 256, size=(7, 5, 3)).astype(np.uint8)
    picture = read_image(objects.picture(tmp_path / "us", "US", colour, shown="RGB"))
    with pytest.raises(WriteError, match=r"W008.*got 3 channels, uint8, -"):
        write_image(picture.with_pixels(picture.pixels.astype(int) - 300), tmp_path / "out", like=picture)
    with pytest.raises(WriteError, match=r"W008.*got 1; expected 3"):
        write_image(picture.with_pixels(picture.pixels[:1]), tmp_path / "out", like=picture)
    grey = read_image(objects.picture(tmp_path / "cr", "CR", twelve_bits[0], shown="MONOCHROME1"))
    with pytest.raises(WriteError, match=r"W008.*70000"):
        write_image(grey.with_pixels(np.full_like(grey.pixels, 70000, dtype=int)), tmp_path / "out", like=grey)


def test_values_beyond_the_stored_bits_take_those_that_are_allocated(twelve_bits, tmp_path):
    image = read_image(objects.ct(tmp_path / "ct", twelve_bits))
    wanted = image.pixels.astype(np.int32) + 20000
    write_image(image.with_pixels(wanted), tmp_path / "out", like=image)
    np.testing.assert_array_equal(read_image(tmp_path / "out").pixels, wanted)
    assert {(item.BitsStored, item.RescaleIntercept) for item in read(tmp_path / "out")} == {(16, -1024)}


@settings(deadline=None)
@given(
    st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=8).filter(lambda v: max(v) - min(v) < 2**16),
    st.sampled_from(["HU", "a.u."]),
)
def test_whole_numbers_are_exact_by_a_rescale_of_their_own(numbers, unit):
    values = np.array(numbers, dtype=np.int32).reshape(1, 1, -1)
    packed = pack_anew(values, None, unit=unit)
    ((slope, intercept),) = packed.rescale
    np.testing.assert_array_equal(packed.numbers * float(slope) + float(intercept), values)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=9), st.booleans())
def test_no_value_is_further_than_half_a_step(numbers, about_zero):
    values = np.array(numbers, dtype=np.float32).astype(np.float64).reshape(1, 1, -1)
    span = float(values.max()) - float(values.min())
    assume(span == 0 or span > 1e-4 * np.abs(values).max())
    packed = pack_anew(values, None, unit="a.u.", about_zero=about_zero)
    ((slope, intercept),) = packed.rescale
    assert max(len(slope), len(intercept)) <= 16
    back = packed.numbers.astype(np.float64) * float(slope) + float(intercept)
    tolerance = float(slope) * 0.5000001 + float(np.abs(values).max()) * 1e-9  # of a decimal of 16 characters
    np.testing.assert_allclose(back, values, rtol=0, atol=tolerance)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
def test_a_decimal_string_is_short_and_close(value):
    text = decimal_text(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8, abs=0)


def test_a_span_too_small_for_decimals_is_refused():
    with pytest.raises(WriteError, match="W009"):
        pack_anew(np.array([[[123456789.123, 123456789.124]]]), None, unit="a.u.")


@pytest.mark.real_data
def test_lossy_sources_of_many_codecs_are_said_to_be_lossy(data_root, tmp_path):
    folder = data_root / "dicom_odd" / "pydicom"
    methods = {
        "SC_rgb_jpeg_dcmtk": "ISO_10918_1",
        "SC_rgb_jls_lossy_line": "ISO_14495_1",
        "SC_rgb_gdcm_KY": "ISO_15444_1",
    }
    for name, method in methods.items():
        identity(folder / f"{name}.dcm", tmp_path / name)
        (new,) = read(tmp_path / name)
        assert (new.LossyImageCompression, new.LossyImageCompressionMethod) == ("01", method), name
        assert float(new.LossyImageCompressionRatio) > 1


@pytest.mark.real_data
def test_a_mosaic_becomes_slices(data_root, tmp_path):
    path = sorted((data_root / "dicom_series" / "mr_epi_siemens_mosaic").iterdir())[0]
    image, again = identity(path, tmp_path / "out")
    np.testing.assert_array_equal(again.pixels, image.pixels)
    np.testing.assert_allclose(again.geometry.affine, image.geometry.affine, rtol=0, atol=1e-9)
    assert len(files(tmp_path / "out")) == image.pixels.shape[1]
    assert not any("MOSAIC" in item.ImageType for item in read(tmp_path / "out"))
