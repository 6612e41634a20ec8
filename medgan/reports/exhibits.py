"""The pictures and curves that a report shows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgan.errors import WriteError

Picture = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.generic]

_ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class BeforeAfter:
    """One case before and after translation.

    Args:
        case_id: Name of the case; no patient identifier.
        source: Picture before, uint8, shape (H, W, 3) or (H, W).
        output: Picture after, uint8, same aspect ratio as the source.
        note: Why it is shown, or what to look at.
        worst: Whether it was chosen for being among the worst; the others were drawn at random.
        reference: A real picture of the output's domain, any size; None where there is none.
        source_mask: Integer labels on the source's grid, shape (H, W), 0 is background; drawn as outlines on both.
        source_label: Caption under the source.
        output_label: Caption under the output.
        reference_label: Caption under the reference.

    Raises:
        WriteError: If a picture is not uint8 of such a shape (W081) or the pictures do not lie on one another (W082).
    """

    case_id: str
    source: Picture
    output: Picture
    note: str
    worst: bool
    reference: Picture | None = None
    source_mask: Labels | None = None
    source_label: str = "Source"
    output_label: str = "Translated"
    reference_label: str = "Reference"

    def __post_init__(self) -> None:
        where = f"case {self.case_id}"
        for picture in (self.source, self.output, self.reference):
            if picture is not None:
                check_picture(picture, where=where)
        height, width = self.source.shape[:2]
        ratio = (self.output.shape[1] / self.output.shape[0]) / (width / height)
        if abs(math.log(ratio)) > _ASPECT_TOLERANCE:
            raise WriteError(
                "W082",
                "source and output differ in aspect ratio and cannot be laid on one another",
                where=where,
                got=f"{self.output.shape[:2]}",
                expected=f"the shape of {(height, width)} or a multiple",
            )
        if self.source_mask is not None and self.source_mask.shape != (height, width):
            raise WriteError(
                "W082",
                "the mask is not on the source's grid",
                where=where,
                got=str(self.source_mask.shape),
                expected=str((height, width)),
            )


class Preview(NamedTuple):
    """A sheet of translations at one step of training, uint8, shape (H, W, 3) or (H, W)."""

    step: int
    picture: Picture


class AlarmMark(NamedTuple):
    """An alarm of a run: the step, its kind, what was seen, and whether it ended the run."""

    step: int
    kind: str
    reason: str
    fatal: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveSet:
    """Losses of one training run.

    Args:
        name: Translator, fold and seed.
        steps: Step of each point, ascending.
        series: Name of a loss -> its value at each step; NaN leaves a gap.
        alarms: What the watch raised.
        previews: Translations as training went on.

    Raises:
        WriteError: If a series is not as long as the steps (W084).
    """

    name: str
    steps: Sequence[int]
    series: Mapping[str, Sequence[float]]
    alarms: tuple[AlarmMark, ...] = ()
    previews: tuple[Preview, ...] = ()

    def __post_init__(self) -> None:
        for name, values in self.series.items():
            if len(values) != len(self.steps):
                raise WriteError(
                    "W084",
                    "a series is not as long as its steps",
                    where=f"{self.name}, {name}",
                    got=str(len(values)),
                    expected=str(len(self.steps)),
                )
        for preview in self.previews:
            check_picture(preview.picture, where=f"{self.name}, preview at step {preview.step}")


def check_picture(picture: Picture, *, where: str) -> None:
    """Refuse what is not an 8-bit grey or RGB picture.

    Args:
        picture: Array to check.
        where: What the picture is, for the message.

    Raises:
        WriteError: If it is not uint8 of shape (H, W, 3) or (H, W), or is empty (W081).
    """
    grey_or_rgb = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
    if picture.dtype != np.uint8 or not grey_or_rgb or picture.size == 0:
        raise WriteError(
            "W081",
            "not an 8-bit picture",
            where=where,
            got=f"{picture.dtype} {picture.shape}",
            expected="uint8 (H, W, 3) or (H, W)",
            remedy="window and scale it to 0..255 first",
        )
