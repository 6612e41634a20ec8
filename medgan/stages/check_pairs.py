"""Registration of pairs: how far the two images of each still lie from one another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medgan.imaging.geometry import same_place
from medgan.manifests.findings import Finding
from medgan.manifests.manifest import Case
from medgan.stages.check_shift import Shift, find_shift
from medgan.transforms.trace import Prepared

TOLERATED = {2: 1.5, 3: 0.75}
"""Shifts along an axis that are not reported: 1.5 px of a photograph, 3/4 of a voxel."""
_REACH_MM = 10.0
_REACH_SHARE = 0.1
_SHORTEST_REACH = 2
_AXES = {2: (("down", "up"), ("right", "left")), 3: (("up", "down"), ("back", "front"), ("left", "right"))}
_REMEDY = "register the pair again, or treat the study as unpaired (cyclegan), since pix2pix learns the shift as blur"


@dataclass(frozen=True, kw_only=True)
class PairShift:
    """The residual shift of one pair on the prepared grid.

    Args:
        pair_id: Of both rows.
        source: Case of the source domain.
        target: Case of the target domain.
        shift: What was found; None where it cannot be told.
        spacing_mm: Volumes: of the prepared grid.
    """

    pair_id: str
    source: Case
    target: Case
    shift: Shift | None
    spacing_mm: tuple[float, float, float] | None

    @property
    def shift_mm(self) -> tuple[float, ...] | None:
        """The shift in millimetres along superior, posterior, left; None for photographs."""
        if self.shift is None or self.spacing_mm is None:
            return None
        return tuple(count * step for count, step in zip(self.shift.voxels, self.spacing_mm, strict=True))

    @property
    def is_shifted(self) -> bool:
        """Whether it lies farther away than is tolerated, along some axis."""
        if self.shift is None:
            return False
        return max(abs(value) for value in self.shift.voxels) > TOLERATED[len(self.shift.voxels)]

    def __str__(self) -> str:
        """Such as ``"2.0 voxels (4.0 mm) back"``; the largest axis first, and those that are not tolerated."""
        if self.shift is None:
            return "not estimable"
        voxels, mm = self.shift.voxels, self.shift_mm
        unit = "px" if mm is None else "voxels"
        order = sorted(range(len(voxels)), key=lambda axis: -abs(voxels[axis]))
        parts = [
            f"{abs(voxels[axis]):.1f} {unit}{'' if mm is None else f' ({abs(mm[axis]):.1f} mm)'} "
            + _AXES[len(voxels)][axis][voxels[axis] < 0]
            for axis in order
            if axis == order[0] or abs(voxels[axis]) > TOLERATED[len(voxels)]
        ]
        return ("at least " if self.shift.at_border else "") + " and ".join(parts)


def measure_pair(
    pair_id: str, cases: tuple[Case, Case], prepared: tuple[Prepared, Prepared], *, needed: bool
) -> PairShift | Finding:
    """Estimate how far the target lies from the source; a finding, where they do not share a grid.

    Args:
        pair_id: Of both.
        cases: Source and target.
        prepared: Their images, prepared.
        needed: Whether the study learns or measures by pairs, so that a pair on two grids is an error.
    """
    source, target = prepared
    where = f"{cases[0].where} and {cases[1].where}"
    grids = source.trace.prepared_geometry, target.trace.prepared_geometry
    spatial = source.pixels.shape[1:], target.pixels.shape[1:]
    if spatial[0] != spatial[1]:
        message = f"the two images of a pair differ in shape; got {spatial[1]}; expected {spatial[0]}"
        return _other_grid("G003", where, message, needed=needed)
    if grids[0] is not None and grids[1] is not None and not same_place(grids[0], grids[1]):
        return _other_grid("G004", where, "the two volumes of a pair lie on different grids", needed=needed)
    spacing_mm = None if grids[0] is None else grids[0].spacing_mm
    return PairShift(
        pair_id=pair_id, source=cases[0], target=cases[1], shift=_shift(source, target), spacing_mm=spacing_mm
    )


def pair_findings(pairs: Sequence[PairShift]) -> Iterator[Finding]:
    """Warnings G050 for every shifted pair, and G051 for one whose shift cannot be told."""
    for pair in pairs:
        where = f"pair {pair.pair_id} ({pair.source.where} and {pair.target.where})"
        if pair.shift is None:
            message, remedy = "the shift of the pair cannot be told: no contrast, or no overlap", "look at both images"
            yield Finding(code="G051", severity="warning", where=where, message=message, remedy=remedy)
        elif pair.is_shifted:
            message = f"the target lies {pair} of the source"
            yield Finding(code="G050", severity="warning", where=where, message=message, remedy=_REMEDY)


def pair_summary(pairs: Sequence[PairShift]) -> str:
    """One line: how many of the pairs are shifted, and the largest and middle shift."""
    told = [max(abs(value) for value in pair.shift.voxels) for pair in pairs if pair.shift is not None]
    unit = "px" if pairs and pairs[0].spacing_mm is None else "voxels"
    spread = f"; largest shift along an axis: median {np.median(told):.2f}, most {max(told):.2f} {unit}" if told else ""
    lost = len(pairs) - len(told)
    return f"{sum(pair.is_shifted for pair in pairs)} of {len(pairs)} pairs shifted{spread}" + (
        f"; {lost} not estimable" if lost else ""
    )


def _shift(source: Prepared, target: Prepared) -> Shift | None:
    from scipy import ndimage

    fixed, moving = source.pixels.mean(axis=0), target.pixels.mean(axis=0)
    geometry = source.trace.prepared_geometry
    if geometry is None:
        # the rim of a field of view is the camera's, not the eye's
        rim = max(2, min(fixed.shape) // 32)
        fields = [ndimage.binary_erosion(one.field, iterations=rim, border_value=1) for one in (source, target)]
        reach = tuple(max(_SHORTEST_REACH, round(_REACH_SHARE * size)) for size in fixed.shape)
        return find_shift(fixed, moving, field=fields[0], moving_field=fields[1], reach=reach)
    field = ndimage.binary_dilation(source.field | target.field, iterations=2)
    reach = tuple(
        max(1, min(max(_SHORTEST_REACH, round(_REACH_MM / step)), size // 4))
        for step, size in zip(geometry.spacing_mm, fixed.shape, strict=True)
    )
    return find_shift(fixed, moving, field=field, moving_field=None, reach=reach)


def _other_grid(code: str, where: str, message: str, *, needed: bool) -> Finding:
    return Finding(
        code=code,
        severity="error" if needed else "warning",
        where=where,
        message=message,
        remedy="resample one onto the other's grid before the study, or treat it as unpaired",
    )
