"""What a study's jobs may use, and how each is started on it: cores and GPUs of this machine, or a cluster."""

import functools
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medgan.errors import SettingsError
from medgan.settings.content import load_mapping
from medgan.workflow.devices import check_count, pool_of

PROFILES = Path(__file__).with_name("profiles")
STAGES = ("prepare", "train", "translate", "downstream", "judge", "measure", "report")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What ``medgan run`` was given.

    Args:
        cores: Cores of this machine that jobs may use at a time; a cluster's scheduler looks after its own.
        gpus: GPUs that jobs may use at a time; 0 without.
        gpus_per_job: GPUs that a translator's training gets, each with a process of its own.
        cluster: Folder with ``config.yaml`` and ``stages.yaml``, where jobs go to a cluster.
    """

    cores: int
    gpus: int = 0
    gpus_per_job: int = 1
    cluster: Path | None = None

    def options(self, passed_on: Sequence[str]) -> list[str]:
        """Options for Snakemake.

        Raises:
            RunError: J032, if there are too few GPUs.
            SettingsError: S008, if ``stages.yaml`` names something else than stages.
        """
        config = {"gpus": str(self.gpus), "gpus_per_job": str(self.gpus_per_job)}
        check_count(self.gpus_per_job if self.gpus else 0, self.gpus)
        options = ["--resources", f"gpu={self.gpus}"]
        if self.cluster is not None:
            read_stages(self.cluster)
            config["stages"] = str(self.cluster)
            options += ["--profile", str(self.cluster)]
        else:
            options += ["--cores", str(self.cores)]
        if self.gpus and self.is_local(passed_on):
            config["devices"] = "+".join(pool_of(self.gpus))
        return [*options, "--config", *(f"{name}={value}" for name, value in config.items())]

    def is_local(self, passed_on: Sequence[str]) -> bool:
        """Whether jobs run on this machine, and may be given its devices and be ended with the process that asked."""
        if self.cluster is not None:
            return False
        words = [part for word in passed_on for part in word.split("=", 1)]
        named = [after for before, after in itertools.pairwise(words) if before in {"--executor", "-e"}]
        return all(name in {"local", "dryrun"} for name in named)


def find_cluster(name: str) -> Path:
    """The folder of a cluster: one that is shipped, such as ``"slurm"``, or a path.

    Raises:
        SettingsError: S008, if there is none.
    """
    for folder in (PROFILES / name, Path(name)):
        if (folder / "config.yaml").is_file():
            return folder.resolve()
    shipped = ", ".join(sorted(path.name for path in PROFILES.iterdir() if path.is_dir()))
    raise SettingsError(
        "S008",
        "no such cluster",
        where="--cluster",
        got=name,
        expected=f"{shipped}, or a folder with config.yaml and stages.yaml",
    )


@functools.cache
def read_stages(folder: Path) -> dict[str, dict[str, Any]]:
    """What a job of each stage asks of a cluster.

    Raises:
        SettingsError: S001 no YAML; S008, something else than resources by stage.
    """
    path = folder / "stages.yaml"
    content = load_mapping(path) if path.is_file() else {}
    wrong = [name for name, value in content.items() if name not in STAGES or not isinstance(value, dict)]
    if wrong:
        raise SettingsError(
            "S008",
            "resources are given for something that is no stage, or not as a mapping",
            where=str(path),
            got=", ".join(map(str, wrong)),
            expected="resources by stage: " + ", ".join(STAGES),
        )
    return content


def gpus_of(job: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """GPUs of a job of ``plan.json``, under Snakemake's configuration."""
    if not int(config.get("gpus", 0)) or not job["gpus"]:
        return 0
    return int(config.get("gpus_per_job", 1)) if job["stage"] == "train" else int(job["gpus"])


def resources_of(job: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Snakemake's resources of a job."""
    stages = read_stages(Path(config["stages"])) if "stages" in config else {}
    gpus = gpus_of(job, config)
    # On a cluster 0 is left out: some schedulers refuse to be asked for no GPU.
    return stages.get(job["stage"], {}) | ({"gpu": gpus} if gpus or not stages else {})


def command_of(job: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """The command of a job: with devices of its own where there is a pool, and in as many processes as GPUs."""
    gpus = gpus_of(job, config)
    command = ["-m", "medgan", job["stage"], "study.json", *job["arguments"], "--quiet"]
    if gpus > 1:
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus), *command]
    if gpus and "devices" in config:
        pool = ",".join(str(config["devices"]).split("+"))
        wrapper = ["-m", "medgan.workflow.devices", "--pool", pool, "--count", str(gpus), "--", sys.executable]
        command = [*wrapper, *command]
    return [sys.executable, *command]
