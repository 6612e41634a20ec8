"""Files that a path may have meant: of another separator, capital letter or Unicode form."""

import functools
import unicodedata
from pathlib import Path, PureWindowsPath


def nearest_file(root: Path, text: str) -> str:
    """Say which file of a data root a path that leads nowhere most likely means.

    Args:
        root: The data root.
        text: A relative path that does not exist.

    Returns:
        A remedy such as ``"write images/a.png"``, or nothing where no file is like it.
    """
    place = root
    for part in PureWindowsPath(text).parts:
        found = part if (place / part).exists() else _names(place).get(_folded(part))
        if found is None:
            return ""
        place = place / found
    return f"write {place.relative_to(root).as_posix()}"


@functools.lru_cache(maxsize=64)
def _names(folder: Path) -> dict[str, str]:
    try:
        return {_folded(entry.name): entry.name for entry in folder.iterdir()}
    except OSError:
        return {}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
