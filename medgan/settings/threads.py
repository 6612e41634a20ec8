"""How many threads a process uses, said before torch is imported."""

import os
import sys


def quiet_openmp() -> bool:
    """Let idle OpenMP threads sleep instead of spin.

    OpenMP reads ``OMP_WAIT_POLICY`` once, when torch loads it, so the command line calls this before anything else.
    On shared cores spinning threads make small networks many times slower. A policy that the user has set is kept.

    Returns:
        Whether the policy takes effect, that is, whether torch is not loaded yet.

    Example:
        >>> isinstance(quiet_openmp(), bool)
        True
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return "torch" not in sys.modules
