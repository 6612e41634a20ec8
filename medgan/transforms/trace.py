"""What a preparation did to an image: enough to undo it, and what it lost."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medgan.imaging.geometry import Affine, Geometry
from medgan.imaging.image import Image, Pixels
from medgan.imaging.intensity import Window

Rows = tuple[tuple[float, ...], ...]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The replayable record of one preparation.

    Args:
        preset: Which preparation, as in the settings.
        source_shape: (C, H, W) or (C, D, H, W) of the image as read.
        prepared_shape: The same of the prepared array.
        window: What maps to [-1, 1].
        crop: Photographs: (top, left, height, width) in source pixels; where it reaches beyond the picture,
            it is padded.
        source_affine: Volumes: rows of the source grid's affine, for (D, H, W).
        prepared_affine: Volumes: the same of the prepared grid.
        resampled: Whether values were interpolated; a flip or a crop is no resampling.
        clipped_share: Share of the field's values that lay outside the window, in [0, 1].
        filled: How many voxels of the source were not finite and were given a value before all else.
        losses: What cannot be undone, in words.
        notes: What reading did beside decoding.
    """

    preset: str
    source_shape: tuple[int, ...]
    prepared_shape: tuple[int, ...]
    window: Window
    crop: Box | None = None
    source_affine: Rows | None = None
    prepared_affine: Rows | None = None
    resampled: bool = False
    clipped_share: float = 0.0
    filled: int = 0
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def source_geometry(self) -> Geometry | None:
        """Grid of the source volume; None for a photograph."""
        return None if self.source_affine is None else Geometry(np.array(self.source_affine))

    @property
    def prepared_geometry(self) -> Geometry | None:
        """Grid of the prepared volume; None for a photograph."""
        return None if self.prepared_affine is None else Geometry(np.array(self.prepared_affine))

    def to_json(self) -> str:
        """One JSON object; floats keep every bit."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Trace":
        """Rebuild what :meth:`to_json` wrote."""
        fields: dict[str, Any] = {name: _tuples(value) for name, value in json.loads(text).items()}
        return cls(**{**fields, "window": Window(**fields["window"])})


@dataclass(frozen=True)
class Prepared:
    """A prepared case.

    Args:
        pixels: float32 in [-1, 1], shape (C, H, W) or (C, D, H, W).
        label: Labels on the prepared grid, integers, shape (H, W) or (D, H, W); None where there are none.
        field: Where there is something to see: the retina, the patient. Shape (H, W) or (D, H, W).
        trace: How it was made.
    """

    pixels: npt.NDArray[np.float32]
    label: Pixels | None
    field: npt.NDArray[np.bool_]
    trace: Trace


def notes_of(image: Image) -> tuple[str, ...]:
    """What reading noted; of a chosen volume only its number, since what tells it apart is quoted from the header."""
    return tuple(note.split(" (")[0] if note.startswith("volume ") else note for note in image.stored.notes)


def rows_of(affine: Affine) -> Rows:
    """An affine as tuples, for a record that can be compared and written."""
    return tuple(tuple(float(value) for value in row) for row in affine)


def _tuples(value: object) -> object:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
