"""Every odd file and series of the real data: read as pydicom, SimpleITK or dcm2niix read it, or refused by code."""

import shutil
import subprocess
import warnings

import nibabel as nib
import numpy as np
import pydicom
import pytest

from medgan.errors import ReadError
from medgan.imaging.geometry import Geometry, reorient
from medgan.imaging.read import read_image

pytestmark = pytest.mark.real_data

BOTH, PYDICOM, ITK = ("pydicom", "simpleitk"), ("pydicom",), ("simpleitk",)
OWN: tuple[str, ...] = ()  # compared in a test of its own below
# shape, type, and whose values are the same
READ = {
    "charset/chrFren.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrFrenMulti.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrGerm.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrGreek.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrH31.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrH32.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrI2.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrRuss.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrX1.dcm": ((1, 32, 32), "uint8", BOTH),
    "charset/chrX2.dcm": ((1, 32, 32), "uint8", BOTH),
    "pydicom/CT_small.dcm": ((1, 1, 128, 128), "int32", BOTH),
    "pydicom/ExplVR_BigEnd.dcm": ((3, 60, 80), "uint8", BOTH),
    "pydicom/GDCMJ2K_TextGBR.dcm": ((3, 400, 400), "uint8", ITK),
    "pydicom/JPEG-lossy.dcm": ((1, 1024, 256), "uint16", ITK),
    "pydicom/JPEG2000.dcm": ((1, 1024, 256), "int16", BOTH),
    "pydicom/JPEGLSNearLossless_16.dcm": ((1, 50, 10), "uint16", BOTH),
    "pydicom/JPGExtended.dcm": ((1, 1024, 256), "uint16", ITK),
    "pydicom/MR_small.dcm": ((1, 1, 64, 64), "int16", BOTH),
    "pydicom/MR_small_RLE.dcm": ((1, 1, 64, 64), "int16", BOTH),
    "pydicom/MR_small_bigendian.dcm": ((1, 1, 64, 64), "int16", BOTH),
    "pydicom/MR_small_expb.dcm": ((1, 1, 64, 64), "int16", BOTH),
    "pydicom/MR_small_implicit.dcm": ((1, 1, 64, 64), "int16", BOTH),
    "pydicom/MR_small_jpeg_ls_lossless.dcm": ((1, 1, 64, 64), "int16", BOTH),
    "pydicom/SC_jpeg_no_color_transform.dcm": ((3, 256, 256), "uint8", BOTH),
    "pydicom/SC_jpeg_no_color_transform_2.dcm": ((3, 256, 256), "uint8", BOTH),
    "pydicom/SC_rgb_dcmtk_+eb+cr.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/SC_rgb_dcmtk_+eb+cy+s4.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/SC_rgb_gdcm_KY.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/SC_rgb_jls_lossy_line.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/SC_rgb_jls_lossy_sample.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/SC_rgb_jpeg_app14_dcmd.dcm": ((3, 256, 256), "uint8", BOTH),
    "pydicom/SC_rgb_jpeg_dcmd.dcm": ((3, 256, 256), "uint8", BOTH),
    "pydicom/SC_rgb_jpeg_dcmtk.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/SC_rgb_jpeg_gdcm.dcm": ((3, 100, 100), "uint8", ITK),
    "pydicom/SC_rgb_rle_16bit.dcm": ((3, 100, 100), "uint16", PYDICOM),
    "pydicom/SC_rgb_rle_32bit.dcm": ((3, 100, 100), "uint32", PYDICOM),
    "pydicom/SC_rgb_rle_32bit_2frame.dcm": ((3, 100, 100), "uint32", OWN),
    "pydicom/SC_rgb_small_odd.dcm": ((3, 3, 3), "uint8", BOTH),
    "pydicom/SC_rgb_small_odd_big_endian.dcm": ((3, 3, 3), "uint8", BOTH),
    "pydicom/SC_ybr_full_422_uncompressed.dcm": ((3, 100, 100), "uint8", BOTH),
    "pydicom/examples_jpeg2k.dcm": ((3, 480, 640), "uint8", BOTH),
    "pydicom/examples_rgb_color.dcm": ((3, 240, 320), "uint8", BOTH),
    "pydicom/image_dfl.dcm": ((1, 512, 512), "uint8", BOTH),
    "pydicom-data/JLSL_08_07_0_1F.dcm": ((1, 128, 128), "uint8", PYDICOM),
    "pydicom-data/JLSL_16_15_1_1F.dcm": ((1, 128, 128), "int16", BOTH),
    "pydicom-data/JLSN_RGB_ILV0.dcm": ((3, 256, 256), "uint8", BOTH),
    "pydicom-data/JPEG-LL.dcm": ((1, 1024, 256), "int16", ITK),
    "pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm": ((1, 768, 1024), "uint8", ITK),
    "pydicom-data/MR-SIEMENS-DICOM-WithOverlays.dcm": ((1, 1, 484, 484), "uint16", BOTH),
    "pydicom-data/MR2_J2KI.dcm": ((1, 1, 1024, 1024), "float32", PYDICOM),
    "pydicom-data/OBXXXX1A_rle.dcm": ((3, 600, 800), "uint16", OWN),
    "pydicom-data/OBXXXX1A_rle_2frame.dcm": ((3, 600, 800), "uint16", OWN),
    "pydicom-data/RG1_J2KI.dcm": ((1, 1955, 1841), "uint16", PYDICOM),
    "pydicom-data/SC_rgb_16bit.dcm": ((3, 100, 100), "uint16", BOTH),
    "pydicom-data/SC_rgb_2frame.dcm": ((3, 100, 100), "uint8", OWN),
    "pydicom-data/US1_J2KI.dcm": ((3, 480, 640), "uint8", BOTH),
    "pydicom-data/US1_J2KR.dcm": ((3, 480, 640), "uint8", BOTH),
    "pydicom-data/color-px.dcm": ((3, 120, 256), "uint8", BOTH),
    "pydicom-data/eCT_Supplemental.dcm": ((1, 2, 512, 512), "int32", OWN),
    "pydicom-data/mlut_18.dcm": ((1, 512, 512), "uint16", OWN),
    "pydicom-data/vlut_04.dcm": ((1, 512, 512), "uint8", BOTH),
}
PICTURES_OF_SEVERAL = {
    "pydicom/SC_rgb_rle_32bit_2frame.dcm",
    "pydicom-data/OBXXXX1A_rle_2frame.dcm",
    "pydicom-data/SC_rgb_2frame.dcm",
}
REFUSED = {
    "pydicom/no_meta.dcm": "R002",
    "pydicom/MR_truncated.dcm": "R004",
    "charset/chrJapMulti.dcm": "R010",
    "charset/chrKoreanMulti.dcm": "R010",
    "charset/chrSQEncoding.dcm": "R010",
    "charset/chrSQEncoding1.dcm": "R010",
    "pydicom/ExplVR_LitEndNoMeta.dcm": "R010",
    "pydicom/UN_sequence.dcm": "R010",
    "pydicom/badVR.dcm": "R010",
    "pydicom/meta_missing_tsyntax.dcm": "R010",
    "pydicom/nested_priv_SQ.dcm": "R010",
    "pydicom/no_meta_group_length.dcm": "R010",
    "pydicom/priv_SQ.dcm": "R010",
    "pydicom/rtdose.dcm": "R010",
    "pydicom/rtdose_expb_1frame.dcm": "R010",
    "pydicom/rtdose_rle.dcm": "R010",
    "pydicom/rtdose_rle_1frame.dcm": "R010",
    "pydicom-data/parametric_map_float.dcm": "R010",
    "pydicom-data/emri_small.dcm": "R024",
    "pydicom-data/emri_small_big_endian.dcm": "R024",
    "pydicom/JPEG2000-embedded-sequence-delimiter.dcm": "R030",
}
NEEDS_PYJPEGLS = {"pydicom-data/JLSL_08_07_0_1F.dcm"}


@pytest.fixture
def odd(data_root):
    return data_root / "dicom_odd"


def by_pydicom(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True).pixel_array


def by_simpleitk(path):
    import SimpleITK

    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def last_axis(pixels):
    return np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 and pixels.shape[0] == 3 else pixels


def test_the_table_names_every_file(odd):
    found = {str(path.relative_to(odd)) for path in odd.rglob("*.dcm")}
    assert found == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", READ)
def test_is_read(odd, name):
    shape, dtype, references = READ[name]
    if name in NEEDS_PYJPEGLS:
        pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")
    if name in PICTURES_OF_SEVERAL:
        with pytest.raises(ReadError, match=r"R012.*2 pictures"):
            read_image(odd / name)
    image = read_image(odd / name, volume=0)
    assert (image.pixels.shape, image.pixels.dtype) == (shape, dtype)
    slope, intercept = image.stored.slope, image.stored.intercept
    if "simpleitk" in references:
        np.testing.assert_array_equal(last_axis(image.pixels).ravel(), by_simpleitk(odd / name).ravel())
    if "pydicom" in references:
        wanted = by_pydicom(odd / name)
        stored = np.rint((last_axis(image.pixels).astype(np.float64) - intercept) / slope)
        np.testing.assert_array_equal(stored.ravel(), wanted.ravel())


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(odd, name):
    for volume in (None, 0):
        with pytest.raises(ReadError, match=REFUSED[name]):
            read_image(odd / name, volume=volume)


def test_frames_of_several_pictures(odd):
    for name in ("SC_rgb_2frame.dcm", "../pydicom/SC_rgb_rle_32bit_2frame.dcm"):
        path = odd / "pydicom-data" / name
        for volume, wanted in enumerate(by_pydicom(path)):
            np.testing.assert_array_equal(last_axis(read_image(path, volume=volume).pixels), wanted)


def test_palettes_and_tables(odd):
    path = odd / "pydicom-data" / "OBXXXX1A_rle.dcm"
    np.testing.assert_array_equal(last_axis(read_image(path).pixels) >> 8, by_simpleitk(path)[0])
    several = odd / "pydicom-data" / "OBXXXX1A_rle_2frame.dcm"
    for volume, wanted in enumerate(by_simpleitk(several)):
        np.testing.assert_array_equal(last_axis(read_image(several, volume=volume).pixels) >> 8, wanted)
    path = odd / "pydicom-data" / "mlut_18.dcm"
    lut = pydicom.dcmread(path).ModalityLUTSequence[0]
    count, first, _ = lut.LUTDescriptor
    indices = np.clip(by_pydicom(path).astype(int) - first, 0, (count or 65536) - 1)
    np.testing.assert_array_equal(read_image(path).pixels[0], np.array(lut.LUTData)[indices])


def test_sixteen_bit_rle_holds_what_the_plain_file_holds(odd):
    np.testing.assert_array_equal(
        read_image(odd / "pydicom" / "SC_rgb_rle_16bit.dcm").pixels,
        read_image(odd / "pydicom-data" / "SC_rgb_16bit.dcm").pixels,
    )


def test_lossy_and_lossless_hold_the_same_picture(odd):
    wanted = read_image(odd / "pydicom-data" / "JPEG-LL.dcm").pixels.astype(float).ravel()
    for name in ("JPEG-lossy.dcm", "JPGExtended.dcm", "JPEG2000.dcm"):
        values = read_image(odd / "pydicom" / name).pixels.astype(float).ravel()
        assert np.corrcoef(values, wanted)[0, 1] > 0.94


def test_an_enhanced_ct_is_ordered_by_place(odd):
    path = odd / "pydicom-data" / "eCT_Supplemental.dcm"
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[0, ::-1], by_simpleitk(path))  # the file runs against its normal
    assert image.stored.unit == "a.u."
    np.testing.assert_allclose(image.geometry.affine @ [0, 0, 0, 1], [-99.5, 301.5, -149, 1])


def by_dcm2niix(folder, tmp_path):
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    out = tmp_path / "converted"
    out.mkdir()
    subprocess.run([program, "-z", "n", "-b", "n", "-f", "%s", "-o", out, folder], check=True, capture_output=True)
    return {path.stem: nib.load(path) for path in out.glob("*.nii")}


def assert_same(image, other, volume=None, atol=2e-5):
    data = np.asanyarray(other.dataobj)
    data = data if data.ndim == 3 else data[..., volume or 0]
    grid = Geometry(other.affine[:, [2, 1, 0, 3]])
    turned, grid = reorient(data.transpose(2, 1, 0)[None], grid, axis_codes=image.geometry.axis_codes)
    np.testing.assert_array_equal(turned, image.pixels)
    np.testing.assert_allclose(grid.affine, image.geometry.affine, atol=atol)


@pytest.mark.parametrize("name", ["ct_body_j2k", "mr_sag_hfdr", "mr_t1_7t_oblique"])
def test_classic_series_as_dcm2niix(data_root, tmp_path, name):
    folder = data_root / "dicom_series" / name
    (other,) = by_dcm2niix(folder, tmp_path).values()
    assert_same(read_image(folder), other)


def test_fragments_as_simpleitk(data_root):
    import SimpleITK

    folder = data_root / "dicom_series" / "mr_j2k_fragments"
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    other, image = reader.Execute(), read_image(folder)
    wanted = SimpleITK.GetArrayFromImage(other)
    ours = (image.geometry.affine @ [0, 0, 0, 1])[:3] * [-1, -1, 1]
    flipped = np.linalg.norm(ours - other.GetOrigin()) > 1e-3
    np.testing.assert_array_equal(image.pixels[0], wanted[::-1] if flipped else wanted)


def test_an_enhanced_time_series_as_dcm2niix(data_root, tmp_path):
    folder = data_root / "dicom_series" / "mr_enhanced_siemens_xa10"
    with pytest.raises(ReadError, match=r"R008.*4 volumes.*TemporalPosition"):
        read_image(folder)
    (other,) = by_dcm2niix(folder, tmp_path).values()
    for volume in range(4):
        assert_same(read_image(folder, volume=volume), other, volume)
    with pytest.raises(ReadError, match="R008"):
        read_image(folder, volume=4)


def test_mosaics_as_dcm2niix(data_root, tmp_path):
    folder = data_root / "dicom_series" / "mr_epi_siemens_mosaic"
    with pytest.raises(ReadError, match=r"R020.*'EPI PE=AP'"):
        read_image(folder)
    for number, other in by_dcm2niix(folder, tmp_path).items():
        with pytest.raises(ReadError, match=r"R008.*2 volumes.*AcquisitionNumber"):
            read_image(folder, series=f"number={number}")
        for volume in range(2):
            assert_same(read_image(folder, series=f"number={number}", volume=volume), other, volume)


def test_mosaics_of_12_bits(data_root, tmp_path):
    folder = data_root / "dicom_series" / "mr_12bit_signed"
    with pytest.raises(ReadError, match=r"R027"):  # three contents under one SOPInstanceUID
        read_image(folder)
    for name in ("12bitUnsigned", "12bitUnsigned_0x0F0F", "12bitSigned_0x0F0F"):
        path = folder / f"{name}.dcm"
        (tmp_path / name).mkdir()
        image = read_image(path)
        tiles = by_pydicom(path).reshape(6, 64, 6, 64).swapaxes(1, 2).reshape(36, 64, 64)[:35]
        np.testing.assert_array_equal(image.pixels[0], tiles)
        if "Unsigned" in name:  # dcm2niix does not spread the sign of 12 bits
            shutil.copy(path, tmp_path / name)
            (other,) = by_dcm2niix(tmp_path / name, tmp_path / name).values()
            assert_same(image, other)


def test_missing_slices_are_refused(data_root):
    with pytest.raises(ReadError, match=r"R029.*7\.5 to 115 mm"):
        read_image(data_root / "dicom_series" / "ct_missing_duplicate_slices")


def test_every_series_is_in_a_test(data_root):
    assert {item.name for item in (data_root / "dicom_series").iterdir() if item.is_dir()} == {
        "ct_body_j2k", "ct_missing_duplicate_slices", "mr_12bit_signed", "mr_enhanced_siemens_xa10",
        "mr_epi_siemens_mosaic", "mr_j2k_fragments", "mr_sag_hfdr", "mr_t1_7t_oblique",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ct_body_j2k", "mr_epi_siemens_mosaic", "mr_j2k_fragments"])
def test_zipped_series_read_alike(data_root, tmp_path, name):
    folder = data_root / "dicom_series" / name
    shutil.make_archive(str(tmp_path / "series"), "zip", folder)
    chosen = {"series": "number=3", "volume": 1} if "mosaic" in name else {}
    np.testing.assert_array_equal(
        read_image(tmp_path / "series.zip", **chosen).pixels, read_image(folder, **chosen).pixels
    )
