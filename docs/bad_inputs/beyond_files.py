"""Beyond the list: files and folders as hospitals' computers leave them, and files made to do harm."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from pydicom.encaps import encapsulate
from pydicom.uid import EncapsulatedPDFStorage, JPEG2000Lossless

from bad_inputs.dicom_making import ROOT, blank, ct_slice, directory, save, series, stored
from bad_inputs.making import gzipped, nifti, peak_mib, picture, same, turned, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.imaging.read import read_image

HU = stored(1).astype(np.int32) - 1024


@bad_input(None, gives=HANDLED)
def mac_companions(folder: Path) -> str:
    """A Mac's `._` companions beside DICOM slices, one of which looks like DICOM."""
    series(folder / "scan")
    for name, kind in (("._1_001.dcm", bytes(4)), ("._1_002.dcm", b"DICM")):
        (folder / "scan" / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X".ljust(128, b"\0") + kind + bytes(50))
    return same(read_image(folder / "scan"), HU, note="not DICOM")


@bad_input(None, gives=HANDLED)
def zip_among_slices(folder: Path) -> str:
    """A zip among the slices of a folder."""
    series(folder / "scan")
    with zipfile.ZipFile(folder / "scan" / "more.zip", "w") as archive:
        archive.write(folder / "scan" / "1_001.dcm", "x.dcm")
    return same(read_image(folder / "scan"), HU, note="not DICOM")


@bad_input(None, gives=HANDLED)
def zipped_series(folder: Path) -> str:
    """A zip of a series."""
    series(folder / "scan")
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        for file in sorted((folder / "scan").iterdir()):
            archive.write(file, f"disc/{file.name}")
    return same(read_image(folder / "scan.zip"), HU)


@bad_input(None, gives="R031")
def zip_bomb(folder: Path) -> None:
    """A zip bomb: 300 MiB of zeros behind a DICOM preamble."""
    with zipfile.ZipFile(folder / "scan.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.dcm", bytes(128) + b"DICM" + bytes(300 * 2**20))
    require(peak_mib(folder / "scan.zip") < 100, "under 100 MiB of memory")
    read_image(folder / "scan.zip")


@bad_input(None, gives="R032")
def incomplete_disc(folder: Path) -> None:
    """A DICOMDIR that names a slice that is not there."""
    series(folder / "IMAGES")
    directory(folder / "DICOMDIR", [["IMAGES", "IM0"], ["IMAGES", "IM1"]])
    read_image(folder / "DICOMDIR")


@bad_input(None, gives="R020")
def two_studies(folder: Path) -> None:
    """A folder with the same patient's series of two studies."""
    series(folder / "scan")
    read_image(series(folder / "scan", number=2, StudyInstanceUID=f"{ROOT}.0.2"))


@bad_input(None, gives="R010")
def pdf_in_dicom(folder: Path) -> None:
    """A PDF in DICOM."""
    dataset = blank(EncapsulatedPDFStorage, f"{ROOT}.7.1", modality="DOC")
    dataset.EncapsulatedDocument, dataset.MIMETypeOfEncapsulatedDocument = b"%PDF-1.4 ", "application/pdf"
    read_image(save(dataset, folder / "scan.dcm"))


@bad_input(None, gives="R030")
def other_size_within(folder: Path) -> None:
    """A JPEG 2000 of 2000 x 2000 pixels in a DICOM file of 10 x 8."""
    out = io.BytesIO()
    Pillow.fromarray(np.zeros((2000, 2000), dtype=np.uint16)).save(out, "JPEG2000", no_jp2=True)
    dataset = ct_slice(stored(1)[0], 0)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([out.getvalue()])
    dataset["PixelData"].VR = "OB"
    read_image(save(dataset, folder / "scan.dcm"))


@bad_input(None, gives="R006")
def huge_dicom(folder: Path) -> None:
    """DICOM that announces 65535 x 65535 pixels."""
    read_image(save(ct_slice(stored(1)[0], 0, Rows=65535, Columns=65535), folder / "scan.dcm"))


@bad_input(None, gives="R024")
def position_nan(folder: Path) -> None:
    """A slice position of `nan`."""
    path = series(folder / "scan") / "1_003.dcm"
    raw = path.read_bytes()
    at = raw.index(b"\x20\x00\x32\x00DS")
    length = int.from_bytes(raw[at + 6 : at + 8], "little")
    path.write_bytes(raw[: at + 8] + b"nan\\nan\\nan".ljust(length) + raw[at + 8 + length :])
    read_image(folder / "scan")


@bad_input(None, gives=HANDLED)
def capitals(folder: Path) -> str:
    """Suffixes in capitals: .NII.GZ."""
    nifti(folder / "scan.nii.gz").rename(folder / "SCAN.NII.GZ")
    image = read_image(folder / "SCAN.NII.GZ")
    require(not image.stored.notes, f"nothing odd about it; {image.stored.notes}")
    return same(image, turned(voxels()))


@bad_input(None, gives="R021")
def folder_named_nifti(folder: Path) -> None:
    """A folder named x.nii.gz."""
    (folder / "x.nii.gz").mkdir()
    read_image(folder / "x.nii.gz")


@bad_input(None, gives="R007")
def compressed_twice(folder: Path) -> Seen:
    """A NIfTI compressed twice, and DICOM as .dcm.gz."""
    path = nifti(folder / "scan.nii.gz")
    path.write_bytes(gzipped(path.read_bytes()))
    (folder / "scan.dcm.gz").write_bytes(gzipped(save(ct_slice(stored()[0], 0), folder / "scan.dcm").read_bytes()))
    return refused([lambda name=name: read_image(folder / name) for name in (path.name, "scan.dcm.gz")], codes="R007")


@bad_input(None, gives=HANDLED)
def jpeg_named_dcm(folder: Path) -> str:
    """A JPEG named .dcm."""
    whole = read_image(picture(folder / "x.jpg"))
    (folder / "x.jpg").rename(folder / "x.dcm")
    return same(read_image(folder / "x.dcm"), whole.pixels)


@bad_input(None, gives=HANDLED)
def motion_photo(folder: Path) -> str:
    """A telephone's film behind the JPEG."""
    whole = read_image(picture(folder / "x.jpg"))
    with (folder / "x.jpg").open("ab") as file:
        file.write(b"\0\0\0\x18ftypmp42" + bytes(5000))
    return same(read_image(folder / "x.jpg"), whole.pixels, note="after the picture's end")


@bad_input(None, gives="R002")
def other_pictures(folder: Path) -> Seen:
    """HEIC from a telephone, and a GIF."""
    (folder / "x.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500))
    Pillow.new("L", (8, 8)).save(folder / "x.gif")
    return refused([lambda name=name: read_image(folder / name) for name in ("x.jpg", "x.gif")], codes="R002")


@bad_input(None, gives=HANDLED)
def odd_names(folder: Path) -> str:
    """Names with spaces, a newline, umlauts, an emoji, a quotation mark, a leading dash."""
    for name in ("a b.png", "a\nb.png", "Schädel.png", "\N{SKULL}.png", "'; x.png", "-rf.png", "%s{0}.png"):
        array = voxels(2, (24, 20, 3)).astype(np.uint8)
        same(read_image(picture(folder / name, array)), np.moveaxis(array, -1, 0))
    return "same values"


@bad_input(None, gives="R074")
def pipe(folder: Path) -> Seen:
    """A named pipe and a device instead of a file."""
    os.mkfifo(folder / "x.nii.gz")
    paths = (folder / "x.nii.gz", Path("/dev/zero"))
    return refused([lambda path=path: read_image(path) for path in paths], codes="R074")


@bad_input(None, gives="R000")
def dead_links(folder: Path) -> Seen:
    """A link that leads nowhere, and one that leads to itself."""
    (folder / "x.png").symlink_to("nowhere")
    (folder / "y.png").symlink_to("y.png")
    return refused([lambda name=name: read_image(folder / name) for name in ("x.png", "y.png")], codes="R000")
