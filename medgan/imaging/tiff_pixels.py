"""A TIFF with its full depth, as stored, before its orientation is applied."""

import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL.TiffImagePlugin import TiffImageFile

from medgan.errors import MedganError
from medgan.imaging.image import Pixels
from medgan.imaging.photograph_decoded import DecodedPhotograph
from medgan.imaging.photograph_errors import (
    alpha_channel,
    check_size,
    damaged,
    pixel_type,
    several_pictures,
    truncated,
    undecodable,
)
from medgan.imaging.photograph_tiff_file import tiff_file

_PLANES = 2
_OWN = {"NONE", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS"}
_DEFLATED = {"ADOBE_DEFLATE", "DEFLATE"}
_SAMPLES = {"MINISBLACK": 1, "MINISWHITE": 1, "PALETTE": 1, "RGB": 3, "SEPARATED": 4, "YCBCR": 3}


def decode_tiff(raw: bytes, path: Path, *, max_megapixels: float, palette: str) -> DecodedPhotograph:
    """Decode a TIFF of one grey, RGB, palette or CMYK picture, in strips or tiles.

    Pillow cuts 16-bit colour to 8 bit, drops channels that it does not know, and scrambles an uncompressed picture
    that has an orientation (Pillow 13.0). So tifffile decodes what it can, and Pillow's libtiff the rest: LZW and
    JPEG, 16-bit colour byte by byte.

    Args:
        raw: The whole file.
        path: For messages.
        max_megapixels: As for :func:`medgan.imaging.photograph.read_photograph`.
        palette: The same.

    Raises:
        ReadError: R004, if a strip lies beyond the file's end; R005, R006, R010, R011, R012.
    """
    try:
        with tiff_file(raw) as (file, complaints):
            page = file.pages[0]
            _check_page(file, page, path, len(raw), max_megapixels)
            array = _array(page, raw, path)
            turn, profile = _number(page, "Orientation"), page.tags.valueof("InterColorProfile")
            array, notes = _colours(array, page, palette)
            if complaints:
                raise damaged(path, f"{len(complaints)} tags or pages that cannot be read")
    except MedganError:
        raise
    except Exception as error:  # hostile tags end in any of a dozen kinds of error
        raise undecodable(path, error) from error
    return DecodedPhotograph(
        np.asarray(array),
        tuple(notes),
        turn if turn in range(1, 9) else None,
        profile if isinstance(profile, bytes) and _name(page.photometric) != "SEPARATED" else None,
    )


def _check_page(file: Any, page: Any, path: Path, size: int, max_megapixels: float) -> None:
    check_size(path, page.imagewidth, page.imagelength, max_megapixels=max_megapixels)
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > size or min(page.databytecounts) == 0:
        raise truncated(path, f"{size} of {max(ends, default=0)} bytes")
    pages = max(len(file.pages), int((file.imagej_metadata or {}).get("images", 1)) if file.is_imagej else 1)
    if pages > 1 or page.imagedepth > 1:
        raise several_pictures(path, f"{max(pages, page.imagedepth)} pages")
    kind, bits = _name(page.photometric), page.bitspersample
    if _name(page.compression).startswith("CCITT"):
        raise pixel_type(path, "a TIFF in fax compression, which hides damage")
    if kind not in _SAMPLES or page.sampleformat != 1 or bits not in (1, 8, 16):
        kinds = {1: "whole", 2: "signed", 3: "floating-point"}
        raise pixel_type(path, f"a TIFF of {bits}-bit {kinds.get(page.sampleformat, 'other')} numbers, {kind}")
    if page.samplesperpixel > _SAMPLES[kind]:
        raise alpha_channel(path, f"{page.samplesperpixel} channels")
    odd = page.samplesperpixel != _SAMPLES[kind] or (bits != 8 and kind in ("PALETTE", "SEPARATED", "YCBCR"))
    if odd or (bits == 1 and kind not in ("MINISBLACK", "MINISWHITE")):
        raise pixel_type(path, f"a TIFF of {page.samplesperpixel} channels of {bits} bit, {kind}")


def _array(page: Any, raw: bytes, path: Path) -> Pixels:
    """Pixels (H, W) or (H, W, C), not turned."""
    shape = (page.imagelength, page.imagewidth)
    if _name(page.compression) in _OWN and _name(page.photometric) != "YCBCR":
        if _name(page.compression) in _DEFLATED:
            _check_unpacked(page, raw, path)
        array = np.asarray(page.asarray())
        if array.ndim == 3 and page.planarconfig == _PLANES:
            array = array.transpose(1, 2, 0)
    elif page.bitspersample == 16 and page.samplesperpixel > 1:
        if page.planarconfig == _PLANES:
            raise pixel_type(path, f"16-bit colour planes in {_name(page.compression)}")
        first, second = (_by_pillow(raw, page, layout).astype(np.uint16) for layout in ("RGB;16B", "RGB;16L"))
        # libtiff gives numbers in this machine's order
        array = (second << 8 | first) if sys.byteorder == "little" else (first << 8 | second)
    else:
        array = _by_pillow(raw, page, None)
    if array.shape[:2] != shape:
        raise damaged(path, f"{array.shape[:2]} of {shape} pixels")
    return array


def _check_unpacked(page: Any, raw: bytes, path: Path) -> None:
    """Refuse strips that unpack to more than their part of the picture, before a decoder unpacks them whole."""
    limit = _segment_bytes(page)
    for data in _segments(page, raw):
        inflate = zlib.decompressobj()
        seen = 0
        for start in range(0, len(data), 1 << 16):
            waiting = data[start : start + (1 << 16)]
            while waiting and not inflate.eof:
                seen += len(inflate.decompress(waiting, 1 << 20))
                waiting = inflate.unconsumed_tail
                if seen > limit:
                    raise damaged(path, f"a part that unpacks to more than {limit} bytes")
        if not inflate.eof:
            raise truncated(path, "a part of the picture that ends too early")


def _segments(page: Any, raw: bytes) -> Iterator[bytes]:
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        yield raw[offset : offset + count]


def _segment_bytes(page: Any) -> int:
    samples = 1 if page.planarconfig == _PLANES else page.samplesperpixel
    if page.is_tiled:
        wide, rows = page.tilewidth, page.tilelength
    else:
        wide, rows = page.imagewidth, min(page.rowsperstrip, page.imagelength)
    return int(rows * ((wide * samples * page.bitspersample + 7) // 8))


def _by_pillow(raw: bytes, page: Any, layout: str | None) -> Pixels:
    """Decode with libtiff.

    Of 16-bit colour Pillow keeps the byte that its layout calls the higher one: the first or the second.
    """
    with TiffImageFile(io.BytesIO(_unturned(raw, page))) as opened:
        if layout is not None:
            opened.tile = [tile._replace(args=(layout, *tuple(tile.args or ())[1:])) for tile in opened.tile]
        opened.load()
        return np.asarray(opened)


def _unturned(raw: bytes, page: Any) -> bytes:
    """The same file with its orientation set to 1, so that pixels come as stored."""
    tag = page.tags.get("Orientation")
    if tag is None:
        return raw
    number = (1).to_bytes(2, "little" if page.parent.byteorder == "<" else "big")
    return raw[: tag.valueoffset] + number + raw[tag.valueoffset + 2 :]


def _colours(array: Pixels, page: Any, palette: str) -> tuple[Pixels, list[str]]:
    kind, notes = _name(page.photometric), []
    if array.dtype == np.bool_ or page.bitspersample == 1:
        array = (array > 0).astype(np.uint8) * np.uint8(255)
        notes.append("1 bit read as levels 0 to 255")
    own = _name(page.compression) in _OWN
    if kind == "MINISWHITE" and (own or array.dtype == np.uint16):
        array = np.iinfo(array.dtype).max - array
        notes.append("stored with white as 0, turned to black as 0")
    if kind == "PALETTE" and palette == "expand":
        colours = (np.asarray(page.colormap) >> 8).astype(np.uint8).T
        return colours[array], [*notes, "palette expanded to RGB"]
    if kind == "SEPARATED":
        picture = Pillow.frombytes("CMYK", array.shape[1::-1], np.ascontiguousarray(array).tobytes())
        return np.asarray(picture.convert("RGB")), [*notes, "CMYK converted to RGB without a colour profile"]
    return array, notes


def _name(value: Any) -> str:
    """The name of a tag's value; its number where tifffile knows no name."""
    return str(getattr(value, "name", value))


def _number(page: Any, name: str) -> int | None:
    value = page.tags.valueof(name)
    return int(value) if isinstance(value, int) else None
