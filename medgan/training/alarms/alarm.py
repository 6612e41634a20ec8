"""What an alarm is, and the bell that rings once until its cause is gone."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal[
    "not finite",
    "divergence",
    "saturation",
    "vanishing gradient",
    "collapse",
    "inversion",
    "unchanged",
    "checkerboard",
]


class Alarm(NamedTuple):
    """A sign that something is wrong.

    Args:
        step: Steps done when it was raised.
        kind: What kind of sign; docs/training.md says what each means.
        reason: What was seen, in one sentence.
        fatal: Whether training stops.
        since: Steps done when the cause was first seen; a checkpoint from before is not touched by it.
    """

    step: int
    kind: Kind
    reason: str
    fatal: bool = False
    since: int = 0


@dataclass
class Bell:
    """Rings once when a sign has been there for some looks in a row, and not again until it has been gone for some.

    Args:
        present: Looks in a row that saw the sign.
        absent: Looks in a row that did not.
        since: Step of the first of the looks that saw it.
        raised: Whether it has rung and the sign is not gone yet.
    """

    present: int = 0
    absent: int = 0
    since: int = 0
    raised: bool = False

    def rings(self, step: int, *, present: bool, after: int, clears: int) -> bool:
        """Take in one look.

        Args:
            step: Steps done.
            present: Whether the sign is there.
            after: Looks in a row that must see it.
            clears: Looks in a row without it after which it may ring again.
        """
        self.since = step if present and not self.present else self.since
        self.present = self.present + 1 if present else 0
        self.absent = 0 if present else self.absent + 1
        if self.absent >= clears:
            self.raised = False
        if self.raised or self.present < after:
            return False
        self.raised = True
        return True
