"""The errors a user can meet: what, where, got, expected, remedy, and a stable code."""


class MedganError(Exception):
    """An error with a stable code that says how to mend it.

    Args:
        code: Stable code such as ``"G003"``; documented, never reused.
        what: What is wrong, in one clause.
        where: File, row, case or key that is at fault.
        got: What was found there.
        expected: What was expected instead.
        remedy: What the user can do.

    Example:
        >>> str(GeometryError("G003", "shapes differ", where="case BR012", got="(155, 240, 240)",
        ...                   expected="(155, 256, 256)", remedy="resample it"))
        'GeometryError[G003]: case BR012: shapes differ; got (155, 240, 240); expected (155, 256, 256); resample it'
    """

    def __init__(
        self, code: str, what: str, *, where: str = "", got: str = "", expected: str = "", remedy: str = ""
    ) -> None:
        self.code, self.what, self.where = code, what, where
        self.got, self.expected, self.remedy = got, expected, remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [
            f"{self.where}: {self.what}" if self.where else self.what,
            f"got {self.got}" if self.got else "",
            f"expected {self.expected}" if self.expected else "",
            self.remedy,
        ]
        return f"{type(self).__name__}[{self.code}]: " + "; ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _rebuild, (type(self), self.code, self.what, self.where, self.got, self.expected, self.remedy)


class SettingsError(MedganError):
    """A study file or a recipe is wrong (S...)."""


class ManifestError(MedganError):
    """A manifest row, a split or a domain is wrong (M...)."""


class ReadError(MedganError):
    """A file cannot be read without losing or guessing something (R...)."""


class WriteError(MedganError):
    """A result cannot be written (W...)."""


class GeometryError(MedganError):
    """Shapes, affines or spacings do not fit (G...)."""


class IntensityError(MedganError):
    """Grey values, units or windows do not fit (I...)."""


class DiscoverError(MedganError):
    """A name is not among the choices (D...)."""


class StoreError(MedganError):
    """The prepared store is damaged or does not fit (P...)."""


class CheckpointError(MedganError):
    """A checkpoint is damaged or belongs to something else (C...)."""


class TrainingError(MedganError):
    """Training cannot go on (T...)."""


class RunError(MedganError):
    """A run directory or a job is in a state it should not be in (J...)."""


class StatisticsError(MedganError):
    """A score or an interval cannot be computed from what was given (N...)."""


def _rebuild(
    kind: type[MedganError], code: str, what: str, where: str, got: str, expected: str, remedy: str
) -> MedganError:
    return kind(code, what, where=where, got=got, expected=expected, remedy=remedy)
