"""Beyond the list: tables and study files that are odd or made to do harm."""

import time
from pathlib import Path

from bad_inputs.making import ROWS, found, nifti, study
from bad_inputs.trial import HANDLED, Seen, bad_input, refused, require
from medgan.manifests.manifest import read_manifest
from medgan.settings.study import read_study

HEADER = "case_id,subject_id,domain,image"


def _table(folder: Path, text: str) -> int:
    (folder / "manifest.csv").write_text(text, newline="")
    return len(read_manifest(folder / "manifest.csv", root=folder))


@bad_input(None, gives="M002")
def no_rows(folder: Path) -> Seen:
    """A manifest without rows, and an empty one."""
    return refused([lambda text=text: _table(folder, text) for text in (f"{HEADER}\n", "")], codes="M002")


@bad_input(None, gives=HANDLED)
def many_columns(folder: Path) -> str:
    """A manifest with 20,000 columns."""
    began = time.monotonic()
    columns = ",".join(f"c{index}" for index in range(20_000))
    require(_table(folder, f"{HEADER},{columns}\na,A,day,a.png{',' * 20_000}\n") == 1, "one case")
    require(time.monotonic() - began < 5, "in less than 5 seconds")
    return "read"


@bad_input(None, gives="M002")
def open_quotation(folder: Path) -> Seen:
    """A quotation mark that is never closed, and a field of 200,000 characters."""
    texts = [f'{HEADER}\n"a,A,day,a.png\nb,B,day,b.png\n', f"{HEADER}\n{'a' * 200_000},A,day,a.png\n"]
    return refused([lambda text=text: _table(folder, text) for text in texts], codes="M002")


@bad_input(None, gives=HANDLED)
def old_line_ends(folder: Path) -> str:
    """A manifest with the line ends of an old Mac."""
    require(_table(folder, f"{HEADER}\ra,A,day,a.png\rb,B,day,b.png\r") == 2, "two cases")
    return "two rows read"


@bad_input(None, gives="R002")
def manifest_as_image(folder: Path) -> Seen:
    """The manifest itself named as an image."""
    return found(study(folder, [ROWS[0] | {"image": "manifest.csv"}, *ROWS[1:]]), "R002")


@bad_input(None, gives="R008")
def negative_volume(folder: Path) -> Seen:
    """`volume: -1`."""
    nifti(folder / "x.nii")
    return found(study(folder, [ROWS[0] | {"image": "x.nii", "volume": -1}, *ROWS[1:]]), "R008")


def _prefixed(folder: Path, text: str) -> None:
    path = study(folder)
    path.write_text(text + path.read_text())
    began = time.monotonic()
    try:
        read_study(path)
    finally:
        require(time.monotonic() - began < 5, "in less than 5 seconds")


@bad_input(None, gives="S001")
def billion_laughs(folder: Path) -> None:
    """YAML whose anchors multiply to a thousand million entries."""
    lines = ["citations: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x{index}: &a{index} [{', '.join([f'*a{index - 1}'] * 10)}]" for index in range(1, 9)]
    _prefixed(folder, "\n".join(lines) + "\n")


@bad_input(None, gives="S001")
def command_in_yaml(folder: Path) -> None:
    """YAML that would run a command."""
    trace = folder / "owned"
    try:
        _prefixed(folder, f'a: !!python/object/apply:os.system ["touch {trace}"]\n')
    finally:
        require(not trace.exists(), "nothing was run")


@bad_input(None, gives="S001")
def deep_yaml(folder: Path) -> Seen:
    """YAML and JSON nested 20,000 deep."""
    (folder / "s.yaml").write_text("a: " + "[" * 20_000 + "]" * 20_000)
    (folder / "s.json").write_text('{"a": ' + "[" * 200_000 + "]" * 200_000 + "}")
    return refused([lambda name=name: read_study(folder / name) for name in ("s.yaml", "s.json")], codes="S001")


@bad_input(None, gives="S001")
def huge_yaml(folder: Path) -> None:
    """A study file of 10 MB."""
    _prefixed(folder, "# no study needs so many words\n" * 330_000)


@bad_input(None, gives="S001")
def nul_in_path(folder: Path) -> None:
    """A NUL in a path of a study file."""
    read_study(study(folder, data_root="a\0b"))


@bad_input(None, gives="S001")
def key_twice(folder: Path) -> None:
    """A key that stands twice in a study file."""
    path = study(folder)
    path.write_text(path.read_text() + "folds: 3\n")
    read_study(path)
