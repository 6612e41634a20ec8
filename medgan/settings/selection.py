"""Which checkpoint of a run is used: the last, or the best on subjects held out of training."""

from typing import Literal

from pydantic import Field

from medgan.settings.base import Settings


class Selection(Settings):
    """How a run's checkpoint is chosen."""

    take: Literal["last", "best"] = Field(
        default="last",
        description="`last`: every run trains its steps on all training subjects, and its last checkpoint is used. "
        "`best`: some training subjects are held out, and the checkpoint with the highest score on them is used",
    )
    share: float = Field(
        default=0.2, gt=0, le=0.5, description="best: share of the training subjects that is held out, at least one"
    )
    every: int = Field(default=500, ge=1, description="best: steps between two scores; the last step is scored too")

    @property
    def holds_out(self) -> bool:
        """Whether subjects are held out."""
        return self.take == "best"
