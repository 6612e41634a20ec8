"""One photograph without what cameras and programs write beside its pixels; the pixels untouched."""

import io
import struct
import zlib

from PIL import Image as Pillow

from medgan.errors import ReadError, WriteError

_ORIENTATION = 0x0112
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_PNG_KEPT = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT pHYs".split())
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def deidentify_picture(raw: bytes) -> tuple[bytes, dict[str, int]]:
    """Take EXIF, XMP, IPTC, comments, thumbnails, times and what follows the picture out of a file.

    JPEG and PNG are not encoded again: their compressed pixels are copied. TIFF is written anew, without loss. The
    colour profile and the orientation, by which readers turn the picture, stay.

    Args:
        raw: A PNG, JPEG or TIFF file.

    Returns:
        The new file, and how many pieces were taken out.

    Raises:
        ReadError: R005, if it is damaged.
        WriteError: W033, if the pixels would change.
    """
    turn = _turn(raw)
    if raw.startswith(b"\xff\xd8\xff"):
        clean, dropped = _jpeg(raw, turn)
    elif raw.startswith(_PNG_SIGNATURE):
        clean, dropped = _png(raw, turn)
    else:
        clean, dropped = _tiff(raw, turn)
    if _decoded(raw) != _decoded(clean) or _turn(clean) != turn:
        raise WriteError("W033", "the pixels would not come through unchanged", remedy="save it as PNG, then run again")
    return clean, {"pieces beside the pixels dropped": dropped}


def _turn(raw: bytes) -> int:
    try:
        with Pillow.open(io.BytesIO(raw)) as picture:
            turn = picture.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Pillow.DecompressionBombError):
        raise _damaged() from None
    return int(turn) if turn in range(2, 9) else 1


def _decoded(raw: bytes) -> object:
    """The pixels as stored, with how they are to be understood."""
    try:
        if raw[:2] in (b"II", b"MM"):
            import tifffile

            with tifffile.TiffFile(io.BytesIO(raw)) as file:
                page = file.pages[0]
                return page.asarray().tobytes(), page.shape, str(page.dtype), page.photometric.name
        with Pillow.open(io.BytesIO(raw)) as picture:
            return picture.tobytes(), picture.size, picture.mode, picture.getpalette(), picture.info.get("icc_profile")
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error):
        raise _damaged() from None


def _jpeg(raw: bytes, turn: int) -> tuple[bytes, int]:
    """Segments before each scan are kept or dropped by their marker; a scan's bytes are copied (ITU T.81, annex B)."""
    out, at, dropped = bytearray(b"\xff\xd8"), 2, 0
    orientation = _exif_app1(turn) if turn != 1 else b""
    while True:
        marker, segment, at = _segment(raw, at)
        if marker == _END_OF_IMAGE:
            return bytes(out + segment), dropped + int(at < len(raw))
        kept = _kept_jpeg(marker, segment)
        dropped += kept != segment
        if marker != 0xE0:  # EXIF stands after JFIF and before all else
            out += orientation
            orientation = b""
        out += kept
        if marker == _START_OF_SCAN:
            end = _scan_end(raw, at)
            out += raw[at:end]
            at = end


def _segment(raw: bytes, at: int) -> tuple[int, bytes, int]:
    while raw[at : at + 2] == b"\xff\xff":
        at += 1
    if at + 2 > len(raw) or raw[at] != 0xFF:
        raise _damaged()
    marker = raw[at + 1]
    if marker == _END_OF_IMAGE:
        return marker, raw[at : at + 2], at + 2
    if at + 4 > len(raw):
        raise _damaged()
    end = at + 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    if end > len(raw) or end < at + 4:
        raise _damaged()
    return marker, raw[at:end], end


def _kept_jpeg(marker: int, segment: bytes) -> bytes:
    body = segment[4:]
    if marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        return b"\xff\xe0\x00\x10" + body[:12] + b"\0\0"  # without its thumbnail
    if marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
        return segment
    if marker == 0xEE and body.startswith(b"Adobe"):
        return b"\xff\xee\x00\x0e" + body[:12]  # says how colours are stored
    return b"" if 0xE0 <= marker <= 0xEF or marker == 0xFE else segment


def _scan_end(raw: bytes, at: int) -> int:
    """Where entropy-coded data ends: the next marker that is neither a stuffed byte nor a restart."""
    while True:
        at = raw.find(b"\xff", at)
        if at < 0 or at + 1 >= len(raw):
            raise _damaged()
        following = raw[at + 1]
        if following == 0xFF:
            at += 1
        elif following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        else:
            return at


def _exif(turn: int) -> bytes:
    """A TIFF block with nothing but the orientation."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, _ORIENTATION, 3, 1, turn, 0, 0)


def _exif_app1(turn: int) -> bytes:
    body = b"Exif\0\0" + _exif(turn)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _png(raw: bytes, turn: int) -> tuple[bytes, int]:
    out, at, dropped = bytearray(_PNG_SIGNATURE), 8, 0
    while True:
        size, kind = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(raw):
            raise _damaged()
        if kind in (b"acTL", b"fcTL", b"fdAT"):
            raise ReadError("R012", "the file holds several pictures", remedy="save the wanted one by itself")
        if kind == b"IEND" and turn != 1:
            out += _chunk(b"eXIf", _exif(turn))
        if kind == b"iCCP":
            out += _chunk(kind, b"profile" + raw[at + 8 : end - 4][raw[at + 8 : end - 4].find(b"\0") :])
        elif kind in _PNG_KEPT:
            out += raw[at:end]
        else:
            dropped += 1
        at = end
        if kind == b"IEND":
            return bytes(out), dropped + int(at < len(raw))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _tiff(raw: bytes, turn: int) -> tuple[bytes, int]:
    import tifffile

    out = io.BytesIO()
    try:
        with tifffile.TiffFile(io.BytesIO(raw)) as file:
            if len(file.pages) != 1:
                raise ReadError("R012", "the file holds several pictures", got=f"{len(file.pages)} pages")
            page = file.pages[0]
            kind = page.photometric.name.lower()
            if kind not in ("minisblack", "miniswhite", "rgb", "palette"):
                raise ReadError("R010", "colours are stored in a way that cannot be copied", got=kind)
            kept = {"ImageWidth", "ImageLength", "BitsPerSample", "Compression", "StripOffsets", "StripByteCounts"}
            kept |= {"PhotometricInterpretation", "SamplesPerPixel", "RowsPerStrip", "PlanarConfiguration"}
            profile = page.tags.valueof("InterColorProfile")
            tifffile.imwrite(
                out,
                page.asarray(),
                photometric=kind,
                colormap=page.colormap if kind == "palette" else None,
                planarconfig=page.planarconfig.name.lower() if page.samplesperpixel > 1 else None,
                compression="zlib",
                iccprofile=profile,
                metadata=None,
                software=False,
                extratags=[(_ORIENTATION, 3, 1, turn, True)] if turn != 1 else (),
            )
            dropped = sum(tag.name not in kept for tag in page.tags)
    except (tifffile.TiffFileError, ValueError, KeyError, IndexError, OSError, struct.error, ImportError):
        raise _damaged() from None
    return out.getvalue(), dropped


def _damaged() -> ReadError:
    return ReadError("R005", "the picture is damaged", remedy="copy it again")
