"""Fuzz the readers by hand: ``python tests/fuzz/fuzz_run.py nifti --seconds 600``; see docs/fuzzing.md."""

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fuzz_harness import HANGS_S, RSS_MB, Harness
from fuzz_targets import Target, targets

_GRACE_S = 120


def main(arguments: list[str] | None = None) -> int:
    """Parse, fuzz each target in a process of its own, and say what was found; 1 if anything was."""
    options = _options(arguments)
    if options.replay is not None:
        return _replay(options.targets[0], options.replay)
    if options.inside:
        return _inside(options)
    names = options.targets or list(targets())
    failed = [name for name in names if _in_process(name, options) != 0]
    sys.stdout.write(f"{len(names)} targets, {len(failed)} with findings{': ' if failed else ''}{', '.join(failed)}\n")
    return 1 if failed else 0


def has_atheris() -> bool:
    """Whether the coverage-guided engine is installed."""
    return importlib.util.find_spec("atheris") is not None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets; all by default")
    parser.add_argument("--seconds", type=float, default=60, help="time per target")
    parser.add_argument("--runs", type=int, default=-1, help="inputs per target; without end by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("atheris", "python"), default="atheris" if has_atheris() else "python")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "medgan-fuzz", help="for findings")
    parser.add_argument("--replay", type=Path, help="run one saved input on the one named target")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _in_process(name: str, options: argparse.Namespace) -> int:
    """A crash or a hang in native code then costs one target; its input is in the folder."""
    command = [sys.executable, __file__, name, "--inside", "--engine", options.engine, "--folder", str(options.folder)]
    command += ["--seconds", str(options.seconds), "--runs", str(options.runs), "--seed", str(options.seed)]
    try:
        status = subprocess.run(command, check=False, timeout=options.seconds + _GRACE_S).returncode
    except subprocess.TimeoutExpired:
        status = 124
    if status not in (0, 1):
        sys.stdout.write(f"FINDING {name}: the process ended with {status}; see {options.folder / name}\n")
    return status


def _inside(options: argparse.Namespace) -> int:
    sys.setrecursionlimit(1000)  # as users have it
    (options.folder / options.targets[0]).mkdir(parents=True, exist_ok=True)
    if options.engine == "atheris":
        return _with_atheris(options)
    target = targets()[options.targets[0]]
    harness = Harness(target, findings=options.folder / target.name, interrupts=True)
    began = time.monotonic()
    chance = random.Random(options.seed)  # noqa: S311 - inputs, not secrets
    inputs = _mutations(target, chance, options.folder / target.name / "last")
    while harness.runs != options.runs and time.monotonic() - began < options.seconds:
        harness.one(next(inputs))
    harness.close()
    return _said(harness, time.monotonic() - began)


def _mutations(target: Target, chance: random.Random, last: Path):
    """The seeds, then damage without end; the input in work is on disk, should it end the process."""
    from fuzz_mutations import mutated

    seeds = target.seeds()
    count = 0
    while True:
        data = seeds[count] if count < len(seeds) else mutated(chance.choice(seeds), seeds, chance)
        last.write_bytes(data)
        yield data
        count += 1


def _with_atheris(options: argparse.Namespace) -> int:
    """Run libFuzzer; it ends the process itself, so that what it found is said on the way."""
    import atheris

    target = targets()[options.targets[0]]
    findings = options.folder / target.name
    corpus = findings / "corpus"
    corpus.mkdir(exist_ok=True)
    harness = Harness(target, findings=findings, interrupts=False)
    with atheris.instrument_imports(include=list(target.instrumented)):
        for index, seed in enumerate(target.seeds()):
            (corpus / f"seed{index:02d}").write_bytes(seed)
            harness.one(seed)  # which imports all that the reader needs
    limits = [f"-max_total_time={int(options.seconds)}", f"-timeout={HANGS_S}", f"-rss_limit_mb={RSS_MB}"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-runs={options.runs}", f"-seed={options.seed}", f"-artifact_prefix={findings}/",
         "-max_len=8192", "-len_control=0", "-print_final_stats=0", "-verbosity=0", str(corpus)],
        _counted(harness, options),
    )  # fmt: skip
    atheris.Fuzz()
    return 0


def _counted(harness: Harness, options: argparse.Namespace) -> Callable[[bytes], None]:
    """One input; the last one says what was found and leaves, for libFuzzer gives no other chance."""
    import os

    began = time.monotonic()

    def one(data: bytes) -> None:
        harness.one(data)
        spent = time.monotonic() - began
        if spent > options.seconds or harness.runs == options.runs:
            harness.close()
            status = _said(harness, spent)
            sys.stdout.flush()
            os._exit(status)

    return one


def _said(harness: Harness, seconds: float) -> int:
    sys.stdout.write(
        f"{harness.target.name}: {harness.runs} inputs in {seconds:.0f} s ({harness.runs / max(seconds, 1e-3):.0f} a "
        f"second), {harness.read} read, {len(harness.known)} findings\n"
    )
    return 1 if harness.known else 0


def _replay(name: str, path: Path) -> int:
    harness = Harness(targets()[name], findings=None, interrupts=True)
    try:
        return 1 if harness.one(path.read_bytes()) else 0
    finally:
        harness.close()


if __name__ == "__main__":
    sys.exit(main())
