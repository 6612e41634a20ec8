"""Rows 25 to 28 and 30: single DICOM files that are odd, damaged or hostile."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from bad_inputs.dicom_making import ct_slice, enhanced, save, series, stored
from bad_inputs.making import ROWS, alone, peak_mib, picture, same, study
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.imaging.read import read_image

HU = stored(1).astype(np.int32) - 1024


@bad_input(25, gives=HANDLED)
def multi_frame(folder: Path) -> str:
    """An enhanced MR: six slices in one file."""
    image = read_image(enhanced(folder / "scan.dcm", stored(1)))
    require(image.geometry is not None and np.allclose(image.geometry.spacing_mm, (2.0, 0.8, 0.7)), "its spacing")
    return same(image, stored(1))


def _jpeg2000(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(array).save(out, "JPEG2000", no_jp2=True, irreversible=False)
    return out.getvalue()


@bad_input(26, gives=HANDLED)
def compressed(folder: Path) -> str:
    """Slices compressed by RLE and by JPEG 2000."""
    for index, array in enumerate(stored(1)):
        dataset = ct_slice(array, index)
        dataset.compress(RLELossless)
        save(dataset, folder / "rle" / f"{index}.dcm")
        dataset = ct_slice(array, index)
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.PixelData = encapsulate([_jpeg2000(array)])
        dataset["PixelData"].VR = "OB"
        save(dataset, folder / "j2k" / f"{index}.dcm")
    same(read_image(folder / "rle"), HU)
    return same(read_image(folder / "j2k"), HU)


@bad_input(26, gives="R030")
def damaged_streams(folder: Path) -> Seen:
    """Streams of JPEG, JPEG-LS, JPEG 2000 and RLE that are damaged from their first byte."""
    tries = []
    for syntax in (JPEGLSLossless, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless):
        dataset = ct_slice(stored(1)[0], 0)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([b"\xff\xd8 no picture at all, but bytes enough to look like one " * 9])
        dataset["PixelData"].VR = "OB"
        path = save(dataset, folder / f"{syntax}.dcm")
        tries.append(lambda path=path: read_image(path))
    return refused(tries, codes="R030")


@bad_input(27, gives="R004")
def short_pixels(folder: Path) -> None:
    """PixelData shorter than rows and columns ask for."""
    series(folder / "scan")
    short = ct_slice(stored(1)[2], 2)
    short.PixelData = short.PixelData[:-20]
    save(short, folder / "scan" / "1_004.dcm")
    read_image(folder / "scan")


@bad_input(27, gives="R041")
def long_pixels(folder: Path) -> None:
    """PixelData of a row more than the header says, as with a damaged number of rows."""
    read_image(series(folder / "scan", Rows=9))


@bad_input(27, gives="R004")
def cut_file(folder: Path) -> Seen:
    """A DICOM file cut at 12 places behind its preamble."""
    raw = (series(folder / "whole") / "1_003.dcm").read_bytes()
    path = folder / "scan.dcm"

    def cut(length: int) -> None:
        path.write_bytes(raw[:length])
        read_image(path)

    lengths = [len(raw) - 10, *np.linspace(140, len(raw) - 1, 11, dtype=int).tolist()]
    return refused([lambda length=length: cut(length) for length in lengths], codes="R004 R022 R010 R021 R024")


def _nested(depth: int) -> bytes:
    """A private sequence in a sequence in a sequence, explicit VR, lengths undefined."""
    begin = struct.pack("<HH2sHI", 0x0009, 0x1010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return begin * depth + end * depth


def _bomb(path: Path, depth: int) -> Path:
    save(ct_slice(stored(1)[0], 0), path)
    raw = path.read_bytes()
    place = raw.index(struct.pack("<HH", 0x0010, 0x0010))  # before the patient's name, in the order of tags
    path.write_bytes(raw[:place] + _nested(depth) + raw[place:])
    return path


@bad_input(28, gives="R022")
def deep_sequences(folder: Path) -> Seen:
    """Sequences nested 5,000 and 200,000 deep."""
    paths = [_bomb(folder / "scan.dcm", 5_000), _bomb(folder / "worse.dcm", 200_000)]
    for path in paths:
        require(peak_mib(path) < 500, "under 500 MiB of memory")
    return refused([lambda path=path: read_image(path) for path in paths], codes="R022")


@bad_input(28, gives="R022")
def deep_sequences_in_study(folder: Path) -> Seen:
    """Such a file in a study: the check goes on."""
    rows = [dict(row) for row in ROWS]
    rows[3]["image"] = "bomb.dcm"
    _bomb(folder / "bomb.dcm", 5_000)
    picture(folder / "spare.png")
    return alone(study(folder, rows), "R022")


@bad_input(30, gives=HANDLED)
def monochrome1(folder: Path) -> str:
    """MONOCHROME1."""
    return same(read_image(series(folder / "scan", PhotometricInterpretation="MONOCHROME1")), HU, note="MONOCHROME1")


@bad_input(30, gives=HANDLED)
def fractional_rescale(folder: Path) -> str:
    """A rescale of 0.5 and -3.25, which integers cannot hold."""
    image = read_image(series(folder / "scan", RescaleSlope="0.5", RescaleIntercept="-3.25"))
    require(image.pixels.dtype == np.float32, "float32")
    return same(image, stored(1) * 0.5 - 3.25)


@bad_input(30, gives=HANDLED)
def many_rescales(folder: Path) -> str:
    """A rescale of its own for each slice, as PET has it."""
    for index, array in enumerate(stored(1)):
        save(ct_slice(array, index, RescaleSlope=str(index + 1)), folder / "scan" / f"{index}.dcm")
    expected = stored(1).astype(np.float64) * np.arange(1, 7)[:, None, None] - 1024
    return same(read_image(folder / "scan"), expected.astype(np.float32), note="6 different rescales")


@bad_input(30, gives=HANDLED)
def signed_pixels(folder: Path) -> str:
    """Signed 12-bit pixels with an overlay in the four bits above."""
    values = stored(1).astype(np.int16) - 2048
    raw = (values & 0x0FFF).astype(np.uint16) | 0x5000
    image = read_image(series(folder / "scan", raw, PixelRepresentation=1, RescaleIntercept="0"))
    return same(image, values.astype(np.int32), note="bits above BitsStored")


@bad_input(30, gives=HANDLED)
def no_rescale(folder: Path) -> str:
    """A CT without a rescale."""
    image = read_image(series(folder / "scan", RescaleSlope=None, RescaleIntercept=None, RescaleType=None))
    return same(image, stored(1), note="without a rescale")
