"""Damage volumes in a reproducible way and count who reads them as if nothing had happened.

    python benchmarks/corruption.py [--count 500] [--seed 1] [--data FOLDER]

A read is *silent* if it gives voxels or a grid that differ from the whole file's, and no error. With ``--data`` (or
MEDGAN_DATA) the small real volumes of ``nifti_odd`` are damaged too.
"""

import argparse
import collections
import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813

from medgan.errors import MedganError
from medgan.imaging.read import read_image
from medgan.phantoms import _volume

Damage = Callable[[bytes, np.random.Generator], bytes]
SAME_MM = 1e-3
HEADER_BYTES = 352


class Read(NamedTuple):
    """What a reader gave: voxels, numbers of the grid, and what it said beside."""

    voxels: Any
    grid: Any
    notes: tuple[str, ...] = ()


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The start of a file, as a broken copy leaves it."""
    return data[: int(rng.integers(1, len(data)))]


def one_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit anywhere."""
    return _flipped(data, rng.integers(0, 8 * len(data), size=1))


def some_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """2 to 16 bits anywhere."""
    return _flipped(data, rng.integers(0, 8 * len(data), size=int(rng.integers(2, 17))))


def header_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit among the first bytes."""
    return _flipped(data, rng.integers(0, 8 * min(HEADER_BYTES, len(data)), size=1))


def voxel_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit of what follows a NIfTI header that is not packed."""
    return _flipped(data, rng.integers(8 * HEADER_BYTES, 8 * len(data), size=1))


def zeroed_block(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of zeros, as a bad sector reads."""
    start, stop = _block(data, rng)
    return data[:start] + bytes(stop - start) + data[stop:]


def removed_block(data: bytes, rng: np.random.Generator) -> bytes:
    """A block that is missing."""
    start, stop = _block(data, rng)
    return data[:start] + data[stop:]


def doubled_block(data: bytes, rng: np.random.Generator) -> bytes:
    """A block that stands twice."""
    start, stop = _block(data, rng)
    return data[:stop] + data[start:]


def garbage_after(data: bytes, rng: np.random.Generator) -> bytes:
    """Other bytes at the end."""
    return data + rng.bytes(int(rng.integers(1, 2000)))


def _flipped(data: bytes, places: np.ndarray) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[place // 8] ^= 1 << int(place % 8)
    return bytes(changed)


def _block(data: bytes, rng: np.random.Generator) -> tuple[int, int]:
    size = int(rng.integers(1, max(2, min(4096, len(data) // 4))))
    start = int(rng.integers(0, len(data) - size))
    return start, start + size


PACKED = (cut, one_bit, some_bits, header_bit, zeroed_block, removed_block, doubled_block, garbage_after)
PLAIN = (cut, removed_block, doubled_block, garbage_after)


def by_medgan(path: Path) -> Read:
    """``read_image(path)``."""
    image = read_image(path)
    return Read(image.pixels, image.geometry.affine, image.stored.notes)


def by_nibabel(path: Path) -> Read:
    """``image = nib.load(path); np.asanyarray(image.dataobj), image.affine``."""
    image = nib.load(path)
    return Read(np.asanyarray(image.dataobj), image.affine)


def by_simpleitk(path: Path) -> Read:
    """``sitk.ReadImage(path)``; for a folder ``ImageSeriesReader`` with ``GetGDCMSeriesFileNames``."""
    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        image = reader.Execute()
    else:
        image = sitk.ReadImage(str(path))
    grid = np.array([*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()])
    return Read(sitk.GetArrayFromImage(image), grid)


READERS = {"medgan": by_medgan, "nibabel": by_nibabel, "SimpleITK": by_simpleitk}


def outcome(reader: Callable[[Path], Read], path: Path, whole: Read) -> str:
    """``"error"``, ``"same"`` or ``"silent"``; ``"noted"`` where it differs but the reader said what is odd."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            got = reader(path)
    except MedganError:
        return "error"
    except Exception:
        if reader is by_medgan:  # which owes every refusal a code
            raise
        return "error"
    same = np.shape(got.voxels) == np.shape(whole.voxels) and np.array_equal(got.voxels, whole.voxels)
    same = same and np.shape(got.grid) == np.shape(whole.grid) and np.allclose(got.grid, whole.grid, atol=SAME_MM)
    if same:
        return "same"
    return "noted" if got.notes != whole.notes else "silent"


def damaged_files(
    volumes: list[Path], kinds: tuple[Damage, ...], folder: Path, *, count: int, seed: int
) -> Iterator[tuple[Path, Path, str]]:
    """Damaged copies, one after another in one place: (whole, damaged, kind)."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        whole, kind = volumes[int(rng.integers(len(volumes)))], kinds[number % len(kinds)]
        data = damaged = whole.read_bytes()
        while damaged == data:
            damaged = kind(data, rng)
        path = folder / ("damaged" + "".join(whole.suffixes[-2:] if whole.suffix == ".gz" else [whole.suffix]))
        path.write_bytes(damaged)
        yield whole, path, kind.__name__


def damaged_series(
    series: Path, other: Path, folder: Path, *, count: int, seed: int
) -> Iterator[tuple[Path, Path, str]]:
    """Damaged copies of a folder of slices; only slices in the middle are lost, since nothing tells of the last."""
    kinds = ("cut slice", "lost slice", "doubled slice", "foreign slice", "swapped names")
    for number in range(count):
        rng, kind = np.random.default_rng([seed, number]), kinds[number % len(kinds)]
        path = folder / f"series{number}"
        path.mkdir()
        files = {file.name: file.read_bytes() for file in sorted(series.iterdir())}
        names = list(files)
        place = int(rng.integers(1, len(names) - 1))
        name, beside = names[place], names[place + 1]
        if kind == "cut slice":
            name = names[int(rng.integers(len(names)))]
            files[name] = cut(files[name], rng)
        elif kind == "lost slice":
            del files[name]
        elif kind == "doubled slice":
            files[name] = files[beside]
        elif kind == "foreign slice":
            files[name] = (other / name).read_bytes()
        else:
            files[name], files[beside] = files[beside], files[name]
        for file, data in files.items():
            (path / file).write_bytes(data)
        yield series, path, kind


def make_volumes(folder: Path, *, ending: str) -> list[Path]:
    """Small heads of several types, byte orders and rescales, oblique."""
    rng, paths = np.random.default_rng(7), []
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in (24, 28, 20)), indexing="ij")
    inside = np.sqrt(sum(axis**2 for axis in axes)) < 0.8
    turn = nib.eulerangles.euler2mat(0.1, -0.2, 0.3)
    affine = nib.affines.from_matvec(turn @ np.diag([-1.0, 1.5, 2.0]), [10, -20, 30])
    for number, (dtype, order, slope) in enumerate(
        [("i2", "<", None), ("u1", "<", None), ("f4", "<", None), ("i2", ">", None), ("u2", "<", 0.5)]
    ):
        values = ((rng.random(inside.shape) + 1) * 100 * inside + 5 * rng.random(inside.shape)).astype(dtype)
        header = nib.Nifti1Header(endianness=order)
        header.set_data_dtype(np.dtype(order + dtype))
        header.set_xyzt_units("mm")
        if slope:
            header.set_slope_inter(slope, -3.0)
        image = nib.Nifti1Image(values, affine, header)
        image.set_qform(affine, 1)
        image.set_sform(affine, 1)
        paths.append(folder / f"whole{number}{ending}")
        nib.save(image, paths[-1])
    return paths


def make_series(folder: Path, *, name: str) -> Path:
    """An axial CT of twelve slices."""
    array = np.random.default_rng(len(name)).integers(-1000, 1000, size=(12, 24, 20)).astype(np.int16)
    geometry = _volume.axial_geometry(array.shape, spacing_mm=(3.0, 0.8, 0.8), centre_mm=np.zeros(3))
    _volume.write_dicom(folder, name, array=array, geometry=geometry, modality="CT", subject="P1", description=name)
    return folder / name


def count_outcomes(
    cases: Iterator[tuple[Path, Path, str]], readers: dict[str, Callable[[Path], Read]]
) -> dict[str, collections.Counter[str]]:
    """Outcomes of each reader, and under ``(kind)`` the silent ones of each kind of damage."""
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in readers}
    whole_reads: dict[tuple[str, Path], Read] = {}
    for whole, path, kind in cases:
        for name, reader in readers.items():
            if (name, whole) not in whole_reads:
                whole_reads[name, whole] = reader(whole)
            result = outcome(reader, path, whole_reads[name, whole])
            counts[name][result] += 1
            if result == "silent":
                counts[name][f"({kind})"] += 1
    return counts


def show(title: str, counts: dict[str, collections.Counter[str]]) -> None:
    """Print one table."""
    print(f"\n{title}\n{'reader':<10}{'error':>7}{'same':>7}{'noted':>7}{'SILENT':>8}   silent by kind")
    for name, found in counts.items():
        kinds = ", ".join(f"{kind[1:-1]} {number}" for kind, number in sorted(found.items()) if kind[0] == "(")
        print(f"{name:<10}{found['error']:>7}{found['same']:>7}{found['noted']:>7}{found['silent']:>8}   {kinds}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=os.environ.get("MEDGAN_DATA"))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
    for name, reader in READERS.items():
        print(f"{name:<10}{reader.__doc__}")
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        run(Path(name), count=options.count, seed=options.seed, data=options.data)


def run(folder: Path, *, count: int, seed: int, data: Path | None) -> None:
    """Damage, read, print."""
    packed, plain = make_volumes(folder, ending=".nii.gz"), make_volumes(folder, ending=".nii")
    if data is not None:
        odd = [p for p in sorted(Path(data, "nifti_odd").rglob("*.nii.gz")) if p.stat().st_size < 150_000]
        packed += [p for p in odd if "broken" not in p.parts and nib.load(p).ndim == 3]
    for title, volumes, kinds in (
        (".nii.gz, any damage", packed, PACKED),
        (".nii, size changed", plain, PLAIN),
        (
            ".nii, one bit of the header (no checksum: what contradicts nothing else cannot be told)",
            plain,
            (header_bit,),
        ),
        (".nii, one bit of the voxels (no checksum: nobody can tell)", plain, (voxel_bit,)),
    ):
        share = count if kinds is PACKED else count // 5
        cases = damaged_files(volumes, kinds, folder, count=share, seed=seed)
        show(f"{share} of {title}; {len(volumes)} volumes, seed {seed}", count_outcomes(cases, READERS))
    series, other = make_series(folder, name="whole"), make_series(folder, name="another")
    cases = damaged_series(series, other, folder, count=count // 5, seed=seed)
    readers = {name: READERS[name] for name in ("medgan", "SimpleITK")}
    show(f"{count // 5} of a DICOM series, seed {seed}", count_outcomes(cases, readers))


if __name__ == "__main__":
    main()
