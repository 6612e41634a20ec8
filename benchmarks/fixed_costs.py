"""What a study costs beside its work: imports, planning and the start of its jobs, as a share of its CPU time.

    python benchmarks/fixed_costs.py [--study STUDY.yaml]

Runs the demo's study, or another, on one core twice: with jobs forked from a process that has imported what they need,
and with each job importing for itself. Jobs write how much CPU time they took; a forked one does nothing but its work
(among it the start of the children that read images), so that whatever either run takes beyond that is its fixed cost.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from medgan.workflow.demo import make_demo
from medgan.workflow.handover import NURSERY


def cpu_of(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds of a command and of all that it starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--study", type=Path, help="a study file in place of the demo's")
    given = parser.parse_args().study
    plain = {**{name: value for name, value in os.environ.items() if name != NURSERY}, "OMP_WAIT_POLICY": "PASSIVE"}
    ways = {"forked": plain, "each by itself": {**plain, NURSERY: ""}}
    with tempfile.TemporaryDirectory() as name:
        study, taken = given or make_demo(Path(name)), {}
        for number, (way, environment) in enumerate(ways.items()):
            out = Path(name) / str(number)
            command = [
                sys.executable,
                "-m",
                "medgan",
                "run",
                str(study),
                "--output",
                str(out),
                "--cores",
                "1",
                "--quiet",
            ]
            print("$", *([] if way == "forked" else [f"{NURSERY}="]), "python", *command[1:], flush=True)
            taken[way] = cpu_of(command, environment)
        done = [json.loads(path.read_text()) for path in (Path(name) / "0").rglob("done.json")]
    work = sum(job["cpu_seconds"] for job in done)
    print(f"{len(done)} jobs, whose work takes {work:.0f} s of CPU time")
    for way, seconds in taken.items():
        print(
            f"jobs {way}: {seconds:.0f} s, of which {seconds - work:.0f} s or {1 - work / seconds:.1%} beside the work"
        )


if __name__ == "__main__":
    main()
