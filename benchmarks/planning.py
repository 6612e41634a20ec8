"""How long a large study takes to plan and to check, without any image being read.

    python benchmarks/planning.py [--cases 10000] [--folds 5] [--seeds 3] [--arms 12]

Writes a manifest of that many rows with files of one byte, a study with as many jobs as folds, seeds and arms make, and
times what `medgan run` does before the first job and what each job does before its work.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from medgan.manifests.checks import check_table
from medgan.settings.study import Study, read_study
from medgan.stages.needs import needs_of
from medgan.workflow.launch import states
from medgan.workflow.plan import plan_study, write_plan


def write_study(folder: Path, *, cases: int, folds: int, seeds: int, arms: int) -> Study:
    """A study of unpaired volumes in two domains, four cases to a subject."""
    (folder / "data").mkdir()
    rows = ["case_id,subject_id,domain,image,mask"]
    for number in range(cases):
        for kind in ("image", "mask"):
            (folder / "data" / f"{number}_{kind}.nii").write_bytes(f"{number}{kind}".encode())
        domain = "mr" if number % 2 else "ct"
        rows.append(f"c{number:06d},s{number // 4:06d},{domain},{number}_image.nii,{number}_mask.nii")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    images = [{"name": f"arm{number}", "images": f"t{number % 3}", "use": "beside"} for number in range(arms - 1)]
    task = {"name": "organ", "task": "segmentation", "label": "mask", "mask_values": [1], "metrics": ["dice"]}
    settings = {
        "name": "large",
        "question": "How long does it take to plan?",
        "manifest": "cases.csv",
        "data_root": "data",
        "output": "out",
        "preparation": {"preset": "mr"},
        "direction": {"source": "ct", "target": "mr"},
        "folds": folds,
        "seeds": list(range(seeds)),
        "translators": [{"name": f"t{number}", "method": "cyclegan"} for number in range(3)],
        "tasks": [{**task, "target_cases": [20, "all"], "arms": [{"name": "target-only"}, *images]}],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    return read_study(folder / "study.yaml")


def timed(what: str, act: Callable[[], object]) -> None:
    """Print how long something takes."""
    began = time.perf_counter()
    act()
    print(f"{what}: {time.perf_counter() - began:.2f} s", flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    for name, value in {"cases": 10_000, "folds": 5, "seeds": 3, "arms": 12}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        study = write_study(Path(name), **vars(given))
        jobs = plan_study(study)
        print(f"{given.cases} rows, {len(jobs)} jobs")
        timed("plan", lambda: plan_study(study))
        timed("states of all jobs", lambda: states(study, jobs))
        timed(
            "check of the table and the files",
            lambda: check_table(study.manifest, root=study.data_root, needs=needs_of(study)),
        )
        write_plan(study, jobs)
        snakefile = Path(sys.modules["medgan.workflow.launch"].__file__ or "").with_name("Snakefile")
        words = ["-m", "snakemake", "--snakefile", snakefile, "--directory", study.output, "--cores", "1"]
        dry = [sys.executable, *map(str, words), "--dry-run", "--quiet", "all"]
        timed("Snakemake's graph", lambda: subprocess.run(dry, check=True, capture_output=True))


if __name__ == "__main__":
    main()
