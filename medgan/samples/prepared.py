"""One prepared case on disk: memory-mapped arrays and a sidecar that proves them whole."""

import errno
import hashlib
import json
import os
import shutil
import socket
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medgan.errors import StoreError
from medgan.manifests.manifest import Case
from medgan.transforms.trace import Prepared, Trace

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer[Any]]
Field = npt.NDArray[np.bool_]

_SIDECAR = "meta.json"


@dataclass(frozen=True, kw_only=True)
class PreparedCase:
    """A case whose prepared arrays lie in the store; they are mapped when first looked at.

    Args:
        case: Its row in the manifest.
        key: Its key in the store.
        folder: Where its arrays lie.
        trace: What preparation did, for the inverse.
        shape: Shape of the pixels, (C, H, W) or (C, D, H, W).
        field_shares: Share of each slice that lies in the field of view or the foreground, in [0, 1].
        label_values: Values that occur in its label image, rising; None without a label image.
        pixels_digest: SHA-256 of the file with the pixels: equal arrays of two cases have the same.
        label_digest: The same of its labels; None without a label image.
        repeated: How often its one stored channel is shown; ``shape`` has that many.
    """

    case: Case
    key: str
    folder: Path
    trace: Trace
    shape: tuple[int, ...]
    field_shares: tuple[float, ...]
    label_values: tuple[int, ...] | None
    pixels_digest: str
    label_digest: str | None
    repeated: int = 1

    @property
    def slices(self) -> int:
        """Number of slices: 1 for a photograph, D for a volume."""
        return 1 if len(self.shape) == 3 else self.shape[1]

    @cached_property
    def pixels(self) -> Pixels:
        """Pixels in [-1, 1], read-only map of shape (C, H, W) or (C, D, H, W)."""
        stored = self._mapped("pixels")
        return stored if self.repeated == 1 else np.broadcast_to(stored, self.shape)

    @cached_property
    def label(self) -> Labels | None:
        """Labels as in the mask's file, read-only map of shape (H, W) or (D, H, W); None without a mask."""
        return None if self.label_values is None else self._mapped("label")

    @cached_property
    def field(self) -> Field:
        """What lies in the field of view or the foreground, read-only map of shape (H, W) or (D, H, W)."""
        return self._mapped("field")

    def _mapped(self, name: str) -> npt.NDArray[Any]:
        try:
            return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (OSError, ValueError, EOFError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE):
                raise StoreError(
                    "P002",
                    "the system maps no more files",
                    where=self.folder.name,
                    got=error.strerror or "",
                    remedy="raise vm.max_map_count and ulimit -n, or train on fewer cases at a time",
                ) from error
            raise damaged(self.folder, f"{name}.npy cannot be read") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("pixels", "label", "field")}


def save_prepared(prepared: Prepared, folder: Path, *, source: str) -> None:
    """Write a prepared case under a temporary name and move it to its place in one step.

    Whoever comes second with the same case leaves the first one's files as they are.

    Args:
        prepared: The arrays and their trace.
        folder: Where the case shall lie.
        source: Digest of the relative name of what was prepared; names and ids themselves are not written.
    """
    temporary = folder.parent / f".{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}.tmp"
    temporary.mkdir(parents=True)
    try:
        _write(prepared, temporary, source=source)
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / _SIDECAR).is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_prepared(case: Case, key: str, folder: Path, *, verify: bool = True) -> PreparedCase:
    """Open a prepared case.

    Args:
        case: Its row in the manifest.
        key: Its key in the store.
        folder: Where it lies.
        verify: Read every array and compare its SHA-256; otherwise only the sizes are compared.

    Raises:
        StoreError: P000 if it is not there, P001 if a file is damaged.
    """
    if not folder.is_dir():
        raise StoreError("P000", "not in the prepared store", where=key, remedy="prepare the study first")
    meta = _sidecar(folder)
    for name, facts in meta["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            raise damaged(folder, f"{name} is missing or has another size than it was written with")
        if verify and _digest(path) != facts["sha256"]:
            raise damaged(folder, f"{name} has another SHA-256 than it was written with")
    values = meta["label_values"]
    return PreparedCase(
        case=case,
        key=key,
        folder=folder,
        trace=Trace.from_json(meta["trace"]),
        shape=tuple(meta["shape"]),
        field_shares=tuple(meta["field_shares"]),
        label_values=None if values is None else tuple(values),
        pixels_digest=meta["files"]["pixels.npy"]["sha256"],
        label_digest=None if values is None else meta["files"]["label.npy"]["sha256"],
    )


def damaged(folder: Path, what: str) -> StoreError:
    """The error for a case whose files are not as they were written."""
    return StoreError(
        "P001",
        "a prepared case is damaged",
        where=folder.name,
        got=what,
        remedy=f"delete the folder {folder} and prepare again; if it comes back, check the disk",
    )


def sweep(root: Path) -> None:
    """Remove what processes of this machine that have ended left half-written."""
    for path in root.glob(f"*/.{socket.gethostname()}-*.tmp"):
        pid = int(path.name.rsplit("-", 2)[1])
        if not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(path, ignore_errors=True)


def _write(prepared: Prepared, folder: Path, *, source: str) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {"pixels.npy": prepared.pixels, "field.npy": prepared.field}
    if prepared.label is not None:
        arrays["label.npy"] = prepared.label
    for name, array in arrays.items():
        np.save(folder / name, np.ascontiguousarray(array), allow_pickle=False)
    field = prepared.field.reshape(prepared.pixels.shape[1] if prepared.pixels.ndim == 4 else 1, -1)
    meta = {
        "shape": list(prepared.pixels.shape),
        "field_shares": [float(share) for share in field.mean(axis=1)],
        "label_values": None if prepared.label is None else _values(prepared.label),
        "trace": prepared.trace.to_json(),
        "source": source,
        "files": {name: {"sha256": _digest(folder / name), "bytes": (folder / name).stat().st_size} for name in arrays},
    }
    (folder / _SIDECAR).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def _values(label: npt.NDArray[np.generic]) -> list[int]:
    """Values that occur, rising; counted where they are few, since sorting a volume takes a second."""
    flat = label.ravel().astype(np.int64)
    low, high = int(flat.min()), int(flat.max())
    if high - low > 65_535:
        return [int(value) for value in np.unique(flat)]
    return [int(place) + low for place in np.flatnonzero(np.bincount(flat - low))]


def _sidecar(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((folder / _SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(folder, f"{_SIDECAR} cannot be read") from error
    if not isinstance(meta, dict) or not {"shape", "field_shares", "label_values", "trace", "files"} <= meta.keys():
        raise damaged(folder, f"{_SIDECAR} lacks entries")
    return meta


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
