"""A bad input on trial: how it is made, what medgan must do with it, and what it does."""

import importlib
import pkgutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from medgan.errors import MedganError

HANDLED = "handled"
_MARK = "_bad_input"


class Seen(NamedTuple):
    """What medgan did.

    Args:
        outcome: ``"error"``, ``"warning"`` or ``"handled"``; ``"crash"`` for any exception without a code.
        code: Of an error or warning.
        message: In full; what was checked, where the input was handled.
    """

    outcome: str
    code: str
    message: str


Try = Callable[[Path], Seen | str | None]


@dataclass(frozen=True, kw_only=True)
class BadInput:
    """One bad input.

    Args:
        row: Number in the list of bad inputs; None for one beyond it.
        what: The input, in words.
        gives: What medgan must do: a code for an error, ``"warning M028"`` for a warning, or ``"handled"``.
        make_and_try: Makes it in an empty folder and puts it through a public function.
    """

    row: int | None
    what: str
    gives: str
    make_and_try: Try

    @property
    def name(self) -> str:
        """Its name in a test, such as ``"1-truncated_gzip"``."""
        return f"{'beyond' if self.row is None else self.row}-{self.make_and_try.__name__}"


def bad_input(row: int | None, *, gives: str) -> Callable[[Try], Try]:
    """Mark a function that makes a bad input in a folder and tries it; its docstring says in one line what that is.

    The function lets medgan's error through, or returns a finding of a check, or says in words what it has checked.
    """

    def mark(make_and_try: Try) -> Try:
        what = str(make_and_try.__doc__).removesuffix(".")
        setattr(make_and_try, _MARK, BadInput(row=row, what=what, gives=gives, make_and_try=make_and_try))
        return make_and_try

    return mark


def bad_inputs() -> list[BadInput]:
    """Every bad input of this package, by row; those beyond the list last."""
    package = importlib.import_module(__package__)
    found = []
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        content = vars(importlib.import_module(f"{__package__}.{module}")).values()
        found += [getattr(item, _MARK) for item in content if hasattr(item, _MARK)]
    return sorted(found, key=lambda one: (one.row is None, one.row or 0))


def try_one(one: BadInput) -> Seen:
    """Make a bad input in a temporary folder and see what medgan does with it."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning of a library is no message that a user could understand
        folder = Path(name).resolve()
        try:
            found = one.make_and_try(folder)
            seen = found if isinstance(found, Seen) else Seen(HANDLED, "", found or "read without an error or a word")
        except MedganError as error:
            seen = Seen("error", error.code, str(error))
        except Exception as error:  # noqa: BLE001
            seen = Seen("crash", "", f"{type(error).__name__}: {error}")
        return seen._replace(message=seen.message.replace(f"{folder}/", "").replace(str(folder), "."))


def complaint(one: BadInput, seen: Seen) -> str:
    """How what was seen differs from what must be; empty where it does not."""
    kind, _, code = one.gives.rpartition(" ")
    fits = seen.outcome == (HANDLED if code == HANDLED else kind or "error") and (code in (seen.code, HANDLED))
    if fits:
        return ""
    return f"{one.name}: expected {one.gives}, got {seen.outcome} {seen.code}: {seen.message[:300]}"


def require(holds: Any, claim: str) -> None:
    """Refuse to call something handled of which a claim does not hold."""
    if not holds:
        raise AssertionError(f"not so: {claim}")


def refused(tries: Iterable[Callable[[], object]], *, codes: str) -> Seen:
    """Try several variants of one bad input; each must end in an error of one of these codes.

    Args:
        tries: Each reads a variant.
        codes: Codes with spaces between; the first error of the first of them is shown.
    """
    errors: list[MedganError] = []
    for index, attempt in enumerate(tries):
        try:
            attempt()
        except MedganError as error:
            require(error.code in codes.split(), f"variant {index} gives one of {codes}; got {error}")
            errors.append(error)
        else:
            raise AssertionError(f"variant {index} was read without an error")
    first = next(error for error in errors if error.code == codes.split()[0])
    return Seen("error", first.code, str(first))
