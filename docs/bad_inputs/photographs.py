"""Rows 32 to 39: photographs."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from bad_inputs.making import ROWS, alone, found, peak_mib, picture, png_of_zeros, same, study, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.imaging.read import read_image, read_label

COLOUR = voxels(3, (24, 20, 3)).astype(np.uint8)


def _first(array: np.ndarray) -> np.ndarray:
    """(H, W, C) as it is read: (C, H, W)."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


@bad_input(32, gives="M055")
def grey_among_colour(folder: Path) -> Seen:
    """A grey photograph among colour ones."""
    picture(folder / "day2.png", COLOUR[..., 0])
    return alone(study(folder), "M055")


@bad_input(32, gives="G021")
def volume_among_photographs(folder: Path) -> Seen:
    """A volume in a study of photographs."""
    from bad_inputs.making import nifti

    nifti(folder / "scan.nii.gz")
    rows = [dict(row) for row in ROWS]
    rows[2]["image"] = "scan.nii.gz"
    return alone(study(folder, rows), "G021")


@bad_input(32, gives="R014")
def colour_mask(folder: Path) -> None:
    """A colour picture where a mask is expected."""
    read_label(picture(folder / "mask.png", COLOUR), like=read_image(picture(folder / "photo.png", COLOUR)))


@bad_input(33, gives=HANDLED)
def sixteen_bits(folder: Path) -> str:
    """16-bit PNG, grey and colour, and 16-bit TIFF."""
    import tifffile

    grey = np.random.default_rng(1).integers(0, 2**16, size=(24, 20)).astype(np.uint16)
    colour = np.random.default_rng(2).integers(0, 2**16, size=(24, 20, 3)).astype(np.uint16)
    same(read_image(picture(folder / "grey.png", grey)), grey)
    tifffile.imwrite(folder / "colour.tif", colour, photometric="rgb")
    same(read_image(folder / "colour.tif"), _first(colour))
    (folder / "colour.png").write_bytes(_png16(colour))
    return same(read_image(folder / "colour.png"), _first(colour)) + f", {grey.dtype}"


def _png16(array: np.ndarray) -> bytes:
    import struct
    import zlib

    height, width, _ = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _exif(turn: int) -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x0112] = turn
    return exif


@bad_input(34, gives=HANDLED)
def turned_photograph(folder: Path) -> str:
    """A photograph that its EXIF turns by 90 degrees, with a mask that is turned the same way."""
    mask = (COLOUR[..., 0] > 100).astype(np.uint8)
    image = read_image(picture(folder / "photo.png", COLOUR, exif=_exif(6)))
    label = read_label(picture(folder / "mask.png", mask, exif=_exif(6)), like=image)
    require(np.array_equal(label, np.rot90(mask, -1)), "the mask is turned with it")
    return same(image, _first(np.rot90(COLOUR, -1)), note="EXIF orientation 6 applied")


@bad_input(34, gives=HANDLED)
def unturned_mask(folder: Path) -> str:
    """A turned photograph and a mask without EXIF that was drawn on it as stored."""
    mask = (COLOUR[..., 0] > 100).astype(np.uint8)
    image = read_image(picture(folder / "photo.png", COLOUR, exif=_exif(6)))
    label = read_label(picture(folder / "mask.png", mask), like=image)
    require(np.array_equal(label, np.rot90(mask, -1)), "the mask is turned with it")
    return "the mask is turned with its photograph, as its shape says"


@bad_input(34, gives="G074")
def square_mask(folder: Path) -> None:
    """The same where the photograph is square, so that the mask's shape says nothing."""
    image = read_image(picture(folder / "photo.png", COLOUR[:20], exif=_exif(6)))
    read_label(picture(folder / "mask.png", (COLOUR[:20, :, 0] > 100).astype(np.uint8)), like=image)


@bad_input(35, gives=HANDLED)
def palette(folder: Path) -> str:
    """A palette PNG, as an image and as a mask."""
    indices = np.random.default_rng(4).integers(0, 3, size=(24, 20)).astype(np.uint8)
    painted = Pillow.fromarray(indices, "P")
    painted.putpalette([0, 0, 0, 200, 0, 0, 0, 0, 100])
    painted.save(folder / "x.png")
    image = read_image(folder / "x.png")
    require(np.array_equal(read_label(folder / "x.png", like=image), indices), "a mask keeps its indices")
    colours = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 100]], dtype=np.uint8)[indices]
    return same(image, _first(colours), note="palette expanded")


@bad_input(36, gives=HANDLED)
def cmyk(folder: Path) -> str:
    """A CMYK JPEG."""
    Pillow.fromarray(COLOUR).convert("CMYK").save(folder / "x.jpg")
    image = read_image(folder / "x.jpg")
    with Pillow.open(folder / "x.jpg") as opened:
        return same(image, _first(np.asarray(opened.convert("RGB"))), note="CMYK")


@bad_input(36, gives="warning R060")
def cmyk_in_a_study(folder: Path) -> Seen:
    """A CMYK JPEG in a study."""
    rows = [dict(row) for row in ROWS]
    rows[0]["image"] = "day0.jpg"
    Pillow.fromarray(COLOUR).convert("CMYK").save(folder / "day0.jpg")
    return found(study(folder, rows), "R060")


@bad_input(37, gives="R011")
def alpha(folder: Path) -> Seen:
    """An alpha channel, and a palette with a transparent colour."""
    picture(folder / "a.png", np.dstack([COLOUR, COLOUR[..., 0]]))
    Pillow.fromarray(COLOUR).convert("P").save(folder / "b.png", transparency=0)
    return refused([lambda name=name: read_image(folder / name) for name in ("a.png", "b.png")], codes="R011")


@bad_input(37, gives="R012")
def several_pictures(folder: Path) -> Seen:
    """An animated PNG, and a TIFF of two pages."""
    pictures = [Pillow.fromarray(voxels(seed, (24, 20, 3)).astype(np.uint8)) for seed in (1, 2)]
    names = ("a.png", "b.tif")
    for name in names:
        pictures[0].save(folder / name, save_all=True, append_images=pictures[1:])
    return refused([lambda name=name: read_image(folder / name) for name in names], codes="R012")


@bad_input(38, gives="R004")
def cut_pictures(folder: Path) -> Seen:
    """A JPEG, a PNG and a TIFF, each cut at eight places."""
    tries = []
    for name in ("x.jpg", "x.png", "x.tif"):
        raw = picture(folder / name, voxels(3, (64, 64, 3)).astype(np.uint8)).read_bytes()
        for length in np.linspace(100, len(raw) - (3 if name == "x.jpg" else 13), 8, dtype=int).tolist():
            path = folder / f"{length}_{name}"
            path.write_bytes(raw[:length])
            tries.append(lambda path=path: read_image(path))
    return refused(tries, codes="R004 R005")


@bad_input(39, gives="R006")
def huge_picture(folder: Path) -> None:
    """A PNG of 100 megapixels in 100 kB."""
    path = png_of_zeros(folder / "x.png", width=10_000, height=10_000)
    require(peak_mib(path) < 30, "it is refused before it is decoded")
    read_image(path)


@bad_input(39, gives=HANDLED)
def raised_cap(folder: Path) -> str:
    """A photograph above the cap, in a study whose `max_megapixels` is raised."""
    path = png_of_zeros(folder / "x.png", width=1000, height=600)
    refused([lambda: read_image(path, max_megapixels=0.5)], codes="R006")
    return same(read_image(path, max_megapixels=0.7), np.zeros((600, 1000), dtype=np.uint8))
