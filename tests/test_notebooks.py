"""The notebooks run from top to bottom, use public names only, and are kept without outputs."""

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest

import medgan

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL_S = 200  # about 15 on one idle core; the rest is for machines that do other things beside

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def imported_from_medgan(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "medgan")
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "medgan":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first_study"]


@every_notebook
def test_it_uses_public_names_only(path: Path) -> None:
    public = {f"medgan.{name}" for name in medgan.__all__}
    used = [name for cell in read(path).cells if cell.cell_type == "code" for name in imported_from_medgan(cell.source)]
    assert used
    assert set(used) <= public


@every_notebook
def test_it_is_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.multiprocess
@every_notebook
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = read(path)
    client = nbclient.NotebookClient(
        notebook, timeout=LONGEST_CELL_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own parts, which warn of each other
        client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
