"""Write a photograph as PNG, JPEG or TIFF."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from medgan.errors import MedganError
from medgan.imaging.image import Image, Pixels
from medgan.imaging.photograph_png import SIGNATURE, chunk
from medgan.imaging.quantize import to_stored


def write_photograph(image: Image, path: Path, like: Image) -> int:
    """Write a photograph upright; the source's colour profile goes with it, and nothing else of its file.

    EXIF and text (names, dates, places, the camera's number) are never carried over. PNG and TIFF keep every value. A
    JPEG stays a JPEG, at quality 95 without chroma subsampling: even where nothing was translated its values come back
    close to the source's, not equal to them.

    Args:
        image: (1, H, W) or (3, H, W), upright.
        path: Where to.
        like: The source; its colour profile is taken from its file.

    Returns:
        How many values were clipped.
    """
    stored, clipped = to_stored(image.pixels, image.stored.dtype)
    array = stored[0] if image.channels == 1 else np.ascontiguousarray(np.moveaxis(stored, 0, -1))
    profile = _colour_profile(like) if image.channels == like.channels else None
    if image.stored.format == "tiff":
        _write_tiff(array, path, profile)
    elif image.stored.format == "jpeg":
        Pillow.fromarray(array).save(path, format="JPEG", quality=95, subsampling=0, icc_profile=profile)
    elif array.ndim == 3 and array.dtype == np.uint16:
        path.write_bytes(_png_of_16_bit_colour(array, profile))
    else:
        Pillow.fromarray(array).save(path, format="PNG", icc_profile=profile)
    return clipped


def write_label_png(label: Pixels, path: Path) -> None:
    """Write labels (H, W) from 0 to 65535 as a grey PNG of 8 or 16 bits, upright and without EXIF."""
    small = label.size == 0 or int(label.max()) < 256
    Pillow.fromarray(label.astype(np.uint8 if small else np.uint16)).save(path, format="PNG")


def _colour_profile(like: Image) -> bytes | None:
    if like.path is None or not like.path.is_file() or any("converted" in note for note in like.stored.notes):
        return None
    raw = like.path.read_bytes()
    try:
        if like.stored.format == "png":
            from medgan.imaging.photograph_png import png_profile

            return png_profile(raw)
        if like.stored.format == "jpeg":
            from medgan.imaging.photograph_jpeg import jpeg_profile

            return jpeg_profile(raw, like.path)
        from medgan.imaging.photograph_tiff_file import tiff_profile

        return tiff_profile(raw)
    except (MedganError, ValueError):  # the file has changed since it was read: its pixels are in memory
        return None


def _write_tiff(array: Pixels, path: Path, profile: bytes | None) -> None:
    import tifffile

    kind = "rgb" if array.ndim == 3 else "minisblack"
    # without `software` and `datetime` the file says nothing but its pixels
    tifffile.imwrite(
        path, array, photometric=kind, compression="zlib", iccprofile=profile, metadata=None, software=False
    )


def _png_of_16_bit_colour(array: Pixels, profile: bytes | None) -> bytes:
    """A PNG of (H, W, 3) uint16, which Pillow cannot write; each row as its difference from the one above."""
    rows = array.astype(">u2").view(np.uint8).reshape(array.shape[0], -1)
    above = np.zeros_like(rows)
    above[1:] = rows[:-1]
    filtered = np.concatenate([np.full((len(rows), 1), 2, dtype=np.uint8), rows - above], axis=1)
    height, width = array.shape[:2]
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    colours = b"" if profile is None else chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    pixels = chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6))
    return SIGNATURE + chunk(b"IHDR", head) + colours + pixels + chunk(b"IEND", b"")
