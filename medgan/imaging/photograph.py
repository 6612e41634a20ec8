"""Read a photograph: PNG, JPEG or TIFF, 8 or 16 bit, grey or RGB."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from medgan.errors import ReadError
from medgan.imaging.image import Image, Pixels, StoredAs
from medgan.imaging.tiff_pixels import tiff_pixels

_FORMATS = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "TIFF": "tiff"}
_ORIENTATION_TAG = 0x0112


def read_photograph(path: Path, *, max_megapixels: float = 50.0, palette: str = "expand") -> Image:
    """Read a photograph with its full range, upright.

    What reading changed stands in ``stored.notes``: EXIF orientation applied, palette expanded, CMYK converted.

    Args:
        path: PNG, JPEG or TIFF.
        max_megapixels: A larger picture is refused from its header, before it is decoded.
        palette: ``"expand"`` turns a palette into RGB; ``"index"`` keeps the indices, as a label image needs.

    Returns:
        uint8 or uint16 pixels, shape (1, H, W) or (3, H, W), in levels as stored.

    Raises:
        ReadError: R004 truncated, R005 damaged, R006 too many pixels, R010 pixel type, R011 alpha channel,
            R012 several pictures in one file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow reports a broken EXIF block; the pixels are unharmed
        array, file_format, notes = _read(path, max_megapixels, palette)
    channels_first = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    stored = StoredAs(format=_FORMATS[file_format], dtype=array.dtype.name, unit="level", notes=tuple(notes))
    return Image(pixels=np.ascontiguousarray(channels_first), stored=stored, path=path)


def _read(path: Path, max_megapixels: float, palette: str) -> tuple[Pixels, str, list[str]]:
    opened, limit = None, Pillow.MAX_IMAGE_PIXELS
    try:
        Pillow.MAX_IMAGE_PIXELS = None  # the cap below is the study's; Pillow's own is silent up to 179 megapixels
        opened = Pillow.open(path)
        _check_header(opened, path, max_megapixels)
        notes: list[str] = []
        turn = opened.getexif().get(_ORIENTATION_TAG, 1)
        array = tiff_pixels(path) if opened.format == "TIFF" else None
        if array is None:
            array = _decode(opened, path, palette, notes)
            turn = 1 if opened.format == "TIFF" else turn  # Pillow has turned a TIFF while decoding it
    except UnidentifiedImageError as error:
        raise ReadError("R005", "the picture's header is damaged", where=str(path), remedy="copy it again") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise _damaged(error, path) from error
    finally:
        Pillow.MAX_IMAGE_PIXELS = limit
        if opened is not None:
            opened.close()
    if turn in range(2, 9):
        array = _upright(array, turn)
        notes.append(f"EXIF orientation {turn} applied")
    return array, str(opened.format), notes


def _check_header(opened: Pillow.Image, path: Path, max_megapixels: float) -> None:
    megapixels = opened.width * opened.height / 1e6
    if megapixels > max_megapixels:
        raise ReadError(
            "R006",
            "the picture is too large",
            where=str(path),
            got=f"{opened.width} x {opened.height}, {megapixels:.1f} megapixels",
            expected=f"at most {max_megapixels:g}",
            remedy="raise max_megapixels in the study file if that is meant",
        )
    frames = getattr(opened, "n_frames", 1)
    if frames > 1:
        raise ReadError(
            "R012",
            "the file holds several pictures",
            where=str(path),
            got=f"{frames} frames or pages",
            expected="one",
            remedy="save the wanted one as a file of its own",
        )
    if opened.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in opened.info:
        raise ReadError(
            "R011",
            "the picture has an alpha channel",
            where=str(path),
            got=opened.mode,
            expected="grey or RGB",
            remedy="flatten it on a background",
        )


def _decode(opened: Pillow.Image, path: Path, palette: str, notes: list[str]) -> Pixels:
    bits = _bits(opened, path)
    if bits == 16 and opened.mode == "RGB" and opened.format == "PNG":
        opened.load()  # for its checks of every chunk; Pillow itself would cut the values to 8 bit
        return _decode_rgb16_png(path)
    if bits not in (1, 2, 4, 8, 16) or opened.mode not in ("1", "L", "P", "RGB", "CMYK", "I;16", "I;16B"):
        raise ReadError(
            "R010",
            "pixel type is not supported",
            where=str(path),
            got=f"mode {opened.mode}, {bits} bits",
            expected="8 or 16 bit, grey or RGB",
            remedy="convert it",
        )
    opened.load()
    if opened.mode == "P" and palette == "index":
        return np.asarray(opened)
    if opened.mode in _CONVERSIONS:
        mode, note = _CONVERSIONS[opened.mode]
        notes.append(note)
        return np.asarray(opened.convert(mode))
    array = np.asarray(opened)
    return array.astype(array.dtype.newbyteorder("=")) if array.dtype.itemsize > 1 else array


_CONVERSIONS = {
    "1": ("L", "1 bit read as levels 0 and 255"),
    "P": ("RGB", "palette expanded to RGB"),
    "CMYK": ("RGB", "CMYK converted to RGB without a colour profile"),
}


def _bits(opened: Pillow.Image, path: Path) -> int:
    """Bits per sample as the file says: Pillow's mode hides the depth of a 16-bit RGB picture."""
    if opened.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]
    return 16 if opened.mode.startswith("I") else 8


def _decode_rgb16_png(path: Path) -> Pixels:
    import SimpleITK

    try:
        return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))
    except RuntimeError as error:
        raise ReadError("R005", "the picture is damaged", where=str(path), remedy="copy it again") from error


def _upright(array: Pixels, turn: int) -> Pixels:
    """Undo an EXIF orientation; array is (H, W) or (H, W, C). EXIF 2.32, tag 0x0112."""
    if turn >= 5:
        array = np.swapaxes(array, 0, 1)
    if turn in (3, 4, 7, 8):
        array = array[::-1]
    if turn in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _damaged(error: Exception, path: Path) -> ReadError:
    text = str(error)
    truncated = "truncated" in text.lower() or "unexpected end" in text.lower() or isinstance(error, EOFError)
    code, what = ("R004", "the picture is truncated") if truncated else ("R005", "the picture is damaged")
    return ReadError(code, what, where=str(path), got=text[:120], remedy="copy it again")
