"""Read a photograph: PNG, JPEG or TIFF, 8 or 16 bit, grey or RGB."""

import threading
import warnings
from pathlib import Path

import numpy as np

from medgan.errors import MedganError, ReadError
from medgan.imaging.container import kind_of
from medgan.imaging.image import Image, StoredAs
from medgan.imaging.photograph_colour import profile_note
from medgan.imaging.photograph_decoded import DecodedPhotograph
from medgan.imaging.photograph_errors import check_bytes, undecodable
from medgan.imaging.photograph_jpeg import decode_jpeg
from medgan.imaging.photograph_orientation import turn_note, upright
from medgan.imaging.photograph_png import decode_png
from medgan.imaging.tiff_pixels import decode_tiff

_LOCK = threading.Lock()


def read_photograph(
    path: Path, *, max_megapixels: float = 50.0, palette: str = "expand", at_least_px: int | None = None
) -> Image:
    """Read a photograph with its full range, upright.

    What reading changed stands in ``stored.notes``: EXIF orientation applied, palette expanded, CMYK converted. Of
    the EXIF block only the orientation is looked at.

    Args:
        path: PNG, JPEG or TIFF.
        max_megapixels: A larger picture is refused from its header, before it is decoded.
        palette: ``"expand"`` turns a palette into RGB; ``"index"`` keeps the indices, as a label image needs.
        at_least_px: Decode a JPEG at 1/2, 1/4 or 1/8 of its size where its longer side keeps this many pixels, which
            is several times faster. ``full_shape`` then says how large the picture is.

    Returns:
        uint8 or uint16 pixels, shape (1, H, W) or (3, H, W), in levels as stored.

    Raises:
        ReadError: R004 truncated, R005 damaged, R006 too many pixels, R010 pixel type, R011 alpha channel,
            R012 several pictures in one file.
    """
    kind = kind_of(path)
    check_bytes(path, max_megapixels=max_megapixels)
    try:
        raw = path.read_bytes()
        found = _decode(raw, path, kind, max_megapixels, palette, at_least_px)
    except MedganError:
        raise
    except PermissionError as error:
        raise ReadError("R040", "cannot be read", where=str(path), remedy="check its rights") from error
    except Exception as error:  # a hostile file ends in any of a dozen kinds of error
        raise undecodable(path, error) from error
    notes = [*found.notes, *([note] if (note := profile_note(found.profile)) else [])]
    array, full = found.array, found.full_shape
    if found.turn is not None and found.turn > 1:
        array = upright(array, found.turn)
        full = full[::-1] if full and found.turn >= 5 else full
        notes.append(turn_note(found.turn))
    channels_first = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    stored = StoredAs(format=kind, dtype=array.dtype.name, unit="level", notes=tuple(notes))
    return Image(pixels=np.ascontiguousarray(channels_first), stored=stored, path=path, full_shape=full)


def _decode(
    raw: bytes, path: Path, kind: str, max_megapixels: float, palette: str, at_least_px: int | None
) -> DecodedPhotograph:
    if kind == "jpeg":
        return decode_jpeg(raw, path, max_megapixels=max_megapixels, at_least_px=at_least_px)
    if kind == "png":
        return decode_png(raw, path, max_megapixels=max_megapixels, palette=palette)
    # the filter of warnings belongs to the whole process: two threads that change it at once would leave it changed
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, on tags that do not bear on pixels
        return decode_tiff(raw, path, max_megapixels=max_megapixels, palette=palette)
