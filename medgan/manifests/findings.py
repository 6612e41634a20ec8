"""What a check found: the content of an error, without the stop."""

from dataclasses import dataclass
from typing import Literal

from medgan.errors import MedganError, printable


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with a study.

    Args:
        code: The code that the error of the same cause has.
        severity: An ``"error"`` stops a stage; a ``"warning"`` is something to know.
        where: Row, case, file or domain.
        message: What is wrong, with what was got and expected.
        remedy: What the user can do.
    """

    code: str
    severity: Literal["error", "warning"]
    where: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        parts = (f"{self.where}: {self.message}" if self.where else self.message, self.remedy)
        return printable(f"{self.severity} [{self.code}] " + "; ".join(part for part in parts if part))


def finding_of(error: MedganError) -> Finding:
    """An error as a finding.

    Example:
        >>> str(finding_of(MedganError("M004", "no case of domain 'ct'", expected="one of mr", remedy="check domain:")))
        "error [M004] no case of domain 'ct'; expected one of mr; check domain:"
    """
    parts = (
        error.what,
        f"got {error.got}" if error.got else "",
        f"expected {error.expected}" if error.expected else "",
    )
    return Finding(
        code=error.code,
        severity="error",
        where=error.where,
        message="; ".join(part for part in parts if part),
        remedy=error.remedy,
    )
