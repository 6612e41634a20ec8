"""Tensors out of a file that torch.save wrote: the one place where a pickle is opened, and then for tensors alone."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medgan.errors import CheckpointError

_WRAPPED = "module."


def read_state_dict(path: Path, *, inside: str | None = None) -> dict[str, Tensor]:
    """Read a plain state dict, as ``torch.save(network.state_dict(), path)`` writes it.

    torch reads it with ``weights_only=True``, without whatever else was declared safe in this process: nothing in the
    file is called, and nothing is built but tensors in dicts and lists.

    Args:
        path: A ``.pth`` of this or an older torch.
        inside: Key under which a larger checkpoint keeps it; where there is no such key, the file is the state dict.

    Returns:
        float32 tensors by name, on the CPU, in the order in which they were saved.

    Raises:
        CheckpointError: C001, if there is no such file; C007, if it holds anything but named, finite, dense tensors.
    """
    if not path.is_file():
        raise CheckpointError("C001", "no such file", where=str(path), remedy="name a file that torch.save wrote")
    _refuse_packed(path)
    content = _loaded(path)
    if inside is not None and isinstance(content, dict):
        content = content.get(inside, content)
    if not isinstance(content, dict) or not content:
        raise _refused(path, type(content).__name__ if content else "nothing")
    named = {str(name).removeprefix(_WRAPPED): value for name, value in content.items()}
    wrong = [name for name, value in named.items() if not _is_plain(value)]
    if wrong or len(named) < len(content):
        raise _refused(path, f"{wrong[0]!r}: {type(named[wrong[0]]).__name__}" if wrong else "names that stand twice")
    tensors = {name: value.detach().float() for name, value in named.items()}
    infinite = [name for name, value in tensors.items() if not value.isfinite().all()]
    if infinite:
        raise _refused(path, f"values that are not finite in {infinite[0]!r}")
    return tensors


def _loaded(path: Path) -> Any:
    safe = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken or hostile file ends in many kinds of them
        raise _refused(path, _first_line(error)) from error
    finally:
        torch.serialization.add_safe_globals(safe)


def _first_line(error: Exception) -> str:
    """What torch refused, without its advice how to load the file all the same."""
    text = str(error)
    named = text.find("GLOBAL ")
    if named >= 0:
        return "a call of " + text[named:].removeprefix("GLOBAL ").split(" was not")[0]
    return f"{type(error).__name__}: {text.strip().partition(chr(10))[0][:120]}"


def _refuse_packed(path: Path) -> None:
    """Refuse a zip whose entries are packed: torch.save packs none, and a packed one may unfold without end."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise _refused(path, str(error)) from error
    if packed:
        raise _refused(path, f"a packed entry, {packed[0]!r}")


def _is_plain(value: object) -> bool:
    return type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided and not value.is_quantized  # type: ignore[attr-defined]


def _refused(path: Path, got: str) -> CheckpointError:
    return CheckpointError(
        "C007",
        "the file holds more, or other things, than named tensors; nothing in it was executed",
        where=str(path),
        got=got,
        expected="a plain state dict: torch.save(network.state_dict(), path)",
        remedy="save the state dict alone, where you trust the program that made the file",
    )
