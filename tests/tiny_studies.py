"""Studies that are small enough to be run whole in a test."""

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TINY_CYCLEGAN: dict[str, Any] = {
    "total_steps": 2,
    "crop_px": 32,
    "generator_width": 4,
    "blocks": 1,
    "discriminator_width": 4,
    "patch": 16,
    "pool_size": 4,
}


def lesion_settings() -> dict[str, Any]:
    """Dermoscopy made like clinical photographs, and lesions segmented: every kind of job but ``measure``."""
    return {
        "name": "lesions",
        "question": "Does it help?",
        "manifest": "phantoms/manifest.csv",
        "data_root": "phantoms",
        "output": "out",
        "preparation": {"preset": "photograph"},
        "direction": {"source": "dermoscopy", "target": "clinical"},
        "folds": 2,
        "run_folds": [0],
        "seeds": [0],
        "device": "cpu",
        "precision": "fp32",
        "margin": 0.02,
        "primary": "lesion/translated/dice",
        "translators": [
            {"name": "histogram", "method": "histogram_matching"},
            {"name": "cyclegan", "method": "cyclegan", "recipe": TINY_CYCLEGAN},
        ],
        "tasks": [
            {
                "name": "lesion",
                "task": "segmentation",
                "label": "mask",
                "mask_values": [1],
                "recipe": {"total_steps": 2, "batch_size": 2, "width": 8},
                "tested_on": ["cyclegan"],
                "metrics": ["dice"],
                "arms": [
                    {"name": "target-only"},
                    {"name": "transfer", "images": "identity", "use": "before"},
                    {"name": "translated", "images": "cyclegan", "use": "beside"},
                ],
            }
        ],
    }


def brain_settings() -> dict[str, Any]:
    """T1 made like FLAIR where the truth is known; the methods that learn without a gradient."""
    return {
        "name": "brains",
        "question": "How near does it come?",
        "manifest": "phantoms/manifest.csv",
        "data_root": "phantoms",
        "output": "out",
        "preparation": {"preset": "mr"},
        "direction": {"source": "t1", "target": "flair"},
        "stratify": "none",
        "folds": 2,
        "run_folds": [0],
        "seeds": [0],
        "device": "cpu",
        "precision": "fp32",
        "primary": "similarity/histogram/ssim",
        "translators": [{"name": "histogram", "method": "histogram_matching"}],
        "similarity": ["ssim", "mae"],
    }


def write_settings(folder: Path, settings: dict[str, Any], **changes: Any) -> Path:
    """Write a study file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**settings, **changes}, sort_keys=False), encoding="utf-8")
    return path


def lesion_study(folder: Path, *, subjects: int = 8, **changes: Any) -> Path:
    """Phantoms of lesions at 32 px and their study file."""
    from medgan.phantoms import lesion

    lesion.write_study(folder / "phantoms", seed=0, subjects=subjects, size_px=32)
    return write_settings(folder, lesion_settings(), **changes)


def brain_study(folder: Path, **changes: Any) -> Path:
    """Phantoms of six brains on a coarse grid and their study file."""
    from medgan.phantoms import brain

    brain.write_study(folder / "phantoms", seed=0, subjects=6, size_px=32, slices=12)
    return write_settings(folder, brain_settings(), **changes)


def run_here(path: Path, *, until: str = "report") -> list[str]:
    """Run a study's jobs one after the other in this process; ids of those that did anything."""
    from medgan.settings.study import read_study
    from medgan.workflow.job import run_job
    from medgan.workflow.plan import plan_study

    study, done = read_study(path), []
    for job in plan_study(study):
        if run_job(study, job, report=lambda line: None):
            done.append(job.id)
        if job.id == until:
            break
    return done


def medgan(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "medgan", *map(str, words)],
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def start_ranks(*words: str | Path, world: int = 2) -> list[subprocess.Popen[str]]:
    """Start Python once for each rank, as torchrun would, but without its agent, which ends the others itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env=clean_environment() | together | {"RANK": str(number), "LOCAL_RANK": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(world)
    ]


def clean_environment() -> dict[str, str]:
    """The environment of a command: one quiet thread, and no launcher of these tests' own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDGAN_")}
    return kept | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}


@functools.cache
def _run_once(folder: Path, kind: str) -> Path:
    path = {"lesions": lesion_study, "brains": brain_study}[kind](folder / kind)
    run_here(path)
    return path


@pytest.fixture(scope="session")
def finished_lesions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study file of lesions, all of whose jobs are done; not to be changed."""
    return _run_once(tmp_path_factory.getbasetemp(), "lesions")


@pytest.fixture(scope="session")
def finished_brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study file of brains, all of whose jobs are done; not to be changed."""
    return _run_once(tmp_path_factory.getbasetemp(), "brains")
