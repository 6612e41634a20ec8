"""Prepare a CT or MR volume for a network, and put a translated one back on its grid."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError
from medgan.imaging.geometry import Geometry, reorient, turn_back
from medgan.imaging.image import Image, Pixels, StoredAs
from medgan.imaging.intensity import Window
from medgan.imaging.quantize import round_to
from medgan.settings.preparation import Preparation
from medgan.transforms.foreground import find_foreground
from medgan.transforms.resample import Shape, grid_of_spacing, resample, resample_labels
from medgan.transforms.trace import Prepared, Trace, notes_of, rows_of

Floats = npt.NDArray[np.float32]

AXIS_CODES = "SPL"
_SAME_SPACING = 1e-3
_FEWEST_LEVELS = 128


def prepare_volume(image: Image, preparation: Preparation, *, label: Pixels | None = None) -> Prepared:
    """Turn to axial slices as radiologists hang them, resample where asked, scale to [-1, 1].

    Args:
        image: (1, D, H, W) in units.
        preparation: ``ct`` takes the window from the settings, ``mr`` from the volume's own foreground.
        label: Labels (D, H, W) on the image's grid, resampled to the nearest.

    Returns:
        Pixels (1, D, H, W) with axes growing to "SPL". The field is the foreground for MR, everything for CT.

    Raises:
        GeometryError: G019, if the volume is in colour.
        IntensityError: I001, if the volume is constant.
    """
    source = _geometry(image)
    _refuse_colour(image)
    values, geometry = reorient(image.pixels, source, axis_codes=AXIS_CODES)
    turned = None if label is None else reorient(label[None], source, axis_codes=AXIS_CODES)[0][0]
    filled = image.stored.filled
    losses = [f"not finite, filled: {filled} voxels"] if filled else []
    wanted = _wanted_grid(geometry, _spatial(values), preparation.spacing_mm)
    if wanted is not None:
        values = resample(values, geometry, to=wanted[0], shape=wanted[1])
        if turned is not None:
            turned = resample_labels(turned, geometry, to=wanted[0], shape=wanted[1])
        losses.append(f"resampled from {_millimetres(geometry)} to {_millimetres(wanted[0])}")
        geometry = wanted[0]
    field, window = _field_and_window(values[0], preparation)
    clipped = window.clipped_share(values[0][field])
    if clipped > 0:
        losses.append(f"clipped {100 * clipped:.3g} % of the field")
    trace = Trace(
        preset=preparation.preset,
        source_shape=image.pixels.shape,
        prepared_shape=values.shape,
        window=window,
        source_affine=rows_of(source.affine),
        prepared_affine=rows_of(geometry.affine),
        resampled=wanted is not None,
        clipped_share=clipped,
        filled=filled,
        losses=tuple(losses),
        notes=notes_of(image),
    )
    return Prepared(window.to_unit(values), turned, field, trace)


def restore_volume(
    pixels: Floats, trace: Trace, *, source: Image, prepared_source: Floats | None, window: Window | None
) -> Image:
    """Put a translated volume back on the source's grid, in units.

    Without resampling this is exact: axes are turned back, values go through the window, and a voxel that the
    translation left as it was keeps the source's own value, bit by bit, within the window or beyond it. After
    resampling values are interpolated back.

    Where another window asks for values that the source's type cannot hold, or for fewer than 128 of its steps, the
    result is float32 (for DICOM 16 bits with a rescale of its own), and its notes say so.

    Args:
        pixels: (C, D, H, W) in [-1, 1], on the prepared grid.
        trace: How the source was prepared.
        source: The image as read.
        prepared_source: What the network saw; made again from the source if None.
        window: Window of the result, where it is not the trace's.
    """
    wanted = window or trace.window
    values = wanted.from_unit(pixels)
    geometry, target = _traced(trace)
    if trace.resampled:
        shape = _shape3(trace.source_shape)
        values = resample(values, geometry, to=target, shape=shape).astype(np.float64)
    else:
        values = _turned_back(values, geometry, target)
    out = source if wanted == trace.window else _able_to_hold(source, wanted)
    result = _to_type(values, out.pixels.dtype)
    if not trace.resampled and wanted == trace.window:
        before = prepared_source if prepared_source is not None else _prepared_again(source, trace)
        unchanged = _turned_back(pixels == before, geometry, target)
        result = np.where(unchanged, source.pixels, result)
    return out.with_pixels(result)


def restore_volume_label(label: Pixels, trace: Trace) -> Pixels:
    """Put labels (D, H, W) back on the source's grid, to the nearest."""
    geometry, target = _traced(trace)
    if trace.resampled:
        return resample_labels(label, geometry, to=target, shape=_shape3(trace.source_shape))
    return _turned_back(label[None], geometry, target)[0]


def _geometry(image: Image) -> Geometry:
    if image.geometry is None:
        raise GeometryError("G021", "not a volume", where=str(image.path or "image"), expected="a grid in space")
    return image.geometry


def _refuse_colour(image: Image) -> None:
    if image.channels != 1:
        raise GeometryError(
            "G019",
            "a colour volume cannot be prepared",
            where=str(image.path or "image"),
            got=f"{image.channels} channels",
            expected="one value a voxel, in HU or the scanner's units",
            remedy="take the volume that the colours were made from, or save one channel on purpose",
        )


def _spatial(values: Pixels) -> Shape:
    return _shape3(values.shape)


def _shape3(shape: tuple[int, ...]) -> Shape:
    return shape[-3], shape[-2], shape[-1]


def _wanted_grid(
    geometry: Geometry, shape: Shape, spacing_mm: tuple[float, float, float] | None
) -> tuple[Geometry, Shape] | None:
    if spacing_mm is None or np.allclose(geometry.spacing_mm, spacing_mm, rtol=_SAME_SPACING, atol=0):
        return None
    return grid_of_spacing(geometry, shape, spacing_mm=spacing_mm)


def _millimetres(geometry: Geometry) -> str:
    return " x ".join(f"{spacing:.3g}" for spacing in geometry.spacing_mm) + " mm"


def _field_and_window(values: Pixels, preparation: Preparation) -> tuple[npt.NDArray[np.bool_], Window]:
    if preparation.preset == "ct":
        Window(low=float(values.min()), high=float(values.max()), unit="HU")  # a constant volume is refused
        low, high = preparation.window_hu
        return np.ones(values.shape, dtype=bool), Window(low=low, high=high, unit="HU")
    field = find_foreground(values)
    low, high = (float(value) for value in np.percentile(values[field], preparation.percentiles))
    return field, Window(low=low, high=high, unit="a.u.")


def _traced(trace: Trace) -> tuple[Geometry, Geometry]:
    prepared, source = trace.prepared_geometry, trace.source_geometry
    if prepared is None or source is None:
        raise GeometryError("G021", "the trace is not a volume's", got=f"preset {trace.preset}")
    return prepared, source


def _turned_back(values: Pixels, geometry: Geometry, target: Geometry) -> Pixels:
    return turn_back(values, geometry, to=target)


def _prepared_again(source: Image, trace: Trace) -> Floats:
    return trace.window.to_unit(reorient(source.pixels, _geometry(source), axis_codes=AXIS_CODES)[0])


def _able_to_hold(source: Image, window: Window) -> Image:
    """The source, or its like in float32 where its type is too small or too coarse for a window."""
    if window.unit == "HU" and source.stored.unit != "HU":  # an MR made into a CT is written as one
        source = replace(source, stored=replace(source.stored, unit="HU"))
    stored = source.stored
    if np.dtype(stored.dtype).kind == "f":
        return source
    limits = np.iinfo(stored.dtype)
    ends = sorted((stored.slope * limits.min + stored.intercept, stored.slope * limits.max + stored.intercept))
    fine = (window.high - window.low) / abs(stored.slope) >= _FEWEST_LEVELS
    if fine and ends[0] <= window.low and window.high <= ends[1]:
        return source
    note = f"stored anew: {stored.dtype} cannot hold [{window.low:g}, {window.high:g}] in {_FEWEST_LEVELS} steps"
    anew = StoredAs(format=stored.format, dtype="float32", unit=window.unit, notes=(*stored.notes, note))
    if stored.format == "dicom":  # which has no floats for CT and MR: a rescale that spreads the window over 16 bits
        anew = replace(anew, dtype="uint16", slope=_sixteen_bits(window), intercept=float(f"{window.low:.10g}"))
    return replace(source, pixels=source.pixels.astype(np.float32), stored=anew)


def _sixteen_bits(window: Window) -> float:
    return float(f"{(window.high - window.low) / (2**16 - 2):.10g}")


def _to_type(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    if dtype.kind == "f":
        return values.astype(dtype)
    return round_to(values, dtype.name)[0]
