"""Rows 1 to 8: volumes whose file is damaged."""

from pathlib import Path

import numpy as np

from bad_inputs.making import ROWS, found, gzipped, nifti, peak_mib, same, study, turned, voxels
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.errors import MedganError
from medgan.imaging.read import read_image


@bad_input(1, gives="R004")
def truncated_gzip(folder: Path) -> Seen:
    """A .nii.gz cut at 19 places, from its 20th byte to the last but one."""
    raw = nifti(folder / "whole.nii.gz").read_bytes()
    path = folder / "scan.nii.gz"

    def cut(length: int) -> None:
        path.write_bytes(raw[:length])
        read_image(path)

    lengths = [len(raw) // 2, *np.linspace(20, len(raw) - 1, 18, dtype=int).tolist()]
    return refused([lambda length=length: cut(length) for length in lengths], codes="R004")


@bad_input(1, gives="R004")
def truncated_members(folder: Path) -> None:
    """A .nii.gz of four gzip members without its last."""
    raw = nifti(folder / "whole.nii").read_bytes()
    path = folder / "scan.nii.gz"
    members = [gzipped(raw[start : start + 1000]) for start in range(0, len(raw), 1000)]
    path.write_bytes(b"".join(members))
    same(read_image(path), turned(voxels()))
    path.write_bytes(b"".join(members[:-1]))
    read_image(path)


@bad_input(2, gives="R005")
def flipped_bits(folder: Path) -> Seen:
    """100 .nii.gz with one flipped bit each: refused, or the bit is one that no reader uses."""
    raw = nifti(folder / "whole.nii").read_bytes()
    expected, path = turned(voxels()), folder / "scan.nii.gz"
    errors: list[MedganError] = []
    for packed in (False, True):
        stream = gzipped(raw, packed=packed)
        for bit in np.random.default_rng(2).integers(0, 8 * len(stream), size=50).tolist():
            damaged = bytearray(stream)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            try:
                image = read_image(path)
            except MedganError as error:
                errors.append(error)
            else:
                require(bit // 8 < 10, f"a flip of bit {bit} was read")  # the time stamp and the like in gzip's header
                same(image, expected)
    require(len(errors) >= 95, f"nearly all are refused; {len(errors)} were")
    first = next(error for error in errors if error.code == "R005")
    return Seen("error", first.code, str(first))


@bad_input(3, gives="R004")
def truncated_plain(folder: Path) -> Seen:
    """A .nii cut at 10 places."""
    raw = nifti(folder / "whole.nii").read_bytes()
    path = folder / "scan.nii"

    def cut(length: int) -> None:
        path.write_bytes(raw[:length])
        read_image(path)

    lengths = [len(raw) // 2, *np.linspace(5, len(raw) - 1, 9, dtype=int).tolist()]
    return refused([lambda length=length: cut(length) for length in lengths], codes="R004")


@bad_input(4, gives="R001")
def zero_bytes(folder: Path) -> None:
    """A file of zero bytes."""
    (folder / "scan.nii.gz").touch()
    read_image(folder / "scan.nii.gz")


@bad_input(5, gives="R003")
def html_page(folder: Path) -> None:
    """A login page saved as .nii.gz."""
    (folder / "scan.nii.gz").write_text("<!DOCTYPE html><html><body>Please log in</body></html>")
    read_image(folder / "scan.nii.gz")


@bad_input(6, gives=HANDLED)
def plain_named_gz(folder: Path) -> str:
    """An uncompressed NIfTI named .nii.gz."""
    nifti(folder / "scan.nii").rename(folder / "scan.nii.gz")
    return same(read_image(folder / "scan.nii.gz"), turned(voxels()), note="not compressed")


@bad_input(6, gives="warning R060")
def plain_named_gz_in_a_study(folder: Path) -> Seen:
    """The same, in a study."""
    rows = [row | {"image": f"{row['case_id']}.nii.gz"} for row in ROWS]
    for index, row in enumerate(rows):
        nifti(folder / "scan.nii", voxels(index)).rename(folder / row["image"])
    return found(study(folder, rows, preparation={"preset": "mr"}), "R060")


@bad_input(7, gives="R006")
def huge_dimensions(folder: Path) -> Seen:
    """A header that announces 32767 x 32767 x 32767 voxels, plain and compressed."""
    paths = [nifti(folder / name, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]) for name in ("scan.nii", "scan.nii.gz")]
    for path in paths:
        require(peak_mib(path) < 100, "under 100 MiB of memory")
    return refused([lambda path=path: read_image(path) for path in paths], codes="R006 R004")


@bad_input(8, gives="R006")
def gzip_bomb(folder: Path) -> None:
    """A gzip bomb: a header of a small volume, then 256 MiB of zeros."""
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = nifti(folder / "whole.nii").read_bytes()
    zeros = bytes(2**20)
    parts = [packer.compress(head), *(packer.compress(zeros) for _ in range(256)), packer.flush()]
    path = folder / "scan.nii.gz"
    path.write_bytes(b"".join(parts))
    require(peak_mib(path) < 100, "under 100 MiB of memory")
    read_image(path)


@bad_input(8, gives="R006")
def announced_bomb(folder: Path) -> None:
    """A gzip bomb: a header that announces 40 GiB, in a file that could hold them packed."""
    path = nifti(folder / "scan.nii.gz", dim=[3, 3000, 3000, 2400, 1, 1, 1, 1])
    path.write_bytes(path.read_bytes() + bytes(45 * 2**20))
    require(peak_mib(path) < 100, "under 100 MiB of memory")
    read_image(path)
