"""Where a translated image comes from, for what is written beside its pixels."""

from dataclasses import dataclass, replace

_LONGEST = 64


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """What made an image out of its source.

    Args:
        method: Name of the method, such as ``"cyclegan"``.
        run: Id of the run.
        weights_sha256: SHA-256 of the weights; empty for a method that has none.
        source: Domain that the image was of.
        target: Domain that it was translated to.
        precision: Number format that the networks computed in, such as ``"fp32"``.
    """

    method: str
    run: str = ""
    weights_sha256: str = ""
    source: str = ""
    target: str = ""
    precision: str = ""

    def __str__(self) -> str:
        """One line for a person, such as ``"t1 -> flair by cyclegan, run 0a1b2c, weights SHA-256 0a1b2c..."``."""
        domains = f"{self.source} -> {self.target} by " if self.source or self.target else ""
        run = f", run {self.run}" if self.run else ""
        weights = f", weights SHA-256 {self.weights_sha256}" if self.weights_sha256 else ""
        precision = f", computed in {self.precision}" if self.precision else ""
        return f"{domains}{self.method}{run}{weights}{precision}"

    def plain(self) -> "Derivation":
        r"""The same in characters that every DICOM character set has, each part cut to 64 of them.

        So the line that :meth:`__str__` makes of it stays below half of the 1,024 characters of a DICOM short text.

        Example:
            >>> str(Derivation(method="cut", source="T1\\Gd é").plain())
            'T1/Gd ? ->  by cut'
        """
        parts = ("method", "run", "weights_sha256", "source", "target", "precision")
        return replace(self, **{name: plain_text(getattr(self, name)) for name in parts})


def plain_text(text: str, *, longest: int = _LONGEST) -> str:
    r"""Printable ASCII of at most so many characters, without the backslash, which separates values in DICOM.

    Example:
        >>> plain_text("Röntgen\n1", longest=9)
        'R?ntgen 1'
    """
    ascii_only = text.replace("\\", "/").encode("ascii", "replace").decode("ascii")
    return "".join(letter if letter.isprintable() else " " for letter in ascii_only)[:longest].strip()
