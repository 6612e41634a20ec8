"""A NIfTI file's bytes: whole, checked to the end of the stream, and never more than the header announces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medgan.errors import ReadError
from medgan.imaging.nifti_header import Layout, bitpix_note, check_extensions, header_size, layout_of, parse_header
from medgan.imaging.nifti_stream import Stream, open_stream

_MAX_EXTENSIONS = 64 * 2**20


@dataclass(frozen=True)
class NiftiFile:
    """Header and the voxels of one volume, as they stand in the file.

    Args:
        header: nibabel's header, with the file's byte order.
        stored: Stored values of the whole file or of the chosen volume, shape (C, k, j, i), native byte order. C is 1,
            3 for RGB24 or 4 for RGBA32.
        volumes: How many volumes the file holds.
        notes: What is odd about the header and harmless.
    """

    header: Any
    stored: np.ndarray
    volumes: int
    notes: tuple[str, ...]


def read_nifti_bytes(path: Path, *, volume: int | None = None) -> NiftiFile:
    """Read header and voxels; a gzip stream is read to its end, so that its CRC is checked.

    Of several volumes only the chosen one is held in memory, and where the file is not compressed no other is read.

    Args:
        path: .nii, .nii.gz, or the .hdr of a NIfTI pair; compressed or not is told by the bytes.
        volume: Which volume of a file with more than three axes, from 0, in the file's order.

    Raises:
        ReadError: R004 truncated, R005 CRC, R006 size, R007 header, R008 which volume, R010 voxel type, R041 longer
            than announced, R043 place of the voxels, R044 extensions, R045 the pair's other file, R046 ANALYZE.
    """
    with open_stream(path) as stream:
        header, raw = _header(stream)
        layout = layout_of(header, where=str(path))
        chosen = _chosen(volume, layout, header, where=str(path))
        if layout.pair:
            raw += stream.rest(limit=_MAX_EXTENSIONS)
        else:
            stream.check_size(layout.total_bytes, shape=(*layout.shape, layout.volumes), size=layout.volume_bytes)
            raw += stream.read(layout.offset - len(raw), expected=layout.total_bytes)
        notes = [*bitpix_note(header, layout), *check_extensions(raw, header, where=str(path))]
        if not layout.pair:
            return _file(stream, layout, chosen, header, notes)
    with open_stream(_voxels_of(path)) as stream:
        stream.check_size(layout.total_bytes, shape=(*layout.shape, layout.volumes), size=layout.volume_bytes)
        stream.skip(layout.offset, expected=layout.total_bytes)
        return _file(stream, layout, chosen, header, notes)


def read_nifti_head(path: Path) -> tuple[Any, bytes]:
    """Return nibabel's header, and all bytes before the voxels: header and extensions.

    Raises:
        ReadError: As :func:`read_nifti_bytes` raises for what is wrong before the voxels.
    """
    with open_stream(path) as stream:
        header, raw = _header(stream)
        layout = layout_of(header, where=str(path))
        if layout.pair:
            return header, raw + stream.rest(limit=_MAX_EXTENSIONS)
        return header, raw + stream.read(layout.offset - len(raw), expected=layout.offset)


def second_file_of(path: Path) -> Path | None:
    """The file with the voxels of a NIfTI pair's header; None for a file that holds both.

    Raises:
        ReadError: R045, if it is not there; R003, R007 and the like, if this is no NIfTI.
    """
    with open_stream(path) as stream:
        header, _ = _header(stream)
        return _voxels_of(path) if layout_of(header, where=str(path)).pair else None


def _header(stream: Stream) -> tuple[Any, bytes]:
    raw = stream.read(348, expected=352)
    size = header_size(raw, where=str(stream.path))
    raw += stream.read(size - len(raw), expected=size + 4)
    return parse_header(raw, where=str(stream.path)), raw


def _file(stream: Stream, layout: Layout, chosen: int, header: Any, notes: list[str]) -> NiftiFile:
    total, size = layout.total_bytes, layout.volume_bytes
    stream.skip(chosen * size, expected=total)
    raw = stream.array(size, expected=total)
    stream.skip((layout.volumes - chosen - 1) * size, expected=total)
    stream.end()
    stored = raw.view(layout.dtype).reshape((*layout.shape[::-1], layout.channels))
    if not stored.dtype.isnative:
        stored = stored.byteswap(inplace=True).view(layout.dtype.newbyteorder("="))
    stored = np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    return NiftiFile(header, stored, layout.volumes, (*_name_note(stream), *notes))


def _name_note(stream: Stream) -> list[str]:
    if stream.compressed == (stream.path.suffix.lower() == ".gz"):
        return []
    return ["compressed but not named .gz" if stream.compressed else "named .gz but not compressed"]


def _chosen(volume: int | None, layout: Layout, header: Any, *, where: str) -> int:
    volumes = layout.volumes
    if volume is None and volumes > 1:
        sizes = " x ".join(str(int(n)) for n in header["dim"][1 : int(header["dim"][0]) + 1])
        raise ReadError(
            "R008",
            "the file holds several volumes",
            where=where,
            got=f"{volumes} volumes ({sizes}{_vector(header)})",
            expected="one",
            remedy=f"say which with volume: 0 to {volumes - 1} in the manifest",
        )
    if not 0 <= (volume or 0) < volumes:
        raise ReadError("R008", "no such volume", where=where, got=f"volume {volume}", expected=f"0 to {volumes - 1}")
    return volume or 0


def _vector(header: Any) -> str:
    kinds = {1004: "matrix", 1005: "symmetric matrix", 1006: "displacement", 1007: "vector"}
    kind = kinds.get(int(header["intent_code"]))
    return f"; the header calls the values a {kind}" if kind else ""


def _voxels_of(path: Path) -> Path:
    """The .img file of a .hdr file, beside it and no link to elsewhere."""
    stem = path.name.lower().removesuffix(".gz").removesuffix(".hdr")
    names = [stem + ending for ending in (".img", ".img.gz")]
    found = [other for other in path.parent.iterdir() if other.name.lower() in names and other.is_file()]
    exact = [other for other in found if other.name.startswith(path.name[: len(stem)])] or found
    here = path.resolve().parent
    if len(exact) != 1 or exact[0].resolve().parent != here:
        raise ReadError(
            "R045",
            "a NIfTI header whose voxels are in a second file",
            where=str(path),
            got="a link that leaves the folder" if len(exact) == 1 else f"{len(exact)} such files beside it",
            expected=f"{path.name[: len(stem)]}.img beside it",
            remedy="put both files side by side, or convert the pair to .nii.gz",
        )
    return exact[0]
