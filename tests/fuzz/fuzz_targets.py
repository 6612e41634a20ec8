"""What is fuzzed: each reader with its seeds, and the one law that all keep.

A reader returns an image whose pixels are finite and fit its grid, or raises a MedganError. Nothing else: no other
exception, no warning, no crash, no more than the time and the memory of the run.
"""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class Target(NamedTuple):
    """One reader under test.

    Args:
        name: For the command line.
        seeds: Makes whole inputs.
        check: Reads one input in an empty folder; whatever it raises, but for a MedganError, is a finding.
        instrumented: Packages whose branches guide the fuzzer.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes, Path], None]
    instrumented: tuple[str, ...]


def targets() -> dict[str, Target]:
    """All targets by name; those whose seeds cannot be made here are left out."""
    nifti = ("medgan.imaging", "nibabel.nifti1", "nibabel.nifti2", "nibabel.wrapstruct", "nibabel.volumeutils")
    pillow = ("medgan.imaging", "PIL")
    parts = ("filereader", "dataelem", "dataset", "values", "valuerep", "charset", "sequence", "encaps", "pixels")
    dicom = ("medgan.imaging", *(f"pydicom.{part}" for part in parts))
    found = (
        Target("nifti", _seeds("nifti_files"), _nifti, nifti),
        Target("nifti_gz", _seeds("nifti_files", "gzip_files"), _nifti_gz, nifti),
        Target("label_nifti", _seeds("nifti_files"), _label_nifti, nifti),
        Target("dicom", _seeds("dicom_files"), _dicom, dicom),
        Target("dicom_series", _seeds("dicom_files"), _dicom_series, dicom),
        Target("dicom_pixels", _seeds("codestreams"), _dicom_pixels, dicom),
        Target("dicom_zip", _seeds("zip_files"), _dicom_zip, (*dicom, "zipfile")),
        Target("dicomdir", _seeds("dicomdir_files"), _dicomdir, dicom),
        Target("dicom_seg", _seeds("segmentation_files"), _dicom_seg, dicom),
        Target("png", _seeds("png_files"), _png, pillow),
        Target("label_png", _seeds("png_files"), _label_png, pillow),
        Target("jpeg", _seeds("jpeg_files"), _picture("a.jpg"), pillow),
        Target("tiff", _seeds("tiff_files"), _picture("a.tif"), (*pillow, "tifffile")),
        Target("manifest", _seeds("manifest_files"), _manifest, ("medgan.manifests",)),
        Target("manifest_json", _seeds("origin_files"), _manifest_json, ("medgan.manifests",)),
        Target("study", _seeds("study_files"), _study, ("medgan.settings", "yaml")),
    )
    return {target.name: target for target in found if target.name != "dicom_seg" or find_spec("highdicom")}


def _seeds(*names: str) -> Callable[[], list[bytes]]:
    """Imported only when called, so that the fuzzer can instrument what they import."""

    def made() -> list[bytes]:
        modules = [import_module("fuzz_seeds")]
        if not all(hasattr(modules[0], name) for name in names):
            modules.append(import_module("fuzz_dicom_seeds"))
        return [
            data for name in names for module in modules if hasattr(module, name) for data in getattr(module, name)()
        ]

    return made


def checked(read: Callable[[], Any]) -> None:
    """Call a reader, and hold its image to the law."""
    import numpy as np

    image = read()
    pixels = image.pixels
    assert pixels.size > 0, f"no pixels: {pixels.shape}"
    assert pixels.dtype.kind in "iuf", f"pixels of {pixels.dtype}"
    assert pixels.dtype.kind != "f" or np.isfinite(pixels).all(), "pixels that are not finite"
    assert pixels.dtype.isnative, f"foreign byte order {pixels.dtype}"
    assert np.isfinite([image.stored.slope, image.stored.intercept]).all(), "a rescale that is not finite"
    assert image.stored.slope != 0, "a slope of 0"
    if image.geometry is not None:
        assert np.isfinite(image.geometry.affine).all(), "an affine that is not finite"
        assert abs(np.linalg.det(image.geometry.affine[:3, :3])) > 0, "a singular affine"


def with_png_sums(data: bytes) -> bytes:
    """The same chunks, each with the CRC that fits it: else no damage gets past the first check."""
    if not data.startswith(PNG_MAGIC):
        return data
    out, at = bytearray(PNG_MAGIC), len(PNG_MAGIC)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        length = min(length, len(data) - at - 12)
        body = data[at + 4 : at + 8 + length]
        out += struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out + data[at:])


def with_zip_sums(data: bytes, folder: Path) -> bytes:
    """The same archive, each stored member with the CRC that fits it, in both headers."""
    path = folder / "sums.zip"
    path.write_bytes(data)
    out = bytearray(data)
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                local = info.header_offset
                start = local + 30 + sum(struct.unpack_from("<HH", data, local + 26))
                body = data[start : start + info.compress_size]
                crc = struct.pack("<I", zlib.crc32(body if info.compress_type == 0 else zlib.decompress(body, -15)))
                out[local + 14 : local + 18] = crc
                central = data.find(struct.pack("<I", info.CRC), archive.start_dir)
                if central >= 0:
                    out[central : central + 4] = crc
    except Exception:  # noqa: BLE001 - an archive that cannot be mended is read as it is
        return data
    finally:
        path.unlink()
    return bytes(out)


@cache
def _sound_slice(index: int) -> bytes:
    from fuzz_dicom_seeds import dicom_bytes, dicom_dataset

    return dicom_bytes(dicom_dataset(index=index))


@cache
def _first_seed(name: str) -> bytes:
    return _seeds(name)()[0]


def _image(path: Path, **choice: Any) -> None:
    from medgan.imaging.read import read_image

    checked(lambda: read_image(path, max_megapixels=1.0, **choice))


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _nifti(data: bytes, folder: Path) -> None:
    _image(_write(folder / "a.nii", data))


def _nifti_gz(data: bytes, folder: Path) -> None:
    """A gzip stream as it is; any other bytes are compressed first, so that damage lies behind a right CRC."""
    stream = data if data.startswith(b"\x1f\x8b") else gzip.compress(data, compresslevel=1, mtime=0)
    _image(_write(folder / "a.nii.gz", stream), volume=1 if len(data) % 4 == 3 else None)


def _dicom(data: bytes, folder: Path) -> None:
    _image(_write(folder / "a.dcm", data))


def _dicom_series(data: bytes, folder: Path) -> None:
    """The damaged slice among sound ones."""
    for index in (1, 2):
        _write(folder / f"{index}.dcm", _sound_slice(index))
    _write(folder / "0.dcm", data)
    _image(folder)


def _dicom_pixels(data: bytes, folder: Path) -> None:
    """A sound header round a damaged frame; the first byte chooses the syntax."""
    from fuzz_dicom_seeds import COMPRESSED, dicom_bytes, dicom_dataset, pixels_of

    syntax = COMPRESSED[data[0] % len(COMPRESSED)] if data else "rle"
    depth = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7} if syntax.startswith("jpeg") else {}
    dataset = dicom_dataset(syntax, **depth, **pixels_of(data[1:] or b"\0\0"))
    _image(_write(folder / "a.dcm", dicom_bytes(dataset)))


def _dicom_zip(data: bytes, folder: Path) -> None:
    _image(_write(folder / "a.zip", with_zip_sums(data, folder) if zlib.crc32(data) & 1 else data))


def _dicomdir(data: bytes, folder: Path) -> None:
    for index in (0, 1):
        _write(folder / f"IM{index}", _sound_slice(index))
    _image(_write(folder / "DICOMDIR", data))


def _dicom_seg(data: bytes, folder: Path) -> None:
    series = folder / "series"
    series.mkdir()
    for index in (0, 1):
        _write(series / f"{index}.dcm", _sound_slice(index))
    _label(_write(folder / "seg.dcm", data), series)


def _label(path: Path, like: Path) -> None:
    import numpy as np

    from medgan.imaging.read import read_image, read_label

    image = read_image(like)
    label = read_label(path, like=image, max_megapixels=1.0)
    assert label.dtype.kind in "iu", f"labels of {label.dtype}"
    assert label.shape == image.pixels.shape[1:], f"labels of shape {label.shape}"
    assert np.asarray(label).size > 0


def _label_nifti(data: bytes, folder: Path) -> None:
    _label(_write(folder / "mask.nii", data), _write(folder / "image.nii", _first_seed("nifti_files")))


def _label_png(data: bytes, folder: Path) -> None:
    mask = _write(folder / "mask.png", with_png_sums(data) if zlib.crc32(data) & 1 else data)
    _label(mask, _write(folder / "image.png", _first_seed("png_files")))


def _png(data: bytes, folder: Path) -> None:
    _image(_write(folder / "a.png", with_png_sums(data) if zlib.crc32(data) & 1 else data))


def _picture(name: str) -> Callable[[bytes, Path], None]:
    return lambda data, folder: _image(_write(folder / name, data))


def _manifest(data: bytes, folder: Path) -> None:
    from medgan.manifests.manifest import read_manifest, write_manifest

    manifest = read_manifest(_write(folder / "m.csv", data), root=folder)
    assert len(manifest) > 0
    for case in manifest:
        assert (folder / case.image).resolve().is_relative_to(folder.resolve()), f"{case.image!r} leaves the root"
    write_manifest(manifest, folder / "again.csv")
    again = read_manifest(folder / "again.csv", root=folder)
    assert again.cases == manifest.cases, "another manifest after writing and reading"


def _manifest_json(data: bytes, folder: Path) -> None:
    from fuzz_seeds import manifest_files

    from medgan.manifests.manifest import read_manifest

    _write(folder / "m.json", data)
    manifest = read_manifest(_write(folder / "m.csv", manifest_files()[0]), root=folder)
    assert isinstance(manifest.parent, str | None)
    assert isinstance(manifest.run, str | None)


def _study(data: bytes, folder: Path) -> None:
    from medgan.settings.study import read_study

    read_study(_write(folder / "s.yaml", data), profile="quick" if len(data) % 2 else None)
