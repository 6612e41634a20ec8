"""Options that several commands share, and which of them go together."""

from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(help="study file (.yaml)", show_default=False)]
Profile = Annotated[str | None, typer.Option(help="profile of the study file")]
Output = Annotated[Path | None, typer.Option(help="folder for the results, in place of the study's")]
Quiet = Annotated[bool, typer.Option("--quiet", help="plain lines, no progress bars")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="leave out cases that cannot be used, and go on after a failed job")
]
Fold = Annotated[int, typer.Option(help="outer fold, counted from 0")]
Seed = Annotated[int, typer.Option(help="seed of the training")]
Translator = Annotated[str, typer.Option(help="translator of the study")]


def only_with_run(**options: object) -> None:
    """Refuse options that a study file would leave unheard.

    Raises:
        typer.BadParameter: If one is given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise typer.BadParameter(f"{', '.join(given)}: not beside a study file, which says this itself")


def all_given(**options: Path | None) -> dict[str, Path]:
    """Options that a command needs where it has no study file.

    Raises:
        typer.BadParameter: If one is missing.
    """
    missing = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is None]
    if missing:
        raise typer.BadParameter(f"without a study file this needs {', '.join(missing)}")
    return {name: value for name, value in options.items() if value is not None}
