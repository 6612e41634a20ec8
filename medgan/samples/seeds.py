"""Random generators derived from a seed and what they are for."""

import hashlib

import numpy as np


def seed_for(seed: int, *parts: str | int) -> int:
    """Derive a seed from a seed and the parts that say what it is for.

    The same on every platform and in every process. Parts of different types differ: ``1`` is not ``"1"``.

    Returns:
        An integer in [0, 2**63).

    Example:
        >>> seed_for(0, "dropout", 7) == seed_for(0, "dropout", 7) != seed_for(0, "dropout", 8)
        True
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def rng_for(seed: int, *parts: str | int) -> np.random.Generator:
    """A generator of its own for (seed, parts), such as ``rng_for(seed, "augment", case_id, epoch)``."""
    return np.random.default_rng(seed_for(seed, *parts))
