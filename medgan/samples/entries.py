"""What can be drawn: the slices of prepared cases that show something."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError, ManifestError
from medgan.imaging.slices import neighbour_stack
from medgan.samples.prepared import PreparedCase

LEAST_FIELD = 0.05
"""Slices with a smaller share of field are left out."""


class Entry(NamedTuple):
    """One slice of one case, or a photograph.

    Args:
        case: Place of the case in its pool.
        plane: Slice, from 0.
    """

    case: int
    plane: int


def entries_of(cases: Sequence[PreparedCase], *, partners: Sequence[PreparedCase] | None = None) -> list[Entry]:
    """List the slices with at least :data:`LEAST_FIELD` of field, case by case.

    Args:
        cases: The cases of a pool.
        partners: For each case another one whose slice must show as much.

    Raises:
        ManifestError: M050, if there is none.
    """
    found = [
        Entry(number, plane)
        for number, (case, partner) in enumerate(zip(cases, partners or cases, strict=True))
        for plane, shares in enumerate(zip(case.field_shares, partner.field_shares, strict=True))
        if min(shares) >= LEAST_FIELD
    ]
    if not found:
        raise ManifestError(
            "M050",
            "nothing to draw samples from",
            got=f"{len(cases)} cases without a slice that is {LEAST_FIELD:.0%} foreground" if cases else "no cases",
            remedy="check the split and the domains of the study",
        )
    return found


def stack_of(case: PreparedCase, plane: int, *, neighbours: int) -> npt.NDArray[np.float32]:
    """The slice with its neighbours, (C * neighbours, H, W) in [-1, 1]; a view where it can be."""
    if len(case.shape) == 3:
        return case.pixels
    if neighbours == 1:
        return case.pixels[:, plane]
    return neighbour_stack(case.pixels, plane, neighbours=neighbours)


def check_alike(cases: Sequence[PreparedCase], *, neighbours: int) -> None:
    """Refuse cases that cannot stand in one batch.

    Raises:
        GeometryError: G040 photographs and volumes or grey and RGB mixed, G041 neighbours of a photograph.
    """
    kinds = {(case.shape[0], len(case.shape)) for case in cases}
    if len(kinds) > 1:
        raise GeometryError(
            "G040",
            "cases do not fit together",
            got=" and ".join(
                f"{'volumes' if axes == 4 else 'photographs'} of {c} channels" for c, axes in sorted(kinds)
            ),
            expected="all of one kind, all grey or all RGB",
        )
    if neighbours % 2 == 0 or (neighbours > 1 and kinds and next(iter(kinds))[1] == 3):
        raise GeometryError(
            "G041",
            "neighbours are slices of a volume, an odd number of them",
            got=f"neighbours {neighbours}",
            expected="1 for photographs",
        )
