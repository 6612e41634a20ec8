"""The errors a user can meet: what, where, got, expected, remedy, and a stable code."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SHOW_PATHS = "MEDGAN_SHOW_PATHS"
"""Environment variable: set to 1 it lets messages name files of the study, which may be named after patients."""

HIDDEN = "(file not shown)"
"""What stands in a message in place of a file's name."""


class MedganError(Exception):
    """An error with a stable code that says how to mend it.

    Args:
        code: Stable code such as ``"G003"``; documented, never reused.
        what: What is wrong, in one clause.
        where: File, row, case or key that is at fault.
        got: What was found there.
        expected: What was expected instead.
        remedy: What the user can do.

    Attributes:
        path: The file at fault, where the message names the case in its place; empty otherwise.

    Example:
        >>> str(GeometryError("G003", "shapes differ", where="case BR012", got="(155, 240, 240)",
        ...                   expected="(155, 256, 256)", remedy="resample it"))
        'GeometryError[G003]: case BR012: shapes differ; got (155, 240, 240); expected (155, 256, 256); resample it'
    """

    def __init__(
        self, code: str, what: str, *, where: str = "", got: str = "", expected: str = "", remedy: str = ""
    ) -> None:
        self.code, self.what, self.where = code, what, where
        self.got, self.expected, self.remedy = got, expected, remedy
        self.path = ""
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [
            f"{self.where}: {self.what}" if self.where else self.what,
            f"got {self.got}" if self.got else "",
            f"expected {self.expected}" if self.expected else "",
            self.remedy,
        ]
        return printable(f"{type(self).__name__}[{self.code}]: " + "; ".join(part for part in parts if part))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _rebuild, (type(self), self.code, self.what, self.where, self.got, self.expected, self.remedy)


def printable(text: str) -> str:
    r"""Text as one line, with nothing that moves a terminal's cursor: names of files and headers come from anywhere.

    Example:
        >>> printable("a\nb\x1b[2J")
        'a b?[2J'
    """
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


class SettingsError(MedganError):
    """A study file or a recipe is wrong (S...)."""


class ManifestError(MedganError):
    """A manifest row, a split or a domain is wrong (M...)."""


class ReadError(MedganError):
    """A file cannot be read without losing or guessing something (R...)."""


class WriteError(MedganError):
    """A result cannot be written (W...)."""


class GeometryError(MedganError):
    """Shapes, affines or spacings do not fit (G...)."""


class IntensityError(MedganError):
    """Grey values, units or windows do not fit (I...)."""


class DiscoverError(MedganError):
    """A name is not among the choices (D...)."""


class StoreError(MedganError):
    """The prepared store is damaged or does not fit (P...)."""


class CheckpointError(MedganError):
    """A checkpoint is damaged or belongs to something else (C...)."""


class TrainingError(MedganError):
    """Training cannot go on (T...)."""


class RunError(MedganError):
    """A run directory or a job is in a state it should not be in (J...)."""


class StatisticsError(MedganError):
    """A score or an interval cannot be computed from what was given (N...)."""


@contextmanager
def about(where: str, files: Mapping[str, Path | None]) -> Iterator[None]:
    """Let whatever goes wrong inside name a case, and not its files: their names often tell who the patient is.

    The error stays the same object; its attribute ``path`` keeps the file. With :data:`SHOW_PATHS` set, the message
    names both.

    Args:
        where: The case, such as ``"row 12 (case BR012)"``.
        files: Its files or folders by what they are, such as ``{"image": ..., "mask": ...}``.

    Example:
        >>> with about("row 2 (case A)", {"image": Path("DOE^JOHN/1.png")}):
        ...     raise ReadError("R001", "the file has zero bytes", where="DOE^JOHN/1.png")
        Traceback (most recent call last):
        medgan.errors.ReadError: ReadError[R001]: row 2 (case A), image: the file has zero bytes
    """
    try:
        yield
    except MedganError as error:
        hits = [(len(str(path)), name) for name, path in files.items() if path and str(path) in error.where]
        named = max(hits)[1] if hits else ""
        error.path = error.where if named else error.path
        place = f"{where}, {named}" if named else where
        if named:
            error.where = f"{place} ({error.where})" if paths_shown() else place
        elif where not in error.where:
            error.where = f"{where}, {error.where}" if error.where else where
        hide_paths(error, (path for path in files.values() if path is not None))
        raise
    except Exception as error:
        hide_paths(error, (path for path in files.values() if path is not None))
        raise


def hide_paths(error: BaseException, paths: Iterable[Path | str], *, names: bool = True) -> None:
    """Take names of files out of an error's text and out of those that led to it, unless they may be shown.

    Args:
        error: Changed in place.
        paths: Files and folders.
        names: Hide the bare names of these files, and of those below these folders, too.
    """
    if paths_shown():
        return
    places = list(paths)
    whole, bare = path_pattern(places), _name_pattern(places) if names else None
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        _hide(one, whole, bare)
        one = one.__cause__ or one.__context__


def path_pattern(paths: Iterable[Path | str]) -> re.Pattern[str] | None:
    """What finds paths, and what lies below them, in a text; None where there are none.

    Args:
        paths: Files and folders; one with a slash at its end is found only where something follows.
    """
    texts = sorted({str(path) for path in paths if len(str(path)) > 1}, key=len, reverse=True)
    below = r"[^;\n'\"]"
    found = [re.escape(text) + (f"{below}+" if text.endswith("/") else f"(?:/{below}*)?") for text in texts]
    return re.compile(rf"(?<!\w)(?:{'|'.join(found)})(?!\w)") if found else None


def without_paths(text: str, pattern: re.Pattern[str] | None) -> str:
    """A text with :data:`HIDDEN` in place of what a pattern finds."""
    return text if pattern is None else pattern.sub(HIDDEN, text)


def _name_pattern(paths: Iterable[Path | str]) -> re.Pattern[str] | None:
    """What finds the bare names of files and of all that lies below folders."""
    names: set[str] = set()
    for path in map(Path, paths):
        names.update(part.name for part in path.rglob("*")) if path.is_dir() else names.add(path.name)
    texts = sorted((name for name in names if len(name) > 3), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, texts))})(?!\w)") if texts else None


def paths_shown() -> bool:
    """Whether the user has asked for names of files in messages."""
    return os.environ.get(SHOW_PATHS, "") not in ("", "0")


def if_shown(text: str) -> str:
    """A part of a message that names files, or nothing where they may not be shown."""
    return text if paths_shown() else ""


def _hide(error: BaseException, whole: re.Pattern[str] | None, names: re.Pattern[str] | None) -> None:
    if isinstance(error, MedganError):
        for field in ("what", "where", "got", "expected", "remedy"):
            setattr(error, field, without_paths(getattr(error, field), whole))
        # Bare names only where readers quote them: a folder may be called "series".
        error.where, error.got = without_paths(error.where, names), without_paths(error.got, names)
        error.args = (str(error),)
        return
    if isinstance(error, OSError) and error.filename is not None:
        error.filename = HIDDEN
    error.args = tuple(
        without_paths(without_paths(part, whole), names) if isinstance(part, str) else part for part in error.args
    )


def _rebuild(
    kind: type[MedganError], code: str, what: str, where: str, got: str, expected: str, remedy: str
) -> MedganError:
    return kind(code, what, where=where, got=got, expected=expected, remedy=remedy)
