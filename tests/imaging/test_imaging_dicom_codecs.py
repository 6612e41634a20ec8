"""Compressed streams: decoded exactly, whole or not at all, and never by their own idea of their size."""

import zipfile

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from medgan.errors import ReadError
from medgan.imaging import dicom_codecs
from medgan.imaging.read import read_image


@pytest.fixture
def smooth(rng) -> np.ndarray:
    rows, columns = np.mgrid[:32, :40]
    return np.stack([(rows * 20 + columns * 30 + shift * 100) % 4096 for shift in range(3)]).astype(np.uint16)


def test_a_truncated_stream_is_refused_though_decoders_fill_it(make_photograph, tmp_path, rng):
    jpeg = make_photograph(rng.integers(0, 255, size=(64, 48)).astype(np.uint8), "a.jpg", quality=90).read_bytes()
    good = as_dicom(jpeg, tmp_path / "good.dcm")
    assert read_image(good).pixels.shape == (1, 64, 48)
    assert "lossy compression: JPEG Baseline" in read_image(good).stored.notes
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(ReadError, match=r"R030.*without its end"):
            read_image(as_dicom(jpeg[: int(len(jpeg) * share)], tmp_path / "cut.dcm"))


def as_dicom(jpeg, path, rows=64, columns=48, frames=None, syntax=JPEGBaseline8Bit):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", "OT"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    if frames:
        dataset.NumberOfFrames = frames
    dataset.PixelData = encapsulate([jpeg])
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_stream_of_another_size_is_refused_before_it_is_decoded(make_photograph, tmp_path, rng):
    jpeg = make_photograph(rng.integers(0, 255, size=(64, 48)).astype(np.uint8), "a.jpg").read_bytes()
    with pytest.raises(ReadError, match=r"R030.*got a stream of 64 x 48 pixels; expected 60 x 48"):
        read_image(as_dicom(jpeg, tmp_path / "a.dcm", rows=60))
    with pytest.raises(ReadError, match=r"R030|R022"):
        read_image(as_dicom(jpeg, tmp_path / "a.dcm", frames=3), volume=0)


def test_without_decoders_the_message_names_their_install_line(make_dicom_series, smooth, monkeypatch):
    folder = make_dicom_series(smooth)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)

    def nothing(file, streams, indices):
        raise ImportError("no decoder")

    monkeypatch.setattr(dicom_codecs, "_by_pydicom", nothing)
    monkeypatch.setattr(dicom_codecs, "_by_simpleitk", nothing)
    with pytest.raises(ReadError, match=r'R030.*RLE Lossless.*pip install "medgan\[codecs\]"'):
        read_image(folder)


def test_rle_is_decoded_by_simpleitk_too(make_dicom_series, smooth, monkeypatch, tmp_path):
    folder = make_dicom_series(smooth)
    plain = read_image(folder).pixels
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)
    np.testing.assert_array_equal(read_image(folder).pixels, plain)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    monkeypatch.setattr(dicom_codecs, "_by_pydicom", lambda *given: iter(()))
    np.testing.assert_array_equal(read_image(folder).pixels, plain)
    np.testing.assert_array_equal(read_image(tmp_path / "a.zip").pixels, plain)


def test_jpeg_ls_of_signed_12_bit(rng, make_dicom_series):
    pytest.importorskip("jpeg_ls", reason="the JPEG-LS encoder pyjpegls is not installed")
    signed = rng.integers(-2048, 2048, size=(2, 16, 20)).astype(np.int16)
    folder = make_dicom_series(signed, RescaleIntercept=0)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(JPEGLSLossless)
        dataset.save_as(file)
    np.testing.assert_array_equal(read_image(folder).pixels[0], signed)


def test_compressed_words_with_shifted_bits_are_refused(make_dicom_series, smooth):
    folder = make_dicom_series(smooth, HighBit=15)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)
    with pytest.raises(ReadError, match=r"R010.*12 stored up to bit 15"):
        read_image(folder)


def test_shifted_bits_that_are_not_compressed(make_dicom_series, smooth):
    folder = make_dicom_series(smooth << 4, HighBit=15)
    np.testing.assert_array_equal(read_image(folder).pixels[0], smooth.astype(int) - 1024)


def test_the_extra_brings_what_its_jpeg_2000_plugin_needs():
    """pydicom asks for pylibjpeg itself; without it pylibjpeg-openjpeg is not used."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import HTJ2KLossless, JPEG2000Lossless

    for syntax in (JPEG2000Lossless, HTJ2KLossless):
        assert "pylibjpeg" in get_decoder(syntax).available_plugins
