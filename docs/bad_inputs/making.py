"""Tiny images and studies, sound as they are made here; each bad input spoils one."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import yaml
from PIL import Image as Pillow

from bad_inputs.trial import Seen, require
from medgan.imaging.image import Image
from medgan.imaging.read import read_image
from medgan.manifests.findings import Finding
from medgan.settings.study import read_study
from medgan.stages.check import check_study

SHAPE = (12, 14, 10)


def voxels(seed: int = 0, shape: tuple[int, ...] = SHAPE, dtype: str = "int16") -> np.ndarray:
    """Seeded noise, 0 to 999."""
    return np.random.default_rng(seed).integers(0, 1000, size=shape).astype(dtype)


def nifti(path: Path, array: np.ndarray | None = None, *, affine: np.ndarray | None = None, **header: Any) -> Path:
    """Write a NIfTI volume (i, j, k), both codes 1; further arguments are fields of its header."""
    array = voxels() if array is None else array
    affine = np.diag([1.0, 1.5, 2.0, 1.0]) if affine is None else affine
    image = nib.Nifti1Image(array, affine)
    image.header.set_data_dtype(array.dtype)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    raw = bytearray(image.to_bytes())
    fields = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for name, value in header.items():
        fields[name] = value
    raw[:348] = fields.binaryblock
    path.write_bytes(gzipped(bytes(raw)) if path.suffix == ".gz" else bytes(raw))
    return path


def gzipped(raw: bytes, *, packed: bool = False) -> bytes:
    """A gzip stream; unless it is packed, every zlib writes the same one."""
    return gzip.compress(raw, compresslevel=1 if packed else 0, mtime=0)


def picture(path: Path, array: np.ndarray | None = None, *, seed: int = 0, **options: Any) -> Path:
    """Write a photograph of 24 x 24 pixels, or the array given."""
    array = voxels(seed, (24, 24, 3)).astype("uint8") if array is None else array
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(array).save(path, **options)
    return path


def png_of_zeros(path: Path, *, width: int, height: int) -> Path:
    """An all-black grey PNG of any size; 100 megapixels take 100 kB."""
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def same(image: Image, expected: np.ndarray, *, note: str = "") -> str:
    """Say what was noted, after a look whether the pixels are the expected ones, bit by bit."""
    require(np.array_equal(image.pixels[0] if expected.ndim < image.pixels.ndim else image.pixels, expected), "pixels")
    notes = [text for text in image.stored.notes if note in text]
    require(not note or notes, f"a note says {note!r}; the notes are {image.stored.notes}")
    return "same values" + (f"; noted: {notes[0]}" if note else "")


def turned(array: np.ndarray) -> np.ndarray:
    """An array (i, j, k) as it is read: (D, H, W)."""
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def peak_mib(path: Path, **options: Any) -> float:
    """Read a file that is refused; how much memory that took at its highest, beside what was there before."""
    from medgan.errors import MedganError

    status = Path("/proc/self/status")
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back
    before = _kib(status, "VmRSS")
    try:
        read_image(path, **options)
    except MedganError:
        return (_kib(status, "VmHWM") - before) / 1024
    raise AssertionError("the file was read")


def _kib(status: Path, field: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field))


ROWS = [
    {"case_id": f"{domain}{index}", "subject_id": f"P{index}", "domain": domain, "image": f"{domain}{index}.png"}
    for domain in ("day", "dusk")
    for index in range(6)
]


def study(
    folder: Path, rows: list[dict[str, Any]] | None = None, *, text: str | bytes | None = None, **keys: Any
) -> Path:
    """A study of six subjects in two domains, each photographed once in both.

    Args:
        folder: Where; images that a row names and that are not there are made.
        rows: Of its manifest.
        text: The manifest's text, in place of rows.
        keys: Of the study file, in place of the usual ones.
    """
    rows = [dict(row) for row in ROWS] if rows is None else rows
    for index, row in enumerate(rows):
        name = str(row.get("image", ""))
        if name.endswith(".png") and ".." not in name and not name.startswith("/") and not (folder / name).exists():
            picture(folder / name, seed=index + 1)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [",".join(columns), *(",".join(str(row.get(column, "")) for column in columns) for row in rows)]
    content = "\n".join(lines) + "\n" if text is None else text
    (folder / "manifest.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = {
        "name": "trial",
        "question": "Is it refused?",
        "manifest": "manifest.csv",
        "data_root": ".",
        "output": "out",
        "preparation": {"preset": "photograph"},
        "direction": {"source": "day", "target": "dusk"},
        "folds": 2,
        "seeds": [0],
        "device": "cpu",
        "translators": [{"name": "histogram", "method": "histogram_matching"}],
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings | keys, sort_keys=False))
    return path


def task(**keys: Any) -> dict[str, Any]:
    """A task of the study: segmentation, or what the keys say."""
    return {"name": "task", "task": "segmentation", "label": "mask", "arms": [{"name": "target-only"}]} | keys


def findings(path: Path) -> list[Finding]:
    """All that ``medgan check`` says."""
    return check_study(read_study(path))


def found(path: Path, code: str) -> Seen:
    """The first finding of a code among all that ``medgan check`` says."""
    all_found = findings(path)
    chosen = [finding for finding in all_found if finding.code == code]
    require(chosen, f"{code} is among the findings; they are {[str(one) for one in all_found]}")
    return Seen(chosen[0].severity, code, str(chosen[0]))


def alone(path: Path, code: str) -> Seen:
    """The only error of a study; whatever else is wrong would be a false alarm."""
    errors = [finding for finding in findings(path) if finding.severity == "error"]
    require(len(errors) == 1, f"one error; there are {[str(one) for one in errors]}")
    return found(path, code)


def command(*words: str | Path) -> tuple[int, str]:
    """Run the command line in this process; exit status and what it printed. An error of medgan's comes through."""
    from typer.testing import CliRunner

    from medgan.cli import app

    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output
