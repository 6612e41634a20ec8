"""Writes docs/bad-inputs.md by making every bad input and trying it: ``python docs/make_bad_inputs.py``."""

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from bad_inputs.trial import HANDLED, BadInput, Seen, bad_inputs, complaint, try_one

PAGE = Path(__file__).with_name("bad-inputs.md")
SECTIONS = (
    ("Volumes", range(1, 20)),
    ("DICOM", range(20, 31)),
    ("Photographs and paths", range(31, 40)),
    ("Manifests and studies", range(40, 49)),
    ("The machine", range(49, 61)),
    ("Privacy, devices and long studies", range(61, 66)),
)
_HEAD = """# Bad inputs

What medgan does with inputs that are damaged, odd or hostile. Every row of these tables was made by running it
(`python docs/make_bad_inputs.py`); a test runs them again and compares. The message stands as a user sees it, with
folders taken out. An *error* stops the stage, or is listed by `medgan check` beside all others; a *warning* is listed
and stops nothing; *handled* means that the result was compared with what it must be, and what was noted with it.
[errors.md](errors.md) explains the codes.
"""
_TABLE = "| row | input | outcome | code | message |\n|---|---|---|---|---|\n"


def page(results: list[tuple[BadInput, Seen]]) -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    for title, rows in SECTIONS:
        parts.append(f"## {title}\n\n{_table([pair for pair in results if pair[0].row in rows])}".rstrip() + "\n")
    parts.append(f"## Beyond the list\n\n{_table([pair for pair in results if pair[0].row is None])}")
    return "\n".join(parts)


def missing_rows(results: list[tuple[BadInput, Seen]]) -> list[int]:
    """Rows of the list that nothing here tries."""
    return [row for _, rows in SECTIONS for row in rows if row not in _rows(results)]


def main() -> None:
    """Try all, and write the page only where each is as it must be."""
    results = [(one, try_one(one)) for one in bad_inputs()]
    wrong = [text for one, seen in results if (text := complaint(one, seen))]
    wrong += [f"row {row}: nothing tries it" for row in missing_rows(results)]
    if wrong:
        sys.exit(
            f"{len(wrong)} of {len(results)} are not as they must be; the page is left as it was:\n" + "\n".join(wrong)
        )
    PAGE.write_text(page(results), encoding="utf-8")


def _rows(results: list[tuple[BadInput, Seen]]) -> set[int | None]:
    return {one.row for one, _ in results}


def _table(results: list[tuple[BadInput, Seen]]) -> str:
    return _TABLE + "".join(line(one, seen) for one, seen in results) if results else ""


def line(one: BadInput, seen: Seen) -> str:
    """One row of a table."""
    code = f"`{seen.code}`" if seen.code else ""
    row = "" if one.row is None else one.row
    message = _one_line(seen.message)
    if seen.outcome != HANDLED:
        message = f"`` {message} ``" if "`" in message else f"`{message}`"
    return f"| {row} | {_one_line(one.what)} | {seen.outcome} | {code} | {message} |\n"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    main()
