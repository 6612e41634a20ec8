"""Prepare a CT or MR volume for a network, and put a translated one back on its grid."""

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError
from medgan.imaging.geometry import Geometry, reorient, reorient_view, turn_back
from medgan.imaging.image import Image, Pixels
from medgan.imaging.intensity import Window
from medgan.settings.preparation import Preparation
from medgan.transforms.foreground import find_foreground
from medgan.transforms.resample import Shape, grid_of_spacing, resample, resample_labels
from medgan.transforms.slabs import Restoring, able_to_hold, slabs, to_type, traced
from medgan.transforms.trace import Prepared, Trace, notes_of, rows_of

Floats = npt.NDArray[np.float32]
Field = npt.NDArray[np.bool_]

AXIS_CODES = "SPL"
_SAME_SPACING = 1e-3


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
    turned = None if label is None else reorient(label[None], source, axis_codes=AXIS_CODES)[0][0]
    values, geometry = reorient_view(image.pixels, source, axis_codes=AXIS_CODES)
    wanted = _wanted_grid(geometry, _spatial(values), preparation.spacing_mm)
    if wanted is not None and turned is not None:
        turned = resample_labels(turned, geometry, to=wanted[0], shape=wanted[1])
    values, field, trace = trace_volume(image, preparation)
    pixels = np.empty(values.shape, dtype=np.float32)
    for part in slabs(_spatial(values)):
        pixels[:, part] = trace.window.to_unit(values[:, part])
    return Prepared(pixels, turned, np.ones(values.shape[1:], dtype=bool) if field is None else field, trace)


def trace_volume(image: Image, preparation: Preparation) -> tuple[Pixels, Field | None, Trace]:
    """What :func:`prepare_volume` does, but for the last step: values are not scaled yet.

    Returns:
        Values (1, D, H, W) in units with axes growing to "SPL", a view of the image's own unless resampled; the
        field, None where it is everything; and the trace, whose window scales the values.

    Raises:
        As :func:`prepare_volume`.
    """
    source = _geometry(image)
    _refuse_colour(image)
    values, geometry = reorient_view(image.pixels, source, axis_codes=AXIS_CODES)
    filled = image.stored.filled
    losses = [f"not finite, filled: {filled} voxels"] if filled else []
    wanted = _wanted_grid(geometry, _spatial(values), preparation.spacing_mm)
    if wanted is not None:
        values = resample(values, geometry, to=wanted[0], shape=wanted[1])
        losses.append(f"resampled from {_millimetres(geometry)} to {_millimetres(wanted[0])}")
        geometry = wanted[0]
    field, window = _field_and_window(values[0], preparation)
    clipped = _clipped_share(values[0], field, window)
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
    return values, field, trace


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
    put_back = restoring(trace, source=source, window=window)
    for part in slabs(_shape3(trace.prepared_shape)):
        before = None if prepared_source is None else prepared_source[:, part]
        put_back.put(part.start, pixels[:, part], before=before)
    return put_back.image()


def restoring(trace: Trace, *, source: Image, window: Window | None) -> "Restoring | RestoringResampled":
    """What puts a volume back as :func:`restore_volume` does, slab by slab as the translation gives them."""
    return (RestoringResampled if trace.resampled else Restoring)(source, trace, window=window)


class RestoringResampled:
    """Gathers a translated volume of another spacing; interpolating it back takes the whole, in float64.

    Args:
        source: The image as read.
        trace: How it was prepared.
        window: Window of the result, where it is not the trace's.
    """

    def __init__(self, source: Image, trace: Trace, *, window: Window | None) -> None:
        self._source, self._trace, self._window = source, trace, window or trace.window
        self._values = np.empty(trace.prepared_shape, dtype=np.float32)

    def put(self, start: int, pixels: Floats, *, before: Floats | None = None) -> None:
        """Take slices (1, n, H, W) in [-1, 1], from ``start`` on."""
        self._values[:, start : start + pixels.shape[1]] = self._window.from_unit(pixels)

    def image(self) -> Image:
        """The whole image, once every slice is there."""
        trace, wanted = self._trace, self._window
        geometry, target = traced(trace)
        values = resample(self._values, geometry, to=target, shape=_shape3(trace.source_shape))
        out = self._source if wanted == trace.window else able_to_hold(self._source, wanted)
        result = np.empty(values.shape, dtype=out.pixels.dtype)
        for part in slabs(_shape3(values.shape)):
            result[:, part] = to_type(values[:, part].astype(np.float64), result.dtype)
        return out.with_pixels(result)


def restore_volume_label(label: Pixels, trace: Trace) -> Pixels:
    """Put labels (D, H, W) back on the source's grid, to the nearest."""
    geometry, target = traced(trace)
    if trace.resampled:
        return resample_labels(label, geometry, to=target, shape=_shape3(trace.source_shape))
    return turn_back(label[None], geometry, to=target)[0]


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


def _field_and_window(values: Pixels, preparation: Preparation) -> tuple[Field | None, Window]:
    if preparation.preset == "ct":
        Window(low=float(values.min()), high=float(values.max()), unit="HU")  # a constant volume is refused
        low, high = preparation.window_hu
        return None, Window(low=low, high=high, unit="HU")
    field = find_foreground(values)
    ends = np.percentile(values[field], preparation.percentiles, overwrite_input=True)
    low, high = (float(value) for value in ends)
    return field, Window(low=low, high=high, unit="a.u.")


def _clipped_share(values: Pixels, field: Field | None, window: Window) -> float:
    """Share of the field that the window clips, counted slab by slab."""
    clipped = total = 0
    for part in slabs(_shape3(values.shape)):
        inside = values[part].ravel() if field is None else values[part][field[part]]
        clipped += int(np.count_nonzero((inside < window.low) | (inside > window.high)))
        total += inside.size
    return clipped / total
