"""Feed a target one input after the other, and keep what breaks the law as a file that can be replayed."""

import hashlib
import logging
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from types import FrameType, TracebackType

from fuzz_targets import Target

SLOW_S = 5.0
HANGS_S = 10
RSS_MB = 2048
_OURS = ("medgan", "pydicom", "nibabel", "PIL", "tifffile", "yaml", "highdicom")


class TooSlowError(Exception):
    """An input took too long."""


class TooMuchMemoryError(Exception):
    """An input made the process grow beyond the limit."""


class Harness:
    """One target, a scratch folder, and what was found so far.

    Args:
        target: What is fuzzed.
        findings: Folder for the inputs that break the law; None keeps none.
        interrupts: Whether an input that hangs is interrupted here, and not by the fuzzer.
    """

    def __init__(self, target: Target, *, findings: Path | None, interrupts: bool) -> None:
        self.target, self.findings, self.interrupts = target, findings, interrupts
        memory = Path("/dev/shm")  # noqa: S108 - files in memory, where there is such a folder
        self._scratch = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self._folder = Path(self._scratch.name) / "input"
        self.runs, self.read, self.known = 0, 0, dict[str, str]()
        self._logs = logging.root.manager.disable
        self._logged = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        if interrupts:
            signal.signal(signal.SIGALRM, _interrupt)

    def one(self, data: bytes) -> str | None:
        """Run one input; the signature of a finding, or None."""
        self.runs += 1
        signature, text = self._outcome(data)
        if signature is not None and signature not in self.known:
            self.known[signature] = self._keep(data, signature, text)
        return signature

    def close(self) -> None:
        """Remove the scratch folder, and let others log again."""
        logging.disable(self._logged)
        self._scratch.cleanup()
        logging.disable(self._logs)

    def __enter__(self) -> "Harness":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _outcome(self, data: bytes) -> tuple[str | None, str]:
        from medgan.errors import MedganError

        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        began = time.process_time()
        try:
            if self.interrupts:
                signal.setitimer(signal.ITIMER_REAL, HANGS_S)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.target.check(data, self._folder)
            self.read += 1
        except MedganError as error:
            if "\n" in str(error) or len(str(error)) > 4000:
                return _signature("a message that is no line", error.__traceback__), str(error)[:2000]
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            return _signature(type(error).__name__, error.__traceback__), traceback.format_exc(limit=-12)
        finally:
            if self.interrupts:
                signal.setitimer(signal.ITIMER_REAL, 0)
        return self._exceeded(time.process_time() - began)

    def _exceeded(self, seconds: float) -> tuple[str | None, str]:
        if seconds > SLOW_S:
            return "slow", f"{seconds:.1f} s"
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        return ("memory", f"{peak:.0f} MB") if peak > RSS_MB else (None, "")

    def _keep(self, data: bytes, signature: str, text: str) -> str:
        name = f"{self.target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        if self.findings is not None:
            self.findings.mkdir(parents=True, exist_ok=True)
            (self.findings / name).write_bytes(data)
            (self.findings / f"{name}.txt").write_text(f"{signature}\n\n{text}", encoding="utf-8")
        sys.stdout.write(f"FINDING {self.target.name}: {signature} ({len(data)} bytes, {name})\n")
        sys.stdout.flush()
        return name


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise TooSlowError(f"no end after {HANGS_S} s")


def _signature(kind: str, where: TracebackType | None) -> str:
    """Kind and the innermost place in a package of interest: two inputs with the same one are one finding."""
    at = ""
    for frame, line in traceback.walk_tb(where):
        parts = Path(frame.f_code.co_filename).parts
        if any(name in parts for name in _OURS) or "fuzz_targets" in frame.f_code.co_filename:
            at = f"{'/'.join(parts[-2:])}:{line}"
    return f"{kind} at {at}"
