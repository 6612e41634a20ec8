"""Tensors and records in safetensors and JSON, each with its SHA-256; nothing is ever unpickled."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from medgan.errors import CheckpointError
from medgan.training.disk import as_os_error

_PICKLE_SUFFIXES = frozenset({".pth", ".pt", ".pkl", ".pickle", ".ckpt", ".bin", ".tar", ".joblib"})
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors, down to the disk, and return the file's SHA-256."""
    # Tied and strided tensors become tensors of their own: safetensors refuses shared memory.
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(own, path)
    except SafetensorError as error:
        raise as_os_error(error) from error
    sync(path)
    return sha256(path)


def read_tensors(path: Path, *, digest: str) -> dict[str, Tensor]:
    """Read tensors onto the CPU after checking the file's SHA-256.

    Raises:
        CheckpointError: C002, if the file is missing or is not what was written; C003, if it is a pickle.
    """
    if not path.is_file():
        raise CheckpointError("C002", "a file is missing", where=str(path))
    refuse_pickle(path)
    found = sha256(path)
    if found != digest:
        raise CheckpointError(
            "C002", "the file is damaged", where=str(path), got=f"SHA-256 {found[:12]}", expected=digest[:12]
        )
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise CheckpointError("C002", "not a safetensors file", where=str(path), got=str(error)) from error


def write_record(path: Path, record: Mapping[str, object]) -> None:
    """Write a JSON record with its own digest, down to the disk, and put it in place in one move."""
    text = json.dumps({**record, "sha256": _digest_of(record)}, indent=2, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_record(path: Path) -> dict[str, object]:
    """Read a JSON record and check its own digest.

    Raises:
        CheckpointError: C002, if it is missing, cut short or changed; C003, if it is a pickle.
    """
    if not path.is_file():
        raise CheckpointError("C002", "a file is missing", where=str(path))
    refuse_pickle(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        digest = record.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError("C002", "the record is damaged", where=str(path), got=str(error)) from error
    if digest != _digest_of(record):
        raise CheckpointError(
            "C002", "the record was changed after it was written", where=str(path), expected=f"SHA-256 {digest}"
        )
    return record


def refuse_pickle(path: Path) -> None:
    """Refuse a file that may execute code when it is loaded; it is looked at, never loaded.

    Raises:
        CheckpointError: C003, if its name or its first bytes are those of a pickle or of torch.save.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix.lower() in _PICKLE_SUFFIXES or start.startswith(_PICKLE_STARTS):
        raise CheckpointError(
            "C003",
            "a pickle can execute code when it is loaded, so it was not opened",
            where=str(path),
            expected="safetensors and JSON as medgan writes them",
            remedy="where you trust the file, convert its tensors to safetensors; `medgan import-weights` takes "
            "generators of the published CycleGAN and pix2pix code",
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file or a folder."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest_of(record: Mapping[str, object]) -> str:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
