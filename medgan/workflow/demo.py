"""The demo: a generated study and its file, written where the user says."""

import shutil
from pathlib import Path

SUBJECTS = 72


def make_demo(folder: Path) -> Path:
    """Write the phantoms and the study file of the demo, unless they are there.

    Returns:
        The study file.
    """
    from medgan.phantoms import fundus

    phantoms = folder / "phantoms"
    if not (phantoms / "manifest.csv").exists():
        shutil.rmtree(phantoms, ignore_errors=True)
        fundus.write_study(phantoms, seed=0, subjects=SUBJECTS, size_px=128)
    study = folder / "demo.yaml"
    shutil.copyfile(Path(__file__).with_name("demo.yaml"), study)
    return study
