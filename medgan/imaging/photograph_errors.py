"""The errors that every kind of photograph shares."""

from pathlib import Path

from medgan.errors import ReadError


def truncated(path: Path, got: str = "") -> ReadError:
    """R004: the file ends before its picture does."""
    return ReadError("R004", "the picture is truncated", where=str(path), got=got, remedy="copy it again")


def damaged(path: Path, got: str = "") -> ReadError:
    """R005: the bytes are not those that were written."""
    return ReadError("R005", "the picture is damaged", where=str(path), got=got, remedy="copy it again")


def undecodable(path: Path, error: Exception) -> ReadError:
    """R004 or R005, by what a decoder said."""
    text = str(error)
    ended = "truncated" in text.lower() or "unexpected end" in text.lower() or isinstance(error, EOFError)
    return (truncated if ended else damaged)(path, text[:120])


def pixel_type(path: Path, got: str, *, remedy: str = "save it as 8 or 16 bit PNG or TIFF") -> ReadError:
    """R010: a kind of pixel that is not read."""
    return ReadError(
        "R010",
        "pixel type is not supported",
        where=str(path),
        got=got,
        expected="8 or 16 bit, grey or RGB",
        remedy=remedy,
    )


def alpha_channel(path: Path, got: str) -> ReadError:
    """R011: values beside the colours, which a study has no place for."""
    return ReadError(
        "R011",
        "the picture has an alpha channel",
        where=str(path),
        got=got,
        expected="grey or RGB",
        remedy="flatten it on a background",
    )


def several_pictures(path: Path, got: str) -> ReadError:
    """R012: more than one picture, and no telling which is meant."""
    return ReadError(
        "R012",
        "the file holds several pictures",
        where=str(path),
        got=got,
        expected="one",
        remedy="save the wanted one as a file of its own",
    )


def check_size(path: Path, width: int, height: int, *, max_megapixels: float) -> None:
    """Refuse a picture by its header, before it is decoded.

    Raises:
        ReadError: R005 without an area, R006 with too large a one.
    """
    if min(width, height) < 1:
        raise damaged(path, f"a picture of {width} x {height} pixels")
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise ReadError(
            "R006",
            "the picture is too large",
            where=str(path),
            got=f"{width} x {height}, {megapixels:.1f} megapixels",
            expected=f"at most {max_megapixels:g}",
            remedy="raise max_megapixels in the study file if that is meant",
        )


def check_bytes(path: Path, *, max_megapixels: float) -> None:
    """Refuse a file that is larger than any picture within the cap could be, before it is read.

    Raises:
        ReadError: R006.
    """
    most = (1 << 26) + int(16e6 * max_megapixels)  # 16-bit RGBA twice over, and room for profiles and previews
    size = path.stat().st_size
    if size > most:
        raise ReadError(
            "R006",
            "the file is too large for a picture",
            where=str(path),
            got=f"{size / 1e6:.0f} MB",
            expected=f"at most {most / 1e6:.0f} MB for {max_megapixels:g} megapixels",
            remedy="raise max_megapixels in the study file if that is meant",
        )
