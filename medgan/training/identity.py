"""What a run trains: enough to refuse a checkpoint that belongs to something else."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from medgan.errors import CheckpointError
from medgan.settings.changes import changes
from medgan.training.learner import Learner
from medgan.training.translator import Translator


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What is trained, how and on what.

    Args:
        method: Short name of the method's or downstream model's module.
        recipe: Its settings.
        shape: Channels, neighbours and size in pixels of a sample.
        directions: Domains it translates to.
        intensity: The intensity contract: window or percentiles, unit, dtype, per domain.
        data: Digests of what it is trained on, by name, frozen networks of its losses among them.
        context: What using the weights needs besides: preparation, names of the domains, task.
    """

    method: str
    recipe: Mapping[str, object] = field(default_factory=dict)
    shape: Mapping[str, int] = field(default_factory=dict)
    directions: tuple[str, ...] = ()
    intensity: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Plain JSON values, as a record holds them."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, object]) -> "Identity":
        """Take back what :meth:`to_json` gave."""
        values = dict(plain)
        directions = values.pop("directions", [])
        return cls(**values, directions=tuple(directions))  # type: ignore[arg-type]


def identity_of(
    learner: Learner, *, intensity: Mapping[str, object] | None = None, data: Mapping[str, str] | None = None
) -> Identity:
    """The identity of a learner; what it cannot know itself is passed in."""
    method = type(learner).__module__.rsplit(".", 1)[-1]
    if not isinstance(learner, Translator):
        return Identity(method=f"{method}.{type(learner).__name__}", intensity=intensity or {}, data=data or {})
    from medgan.training.loss_files import loss_files  # it reads runs, which have identities

    return Identity(
        method=method,
        recipe=learner.recipe.model_dump(mode="json"),
        shape=learner.shape.told(),
        directions=tuple(learner.directions),
        intensity=intensity or {},
        data={**(data or {}), **loss_files(learner.recipe)},
    )


def require_same(found: Mapping[str, object], wanted: Mapping[str, object], *, where: str) -> None:
    """Refuse to go on from a checkpoint of something else.

    Args:
        found: The checkpoint's ``identity`` and ``settings``, as JSON values.
        wanted: Those of the run that would go on.
        where: The checkpoint, for the message.

    Raises:
        CheckpointError: C004, if method, sample shape or direction differ; C005, if any other setting does.
    """
    found_changes = changes(found, wanted)
    other = [change for change in found_changes if change.key.startswith(_OTHER)]
    code, what = ("C004", "the checkpoint is of something else") if other else ("C005", "settings have changed")
    if found_changes:
        told = other or found_changes
        raise CheckpointError(
            code,
            what,
            where=where,
            got="; ".join(f"{key} {old}" for key, old, _ in told),
            expected="; ".join(f"{key} {new}" for key, _, new in told),
            remedy="train in another run directory, or go back to the settings in its settings.json",
        )


_OTHER = ("identity.method", "identity.shape", "identity.dir", "identity.context.direction", "identity.context.also")
"""What makes a checkpoint one of something else: method, channels and size, direction, domains."""
