"""Prepare a photograph for a network, and put a translated one back into the picture."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from medgan.errors import GeometryError
from medgan.imaging.image import Image, Pixels
from medgan.imaging.intensity import Window
from medgan.settings.preparation import Preparation
from medgan.transforms.field_of_view import find_field, square_box
from medgan.transforms.trace import Box, Prepared, Trace

Floats = npt.NDArray[np.float32]


def prepare_photograph(image: Image, preparation: Preparation, *, label: Pixels | None = None) -> Prepared:
    """Crop, resize with antialiasing and scale to [-1, 1].

    Args:
        image: (C, H, W), uint8 or uint16.
        preparation: ``fundus`` crops to the square round the field of view, padded where the field is cut;
            ``photograph`` keeps the whole picture and its aspect ratio.
        label: Labels (H, W), resized to the nearest, or by majority of the area where two values are made smaller.

    Returns:
        Pixels (C, h, w); -1 outside the field.
    """
    field = _field(image.pixels, preparation.preset)
    box = square_box(field) if preparation.preset == "fundus" else (0, 0, *field.shape)
    shape = _target_shape(box, preparation.size_px)
    prepared_field = resize_labels(_crop(field.view(np.uint8), box), shape) > 0
    window = _window(image)
    trace = Trace(
        preset=preparation.preset,
        source_shape=image.pixels.shape,
        prepared_shape=(image.channels, *shape),
        window=window,
        crop=box,
        resampled=shape != box[2:],
        losses=_losses(box, shape),
    )
    return Prepared(
        _prepared_pixels(image.pixels, trace, prepared_field),
        None if label is None else resize_labels(_crop(label, box), shape),
        prepared_field,
        trace,
    )


def restore_photograph(
    pixels: Floats, trace: Trace, *, source: Image, prepared_source: Floats | None, window: Window | None
) -> Image:
    """Put a translated picture back on the source's pixels.

    What the translation changed is enlarged and added to the source, so that detail finer than the prepared picture
    stays and the identity gives the source bit by bit. Where the channels or the window differ from the source's,
    there is nothing to add to: the translated picture itself is enlarged, on a background of the lowest level.

    Args:
        pixels: (C', h, w) in [-1, 1], on the prepared grid.
        trace: How the source was prepared.
        source: The image as read.
        prepared_source: What the network saw; made again from the source if None.
        window: Window of the result, where it is not the trace's.

    Returns:
        An image of the source's size and type; the source's own pixels outside its field.
    """
    wanted = window or trace.window
    box, shape = _box(trace), trace.source_shape[1:]
    if pixels.shape[0] != source.channels or wanted != trace.window:
        levels = wanted.from_unit(_resize(pixels, (box[2], box[3]))).astype(np.float32)
        canvas = np.full((pixels.shape[0], *shape), wanted.low, dtype=np.float32)
        return source.with_pixels(_to_type(_paste(canvas, levels, box), source.pixels.dtype))
    field = _field(source.pixels, trace.preset)
    small_field = resize_labels(_crop(field.view(np.uint8), box), (pixels.shape[1], pixels.shape[2])) > 0
    before = _prepared_pixels(source.pixels, trace, small_field) if prepared_source is None else prepared_source
    change = np.where(small_field, np.float32((wanted.high - wanted.low) / 2) * (pixels - before), np.float32(0))
    change = _resize(change.astype(np.float32), (box[2], box[3]))
    added = _paste(np.zeros(source.pixels.shape, dtype=np.float32), change, box) * field
    return source.with_pixels(_to_type(source.pixels + added, source.pixels.dtype))


def restore_photograph_label(label: Pixels, trace: Trace) -> Pixels:
    """Put labels (h, w) back on the source's pixels, to the nearest; zero outside the crop."""
    box = _box(trace)
    canvas = np.zeros(trace.source_shape[1:], dtype=label.dtype)
    return _paste(canvas[None], resize_labels(label, (box[2], box[3]))[None], box)[0]


def resize_labels(label: Pixels, shape: tuple[int, int]) -> Pixels:
    """Resize labels (H, W) to the nearest; two values made smaller go by the majority of the area.

    Example:
        >>> resize_labels(np.array([[0, 255], [0, 255]], dtype=np.uint8), (1, 2))
        array([[  0, 255]], dtype=uint8)
    """
    if label.shape == shape:
        return label
    values = np.unique(label)
    if values.size == 1:
        return np.full(shape, values[0])
    if values.size == 2 and shape[0] < label.shape[0]:
        share = _resize_one((label == values[1]).astype(np.float32), shape, Pillow.Resampling.BOX)
        return values[(share >= 0.5).astype(np.intp)]
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp) for new, old in zip(shape, label.shape, strict=True)
    )
    return label[np.ix_(rows, columns)]


def _field(pixels: Pixels, preset: str) -> npt.NDArray[np.bool_]:
    return find_field(pixels) if preset == "fundus" else np.ones(pixels.shape[1:], dtype=bool)


def _window(image: Image) -> Window:
    return Window(low=0.0, high=float(np.iinfo(image.pixels.dtype).max), unit=image.stored.unit)


def _target_shape(box: Box, size_px: int | None) -> tuple[int, int]:
    height, width = box[2:]
    scale = 1.0 if size_px is None else size_px / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _losses(box: Box, shape: tuple[int, int]) -> tuple[str, ...]:
    return () if shape == box[2:] else (f"resampled from {box[2]} x {box[3]} to {shape[0]} x {shape[1]} pixels",)


def _prepared_pixels(pixels: Pixels, trace: Trace, field: npt.NDArray[np.bool_]) -> Floats:
    shape = (trace.prepared_shape[1], trace.prepared_shape[2])
    cropped = _crop(pixels, _box(trace))
    small = _resize_bytes(cropped, shape) if cropped.dtype == np.uint8 else _resize(cropped.astype(np.float32), shape)
    unit = trace.window.to_unit(small)
    unit[:, ~field] = -1.0
    return unit


def _box(trace: Trace) -> Box:
    if trace.crop is None:
        raise GeometryError("G020", "the trace is not a photograph's", got=f"preset {trace.preset}")
    return trace.crop


def _crop(array: Pixels, box: Box) -> Pixels:
    """Cut a box out of (..., H, W); zero where it reaches beyond."""
    inside, place = _overlap(box, array.shape[-2:])
    if inside == (slice(0, box[2]), slice(0, box[3])):
        return array[(..., *place)]
    out = np.zeros((*array.shape[:-2], box[2], box[3]), dtype=array.dtype)
    out[(..., *inside)] = array[(..., *place)]
    return out


def _paste(canvas: Pixels, cut: Pixels, box: Box) -> Pixels:
    """Undo :func:`_crop` on a canvas (C, H, W), which is changed and returned."""
    inside, place = _overlap(box, canvas.shape[-2:])
    canvas[(..., *place)] = cut[(..., *inside)]
    return canvas


def _overlap(box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the box and the picture meet: within the box, and within the picture."""
    inside, place = [], []
    for start, size, limit in zip(box[:2], box[2:], shape, strict=True):
        low, high = max(0, start), min(limit, start + size)
        inside.append(slice(low - start, high - start))
        place.append(slice(low, high))
    return (inside[0], inside[1]), (place[0], place[1])


def _resize(array: Floats, shape: tuple[int, int]) -> Floats:
    """Resize floats (C, H, W) with an antialiased bicubic filter; the same size gives the same array."""
    if array.shape[1:] == shape:
        return array
    return np.stack([_resize_one(channel, shape, Pillow.Resampling.BICUBIC) for channel in array])


def _resize_bytes(array: Pixels, shape: tuple[int, int]) -> Pixels:
    """As :func:`_resize` for uint8 (C, H, W), all channels at once."""
    if array.shape[1:] == shape:
        return array
    size = (shape[1], shape[0])
    picture = Pillow.fromarray(np.moveaxis(array, 0, -1) if array.shape[0] == 3 else array[0])
    small = np.asarray(picture.resize(size, Pillow.Resampling.BICUBIC, reducing_gap=3.0))
    return small[None] if small.ndim == 2 else np.moveaxis(small, -1, 0)


def _resize_one(array: Floats, shape: tuple[int, int], how: Pillow.Resampling) -> Floats:
    return np.asarray(Pillow.fromarray(np.ascontiguousarray(array)).resize((shape[1], shape[0]), how))


def _to_type(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
