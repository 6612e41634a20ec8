"""DICOM pictures without a place: colours, palettes, tables, several frames, burned-in text."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medgan.errors import ReadError
from medgan.imaging.read import read_image

ULTRASOUND, CAPTURE, RADIOGRAPH = (
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.1.1",
)
FUNDUS, ENDOSCOPE = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.840.10008.5.1.4.1.1.77.1.1"


@pytest.fixture
def make_picture(tmp_path):
    """Write pixels (H, W), (H, W, 3) or, with NumberOfFrames, (frames, H, W[, 3]) as one file."""

    def make(array, name="picture.dcm", sop_class=ULTRASOUND, **elements):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
        dataset.SeriesInstanceUID, dataset.Modality, dataset.PatientName = "1.2.3", "US", "Secret^Name"
        colour = array.shape[-1] == 3
        dataset.Rows, dataset.Columns = array.shape[-3:-1] if colour else array.shape[-2:]
        dataset.SamplesPerPixel = 3 if colour else 1
        dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            dataset.PlanarConfiguration = 0
        bits = array.dtype.itemsize * 8
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
        dataset.PixelRepresentation = int(array.dtype.kind == "i")
        raw = array.tobytes()
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def colours(rng) -> np.ndarray:
    return rng.integers(0, 256, size=(6, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_keeps_its_depth(rng, make_picture, dtype):
    array = rng.integers(0, np.iinfo(dtype).max, size=(6, 8, 3)).astype(dtype)
    image = read_image(make_picture(array))
    np.testing.assert_array_equal(image.pixels, array.transpose(2, 0, 1))
    assert (image.pixels.dtype, image.geometry, image.stored.unit) == (dtype, None, "level")


def test_planes_one_after_the_other(colours, make_picture):
    path = make_picture(colours, PlanarConfiguration=1, PixelData=colours.transpose(2, 0, 1).tobytes())
    np.testing.assert_array_equal(read_image(path).pixels, colours.transpose(2, 0, 1))


def test_ybr_is_turned_into_rgb(colours, make_picture):
    weights = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ybr = np.clip(np.rint(colours @ weights.T + [0, 128, 128]), 0, 255).astype(np.uint8)
    image = read_image(make_picture(colours, PhotometricInterpretation="YBR_FULL", PixelData=ybr.tobytes()))
    assert np.abs(image.pixels.transpose(1, 2, 0).astype(int) - colours).max() <= 2
    assert "YBR_FULL converted to RGB" in image.stored.notes


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_are_expanded_at_their_depth(rng, make_picture, bits):
    indices = rng.integers(0, 4, size=(6, 8)).astype(np.uint8)
    table = rng.integers(0, 2**bits, size=(3, 4)).astype(np.uint16)
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, entries in zip(("Red", "Green", "Blue"), table, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        raw = entries.astype("<u2" if bits == 16 else np.uint8).tobytes()
        elements[f"{name}PaletteColorLookupTableData"] = raw
    image = read_image(make_picture(indices, **elements))
    np.testing.assert_array_equal(image.pixels, table[:, indices])
    assert image.pixels.dtype == np.dtype(f"uint{bits}")
    assert "PALETTE COLOR expanded to RGB" in image.stored.notes


def test_monochrome1_and_signed_radiographs_stay_as_stored(rng, make_picture):
    array = rng.integers(-2048, 2048, size=(6, 8)).astype(np.int16)
    path = make_picture(
        array, sop_class=RADIOGRAPH, Modality="DX", PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11
    )
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0], array)
    assert any("MONOCHROME1" in note for note in image.stored.notes)
    assert (image.stored.modality, image.stored.burned_in) == ("DX", "")


def test_a_modality_lut_is_applied_exactly(rng, make_picture):
    array = rng.integers(0, 300, size=(6, 8)).astype(np.uint16)
    table, lut = rng.integers(0, 2**16, size=200).astype(np.uint16), pydicom.Dataset()
    lut.LUTDescriptor, lut.LUTData, lut.ModalityLUTType = [200, 50, 16], table.tolist(), "OD"
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    image = read_image(make_picture(array, sop_class=CAPTURE, Modality="OT", ModalityLUTSequence=[lut]))
    np.testing.assert_array_equal(image.pixels[0], table[np.clip(array.astype(int) - 50, 0, 199)])
    assert "Modality LUT applied" in image.stored.notes
    assert (image.stored.slope, image.stored.intercept) == (1.0, 0.0)


def test_a_modality_lut_in_a_volume(rng, make_dicom_series):
    stored = rng.integers(0, 16, size=(3, 6, 7)).astype(np.uint16)
    table, lut = rng.integers(0, 4096, size=16).astype(np.uint16), pydicom.Dataset()
    lut.LUTDescriptor, lut.LUTData = [16, 0, 16], table.tolist()
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    image = read_image(make_dicom_series(stored, ModalityLUTSequence=[lut]))
    np.testing.assert_array_equal(image.pixels[0], table[stored])


def test_several_pictures_need_a_choice(rng, make_picture):
    frames = rng.integers(0, 256, size=(3, 6, 8)).astype(np.uint8)
    path = make_picture(frames, "cine/a.dcm", NumberOfFrames=3, InstanceNumber=2)
    with pytest.raises(ReadError, match=r"R012.*3 pictures in 1 files.*volume: in the manifest"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, volume=2).pixels[0], frames[2])
    make_picture(frames[0] // 2, "cine/b.dcm", InstanceNumber=1)
    np.testing.assert_array_equal(read_image(path.parent, volume=0).pixels[0], frames[0] // 2)
    image = read_image(path.parent, volume=1)
    np.testing.assert_array_equal(image.pixels[0], frames[0])
    assert "picture 1 of 4" in image.stored.notes
    for volume in (4, -1):
        with pytest.raises(ReadError, match=r"R012.*no such picture.*0 to 3"):
            read_image(path.parent, volume=volume)


def test_pixels_that_are_not_square_are_noted(colours, make_picture):
    image = read_image(make_picture(colours, PixelAspectRatio=[4, 3]))
    assert any("4:3" in note for note in image.stored.notes)
    assert not read_image(make_picture(colours, PixelAspectRatio=[2, 2])).stored.notes


def test_caps_and_absurd_headers_cost_no_memory(colours, make_picture, make_dicom_series, rng):
    with pytest.raises(ReadError, match=r"R006.*max_megapixels"):
        read_image(make_picture(colours), max_megapixels=1e-5)
    with pytest.raises(ReadError, match=r"R006.*4294\.8 megapixels"):
        read_image(make_picture(colours, Rows=65535, Columns=65535))
    with pytest.raises(ReadError, match=r"R004.*got 144 bytes"):
        read_image(make_picture(colours, Rows=5000, Columns=5000))
    with pytest.raises(ReadError, match=r"R022.*NumberOfFrames 2000000000"):
        read_image(make_picture(colours, NumberOfFrames=2_000_000_000))
    folder = make_dicom_series(rng.integers(0, 9, size=(2, 6, 7)).astype(np.uint16), Rows=0)
    with pytest.raises(ReadError, match="R004"):
        read_image(folder)
    path = make_picture(colours, NumberOfFrames=7)
    path.write_bytes(path.read_bytes().replace(b"IS\x02\x007 ", b"IS\x02\x00 A"))
    with pytest.raises(ReadError, match=r"R022.*no number"):
        read_image(path)


@pytest.mark.parametrize(
    "elements",
    [
        {"PhotometricInterpretation": "HSV"},
        {"PhotometricInterpretation": "CMYK"},
        {"PhotometricInterpretation": "YBR_PARTIAL_420"},
        {"BitsStored": 7, "HighBit": 7},
        {"BitsAllocated": 12},
    ],
)
def test_colours_that_cannot_be_read_exactly_are_refused(colours, make_picture, elements):
    with pytest.raises(ReadError, match=r"R010|R004"):
        read_image(make_picture(colours, **elements))


@pytest.mark.parametrize(
    "elements",
    [{"BitsStored": 0}, {"BitsStored": 17}, {"BitsStored": 12, "HighBit": 5}, {"BitsAllocated": 1}, {"HighBit": 16}],
)
def test_depths_that_make_no_sense(rng, make_picture, elements):
    with pytest.raises(ReadError, match="R010"):
        read_image(make_picture(rng.integers(0, 9, size=(6, 8)).astype(np.uint16), **elements))


@pytest.mark.parametrize(
    ("sop_class", "modality", "elements", "reason"),
    [
        (ULTRASOUND, "US", {}, "BurnedInAnnotation is absent, and ultrasound often holds text"),
        (ULTRASOUND, "US", {"BurnedInAnnotation": "NO"}, ""),
        (ULTRASOUND, "US", {"BurnedInAnnotation": "SECRET"}, "BurnedInAnnotation is not NO, and ultrasound"),
        (RADIOGRAPH, "DX", {"BurnedInAnnotation": "YES"}, "BurnedInAnnotation YES"),
        (RADIOGRAPH, "DX", {}, ""),
        (CAPTURE, "MR", {}, "secondary capture"),
        (CAPTURE, "OT", {"BurnedInAnnotation": "NO"}, ""),
        (FUNDUS, "OP", {}, "ophthalmic"),
        (ENDOSCOPE, "ES", {}, "visible light"),
        (RADIOGRAPH, "XC", {}, "visible light"),
        (RADIOGRAPH, "DX", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "ImageType SCREEN SAVE"),
    ],
)
def test_reasons_to_look_for_text(colours, make_picture, sop_class, modality, elements, reason):
    image = read_image(make_picture(colours, sop_class=sop_class, Modality=modality, **elements))
    assert reason in image.stored.burned_in
    assert bool(image.stored.burned_in) == bool(reason)
    assert "SECRET" not in (image.stored.burned_in + "".join(image.stored.notes)).upper()


def test_a_ct_waits_for_no_review(rng, make_dicom_series):
    folder = make_dicom_series(rng.integers(0, 9, size=(2, 6, 7)).astype(np.uint16))
    assert read_image(folder).stored.burned_in == ""
    file = min(folder.iterdir())
    dataset = pydicom.dcmread(file)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(file)
    assert read_image(folder).stored.burned_in == "BurnedInAnnotation YES"


def test_a_capture_with_a_place_is_a_slice(rng, make_dicom_series):
    folder = make_dicom_series(
        rng.integers(0, 9, size=(2, 6, 7)).astype(np.uint16), SOPClassUID=CAPTURE, Modality="MR", RescaleType="US"
    )
    assert read_image(folder).pixels.shape == (1, 2, 6, 7)


def test_slices_and_pictures_are_not_mixed(rng, make_dicom_series, make_picture, colours):
    folder = make_dicom_series(rng.integers(0, 9, size=(2, 6, 7)).astype(np.uint16), uid="1.2.3")
    make_picture(colours).rename(folder / "picture.dcm")
    with pytest.raises(ReadError, match=r"R026.*pictures"):
        read_image(folder)
