"""How long and where a learner is trained, and how often its state is kept."""

from typing import Literal

from pydantic import Field

from medgan.settings.base import Settings

DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "fp32", "bf16"]
TranslationPrecision = Literal["fp32", "bf16"]

RANKS_TIMEOUT_S = 600.0
"""Seconds that a rank waits for another one by default: longer than rank 0 takes for a checkpoint or a preview."""

_FREE_TO_CHANGE = frozenset(
    {
        "device",
        "threads",
        "checkpoint_every_steps",
        "checkpoint_every_seconds",
        "keep_checkpoints",
        "preview_every",
        "tensorboard",
        "halve_batch",
        "ranks_timeout_s",
    }
)


class LoopSettings(Settings):
    """Settings of the training loop."""

    total_steps: int = Field(ge=0, description="Steps; each is one turn of every group")
    seed: int = Field(default=0, ge=0)
    device: DeviceName = "auto"
    precision: PrecisionName = Field(
        default="auto", description="bf16 autocast where the hardware has it, else fp32; auto decides by the hardware"
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of torch; none leaves its own choice")
    ema_decay: float | None = Field(default=None, gt=0, lt=1, description="Average the learner's ema_networks")
    log_every: int = Field(default=50, ge=1, description="Steps whose mean losses make one line of log.jsonl")
    preview_every: int | None = Field(default=1000, ge=1, description="Steps between pictures; none draws none")
    validate_every: int | None = Field(default=None, ge=1, description="Steps between scores; needs a score function")
    checkpoint_every_steps: int = Field(default=5000, ge=1)
    checkpoint_every_seconds: float | None = Field(
        default=900.0, gt=0, description="Looked at whenever a line is logged; none keeps to the steps alone"
    )
    keep_checkpoints: int = Field(default=2, ge=1, description="Newest ones kept, beside the best")
    halve_batch: bool = Field(
        default=False,
        description="Where memory does not suffice, pass each batch through in halves, then quarters, and so on; the "
        "step is still that of the whole batch",
    )
    tensorboard: bool = Field(default=False, description="Needs the extra medgan[tensorboard]")
    ranks_timeout_s: float = Field(
        default=RANKS_TIMEOUT_S, gt=0, description="Seconds that a rank of several waits for another before it ends"
    )

    def decisive(self) -> dict[str, object]:
        """The settings that change what is learned or logged: a resumed run must share them."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in _FREE_TO_CHANGE}
