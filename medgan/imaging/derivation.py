"""Where a translated image comes from, for what is written beside its pixels."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """What made an image out of its source.

    Args:
        method: Name of the method, such as ``"cyclegan"``.
        run: Id of the run.
        weights_sha256: SHA-256 of the weights; empty for a method that has none.
        source: Domain that the image was of.
        target: Domain that it was translated to.
    """

    method: str
    run: str = ""
    weights_sha256: str = ""
    source: str = ""
    target: str = ""

    def __str__(self) -> str:
        """One line for a person, such as ``"t1 -> flair by cyclegan, run 0a1b2c, weights SHA-256 0a1b2c..."``."""
        domains = f"{self.source} -> {self.target} by " if self.source or self.target else ""
        run = f", run {self.run}" if self.run else ""
        weights = f", weights SHA-256 {self.weights_sha256}" if self.weights_sha256 else ""
        return f"{domains}{self.method}{run}{weights}"
