"""Stored numbers of DICOM frames, decoded, with their sign."""

import math
from collections.abc import Sequence

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from medgan.errors import ReadError
from medgan.imaging.dicom_files import Frame, frame_count
from medgan.imaging.dicom_parse import DicomFile
from medgan.imaging.image import Pixels


def stored_stack(frames: Sequence[Frame], notes: list[str] | None = None) -> Pixels:
    """Decode frames of one size; no rescale is applied.

    Args:
        frames: Of one size.
        notes: Told where bits beyond BitsStored were cleared that held something.

    Returns:
        (frames, H, W), int or uint of 8, 16 or 32 bits. Bits beyond BitsStored, which may hold overlays, are cleared
        or carry the sign.

    Raises:
        ReadError: R004 truncated, R010 bit depth, R026 different types, R030 no decoder or damaged stream, R041 longer
            than announced.
    """
    files = list({id(frame.file): frame.file for frame in frames}.values())
    types = {_type(file) for file in files}
    if len(types) > 1:
        raise ReadError(
            "R026",
            "slices of different types in one series",
            where=str(files[0].path.parent),
            got=", ".join(sorted(kind.name for kind in types)),
        )
    for file in files:  # before anything is allocated: a header may announce what no file holds
        if not file.layout.compressed:
            _check_bytes(file)
    kind = types.pop()
    if all(not file.layout.compressed for file in files):
        stack = np.empty((len(frames), *frames[0].size_px), dtype=f"u{kind.itemsize}")
        for place, frame in enumerate(frames):
            _fill(stack[place], frame)
    else:
        stack = _decoded(frames, files).astype(f"u{kind.itemsize}", copy=False)
    cleared = sum(_set_sign(stack[place], frame.file) for place, frame in enumerate(frames))
    if cleared and notes is not None:
        notes.append(f"{cleared} slices hold bits above BitsStored, an overlay or lost values; left out")
    return stack.view(kind)


def stored_limits(dataset: Dataset) -> tuple[int, int]:
    """The least and the greatest number that BitsStored can hold."""
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if int(dataset.PixelRepresentation) else (0, (1 << bits) - 1)


def _type(file: DicomFile) -> np.dtype:
    layout = file.layout
    if not layout.is_deep_enough:
        raise ReadError(
            "R010",
            "bit depth is not supported",
            where=str(file.path),
            got=f"{layout.allocated} bits allocated, {layout.bits} stored up to bit {layout.high}",
            expected="8, 16 or 32 bits, and the stored ones within them",
        )
    return np.dtype(f"{'i' if layout.signed else 'u'}{layout.allocated // 8}")


def _check_bytes(file: DicomFile) -> None:
    shape = (frame_count(file), file.layout.rows, file.layout.columns)
    check_native_bytes(file, shape, pixel_bits=file.layout.allocated)


def check_native_bytes(file: DicomFile, shape: tuple[int, int, int], *, pixel_bits: int, space: str = "") -> None:
    """Refuse uncompressed pixels that are fewer, or a row or more longer, than the header announces.

    Args:
        file: With its header.
        shape: Frames, rows and columns.
        pixel_bits: Bits of one pixel with all its samples.
        space: Its colours, for messages.

    Raises:
        ReadError: R004 truncated, R041 longer, as with a damaged number of rows.
    """
    needed, found = math.prod(shape) * pixel_bits // 8, native_bytes(file)
    said = f"{needed} bytes for {shape}" + (f" in {space}" if space else "")
    if min(shape) < 1 or found < needed:
        raise ReadError(
            "R004",
            "PixelData is truncated",
            where=str(file.path),
            got=f"{found} bytes",
            expected=said,
            remedy="copy or export it again",
        )
    if found - needed >= max(2, shape[2] * pixel_bits // 8):  # one byte makes the length even; a few are padding
        raise ReadError(
            "R041",
            "PixelData is longer than the header announces",
            where=str(file.path),
            got=f"{found} bytes",
            expected=said,
            remedy="Rows, Columns, BitsAllocated or NumberOfFrames may be damaged; export it again",
        )


def native_bytes(file: DicomFile) -> int:
    """How many bytes of uncompressed pixels the file really holds."""
    element = file.dataset.get_item("PixelData", keep_deferred=True)
    if isinstance(element, RawDataElement) and element.value is None:
        return max(0, min(element.length, file.size - element.value_tell))
    return len(element.value or b"")


def _fill(out: Pixels, frame: Frame) -> None:
    """Read one native frame's bytes into an array, in the machine's byte order."""
    file, layout = frame.file, frame.file.layout
    size = layout.rows * layout.columns
    element = file.dataset.get_item("PixelData", keep_deferred=True)
    start = 0 if frame.tile is not None else frame.index * size * out.itemsize
    words = layout.big_endian and out.itemsize == 1 and element.VR == "OW"
    whole = out if frame.tile is None else np.empty((layout.rows, layout.columns), out.dtype)
    if isinstance(element, RawDataElement) and element.value is None and not words:
        with file.source.open() as opened:
            opened.seek(element.value_tell + start)
            if opened.readinto(memoryview(whole).cast("B")) != whole.nbytes:
                raise ReadError("R004", "the file ends too soon", where=str(file.path), remedy="copy it again")
    else:
        raw = _bytes_of(file, element)
        if words:
            raw = (
                np.frombuffer(raw[: len(raw) // 2 * 2], dtype=">u2").astype("<u2").tobytes() + raw[len(raw) // 2 * 2 :]
            )
        whole[:] = np.frombuffer(raw, dtype=out.dtype, count=size, offset=start).reshape(whole.shape)
    if layout.big_endian and out.itemsize > 1:
        whole.byteswap(inplace=True)
    if frame.tile is not None:
        out[:] = _tile(whole, frame)


def _bytes_of(file: DicomFile, element: object) -> bytes:
    if isinstance(element, RawDataElement) and element.value is None:
        with file.source.open() as opened:
            opened.seek(element.value_tell)
            return opened.read(element.length)
    return bytes(element.value)  # type: ignore[attr-defined]


def _decoded(frames: Sequence[Frame], files: Sequence[DicomFile]) -> Pixels:
    from medgan.imaging.dicom_codecs import decompressed

    found: dict[int, dict[int, Pixels]] = {}
    for file in files:
        mine = [frame for frame in frames if frame.file is file]
        wanted = sorted({0 if frame.tile is not None else frame.index for frame in mine})
        if file.layout.compressed:
            found[id(file)] = dict(zip(wanted, decompressed(file, wanted), strict=True))
        else:
            plain = np.empty((len(mine), *mine[0].size_px), dtype=_type(file))
            for place, frame in enumerate(mine):
                _fill(plain[place].view(f"u{plain.itemsize}"), frame)
                found.setdefault(id(file), {})[frame.index] = plain[place]
    stack = []
    for frame in frames:
        picture = found[id(frame.file)][0 if frame.tile is not None and frame.file.layout.compressed else frame.index]
        stack.append(_tile(picture, frame) if frame.tile is not None and frame.file.layout.compressed else picture)
    return np.stack(stack)


def _tile(picture: Pixels, frame: Frame) -> Pixels:
    tile = frame.tile
    if tile is None:
        return picture
    return picture[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]


def _set_sign(words: Pixels, file: DicomFile) -> bool:
    """Clear what stands above BitsStored, which is no part of the number (PS3.5 8.1.1), or spread the sign over it.

    Returns:
        Whether there was something beside zeros and the sign.
    """
    layout = file.layout
    bits, high, signed = layout.bits, layout.high, layout.signed
    if bits == layout.allocated:
        return False
    values = words.view(f"i{words.itemsize}") if signed else words
    low, top = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if high == bits - 1 and values.max() <= top and (not signed or values.min() >= low):
        return False
    above = np.right_shift(words, high + 1) if high + 1 < layout.allocated else words[:0]
    np.left_shift(words, layout.allocated - 1 - high, out=words)
    np.right_shift(values, layout.allocated - bits, out=values)
    # a scanner that leaves zeros above negative numbers loses nothing
    return bool(above.any() and not (signed and (above[above > 0] == (1 << (layout.allocated - 1 - high)) - 1).all()))
