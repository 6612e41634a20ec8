"""The intensity contract: what maps to [-1, 1], in which unit, and its inverse."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medgan.errors import IntensityError


@dataclass(frozen=True, kw_only=True)
class Window:
    """A linear map between units and [-1, 1].

    Args:
        low: Value in units that maps to -1.
        high: Value in units that maps to 1.
        unit: ``"HU"``, ``"a.u."`` or ``"level"``.

    Raises:
        IntensityError: I001, if the window is empty or not finite: a constant image has no contrast to translate.

    Example:
        >>> Window(low=-1024, high=3071, unit="HU").to_unit(np.array([-1024.0, 3071.0]))
        array([-1.,  1.], dtype=float32)
    """

    low: float
    high: float
    unit: str

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.high > self.low):
            raise IntensityError(
                "I001",
                "the intensity window is empty",
                got=f"[{self.low}, {self.high}] {self.unit}",
                remedy="a constant image cannot be prepared; leave the case out",
            )

    def to_unit(self, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Map units to [-1, 1]; what lies outside is clipped."""
        scaled = (np.asarray(values, dtype=np.float64) - self.low) * (2.0 / (self.high - self.low)) - 1.0
        return np.clip(scaled, -1.0, 1.0).astype(np.float32)

    def from_unit(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map [-1, 1] back to units."""
        return (np.asarray(values, dtype=np.float64) + 1.0) * ((self.high - self.low) / 2.0) + self.low

    def clipped_share(self, values: npt.ArrayLike) -> float:
        """Share of the values that :meth:`to_unit` would clip, in [0, 1]."""
        array = np.asarray(values)
        return float(((array < self.low) | (array > self.high)).mean())
