"""Light things stay light: what ``import medgan`` and the help must not load."""

import subprocess
import sys

import pytest
from tiny_studies import clean_environment

HEAVY = {"torch", "monai", "snakemake", "SimpleITK", "pandas", "matplotlib", "numpy", "nibabel", "pydicom", "scipy"}


def loaded_by(code):
    """Top-level modules loaded after some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys; sys.stderr.write(chr(10) + ' '.join(sys.modules))"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.splitlines()[-1].split()}


def help_of(*words):
    arguments = [*words, "--help"]
    return f"""
import sys
sys.argv = ["medgan", *{arguments!r}]
from medgan.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize(
    "code",
    [
        "import medgan",
        "import medgan; dir(medgan)",
        help_of(),
        help_of("run"),
        help_of("translate"),
        "from medgan.settings.study import read_study",
    ],
    ids=["import", "dir", "help", "help of run", "help of translate", "settings"],
)
def test_nothing_heavy_is_loaded(code):
    assert loaded_by(code) & HEAVY == set()


def test_planning_and_waiting_load_no_network():
    """``medgan run`` waits for days beside the jobs that need the memory."""
    code = "import medgan.workflow.plan, medgan.workflow.launch, medgan.workflow.display, medgan.training.lock"
    assert loaded_by(code) & {"torch", "monai", "snakemake", "SimpleITK", "matplotlib"} == set()


def test_metrics_load_no_torch():
    assert loaded_by("import medgan.metrics.catalogue") & {"torch", "monai"} == set()


def test_the_public_names_are_there():
    import medgan

    for name in medgan.__all__:
        assert getattr(medgan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = medgan.nothing
