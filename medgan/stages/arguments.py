"""What one job of a study is told: which fold, seed, translator, task and arm."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class JobArguments:
    """Arguments of a stage; those that a stage has no use for are None.

    Example:
        >>> JobArguments(fold=0, seed=1, translator="cyclegan").flags()
        ('--translator', 'cyclegan', '--fold', '0', '--seed', '1')
    """

    translator: str | None = None
    task: str | None = None
    arm: str | None = None
    target_cases: str | None = None
    fold: int | None = None
    seed: int | None = None

    def flags(self) -> tuple[str, ...]:
        """The same as command-line options."""
        given = [(entry.name, getattr(self, entry.name)) for entry in fields(self)]
        return tuple(
            text for name, value in given if value is not None for text in (f"--{name.replace('_', '-')}", str(value))
        )

    @property
    def place(self) -> tuple[int, int]:
        """Fold and seed of a job that has both."""
        if self.fold is None or self.seed is None:
            raise ValueError("this stage needs a fold and a seed")
        return self.fold, self.seed

    def named(self, name: str) -> str:
        """An argument that the stage needs."""
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"this stage needs --{name.replace('_', '-')}")
        return str(value)
