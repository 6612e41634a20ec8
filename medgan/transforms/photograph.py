"""Prepare a photograph for a network, and put a translated one back into the picture."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from medgan.errors import GeometryError
from medgan.imaging.image import Image, Pixels
from medgan.imaging.intensity import Window
from medgan.settings.preparation import Preparation
from medgan.transforms.black_corners import find_lit_field
from medgan.transforms.field_of_view import find_field, square_box
from medgan.transforms.trace import Box, Prepared, Trace, notes_of

Floats = npt.NDArray[np.float32]


def prepare_photograph(image: Image, preparation: Preparation, *, label: Pixels | None = None) -> Prepared:
    """Crop, resize with antialiasing and scale to [-1, 1].

    Args:
        image: (C, H, W), uint8 or uint16; or a smaller version of the picture, decoded so for speed. The prepared
            array then differs by a level or so, so that training and translating must start from the same.
        preparation: ``fundus`` crops to the square round the field of view, padded where the field is cut;
            ``photograph`` keeps the whole picture and its aspect ratio, and marks dark corners as no field.
        label: Labels (H, W), resized to the nearest, or by majority of the area where two values are made smaller.

    Returns:
        Pixels (C, h, w); -1 outside a fundus photograph's field.
    """
    step = _step(image)
    fundus = preparation.preset == "fundus"
    field = find_field(image.pixels) if fundus else find_lit_field(image.pixels)
    seen = square_box(field) if fundus else (0, 0, *field.shape)
    box = _scaled(seen, step) if fundus else (0, 0, image.grid_shape[0], image.grid_shape[1])
    shape = _target_shape(box, preparation.size_px)
    prepared_field = _resize_field(_crop(field, seen), shape)
    window = _window(image)
    trace = Trace(
        preset=preparation.preset,
        source_shape=(image.channels, *image.grid_shape),
        prepared_shape=(image.channels, *shape),
        window=window,
        crop=box,
        resampled=shape != box[2:],
        losses=_losses(box, shape, step),
        notes=notes_of(image),
    )
    return Prepared(
        _prepared_pixels(image.pixels, trace, prepared_field if fundus else None, step=step),
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
        An image of the source's size and type; the source's own pixels outside a fundus photograph's field.
    """
    wanted = window or trace.window
    box, shape = _box(trace), trace.source_shape[1:]
    if pixels.shape[0] != source.channels or wanted != trace.window:
        levels = wanted.from_unit(_resize(pixels, (box[2], box[3]))).astype(np.float32)
        canvas = np.full((pixels.shape[0], *shape), wanted.low, dtype=np.float32)
        return source.with_pixels(_to_type(_paste(canvas, levels, box), source.pixels.dtype))
    field = find_field(source.pixels) if trace.preset == "fundus" else None
    small = None
    if field is not None:
        small = _resize_field(_crop(field, box), (pixels.shape[1], pixels.shape[2]))
    before = _prepared_pixels(source.pixels, trace, small) if prepared_source is None else prepared_source
    change = np.float32((wanted.high - wanted.low) / 2) * (pixels - before)
    change = _resize((change if small is None else change * small).astype(np.float32), (box[2], box[3]))
    added = _paste(np.zeros(source.pixels.shape, dtype=np.float32), change, box)
    added = added if field is None else added * field
    return source.with_pixels(_to_type(source.pixels + added, source.pixels.dtype))


def restore_photograph_label(label: Pixels, trace: Trace) -> Pixels:
    """Put labels (h, w) back on the source's pixels, to the nearest; zero outside the crop."""
    box = _box(trace)
    canvas = np.zeros(trace.source_shape[1:], dtype=label.dtype)
    return _paste(canvas[None], resize_labels(label, (box[2], box[3]))[None], box)[0]


def reading_px(preparation: Preparation) -> int | None:
    """How large a photograph must be decoded at least, on its longer side, to be prepared well; None for in full."""
    return None if preparation.is_volume or preparation.size_px is None else 2 * preparation.size_px


def resize_labels(label: Pixels, shape: tuple[int, int]) -> Pixels:
    """Resize labels (H, W) to the nearest; two values made smaller go by the majority of the area.

    Example:
        >>> resize_labels(np.array([[0, 255], [0, 255]], dtype=np.uint8), (1, 2))
        array([[  0, 255]], dtype=uint8)
    """
    if label.shape == shape:
        return label
    values = np.flatnonzero(np.bincount(label.ravel())) if label.dtype == np.uint8 else np.unique(label)
    values = values.astype(label.dtype)
    if values.size == 1:
        return np.full(shape, values[0])
    if values.size == 2 and shape[0] < label.shape[0]:
        share = _resize_one((label == values[1]).astype(np.float32), shape, Pillow.Resampling.BOX)
        return values[(share >= 0.5).astype(np.intp)]
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp) for new, old in zip(shape, label.shape, strict=True)
    )
    return label[np.ix_(rows, columns)]


def _step(image: Image) -> int:
    """How many of the picture's pixels each pixel in memory stands for, along an axis."""
    if image.full_shape is None:
        return 1
    for step in (2, 4, 8):
        if tuple(-(-length // step) for length in image.full_shape) == image.pixels.shape[1:]:
            return step
    raise GeometryError(
        "G075",
        "the pixels are no smaller version of the picture",
        where=str(image.path or "image"),
        got=str(image.pixels.shape[1:]),
        expected=f"1/2, 1/4 or 1/8 of {image.full_shape}",
    )


def _scaled(box: Box, step: int) -> Box:
    return box[0] * step, box[1] * step, box[2] * step, box[3] * step


def _window(image: Image) -> Window:
    return Window(low=0.0, high=float(np.iinfo(image.pixels.dtype).max), unit=image.stored.unit)


def _target_shape(box: Box, size_px: int | None) -> tuple[int, int]:
    height, width = box[2:]
    scale = 1.0 if size_px is None else size_px / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _losses(box: Box, shape: tuple[int, int], step: int) -> tuple[str, ...]:
    if shape == box[2:]:
        return ()
    at = f", decoded at 1/{step}" if step > 1 else ""
    return (f"resampled from {box[2]} x {box[3]} to {shape[0]} x {shape[1]} pixels{at}",)


def _prepared_pixels(pixels: Pixels, trace: Trace, field: npt.NDArray[np.bool_] | None, *, step: int = 1) -> Floats:
    shape = (trace.prepared_shape[1], trace.prepared_shape[2])
    top, left, height, width = _box(trace)
    cropped = _crop(pixels, (top // step, left // step, -(-height // step), -(-width // step)))
    if cropped.dtype == np.uint8:
        small = _resize_bytes(cropped, shape, covered=(height / step, width / step))
        unit = trace.window.to_unit(np.arange(256))[small]  # each of the 256 levels once
    else:
        unit = trace.window.to_unit(_resize(cropped.astype(np.float32), shape))
    if field is not None:
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


def _resize_bytes(array: Pixels, shape: tuple[int, int], *, covered: tuple[float, float]) -> Pixels:
    """As :func:`_resize` for uint8 (C, H, W), and only for the rows and columns covered."""
    if array.shape[1:] == shape == covered:
        return array
    size, box = (shape[1], shape[0]), (0.0, 0.0, covered[1], covered[0])
    planes = [Pillow.fromarray(np.ascontiguousarray(plane)) for plane in array]
    picture = Pillow.merge("RGB", planes) if len(planes) == 3 else planes[0]
    small = np.asarray(picture.resize(size, Pillow.Resampling.BICUBIC, box=box, reducing_gap=3.0))
    return small[None] if small.ndim == 2 else np.moveaxis(small, -1, 0)


def _resize_field(field: npt.NDArray[np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Resize a mask (H, W) by the majority of the area, or to the nearest where it is enlarged."""
    if field.shape == shape or field.all():
        return np.ones(shape, dtype=bool) if field.all() else field
    picture = Pillow.fromarray(field.view(np.uint8) * np.uint8(255))
    return np.asarray(picture.resize((shape[1], shape[0]), Pillow.Resampling.BOX)) >= 128


def _resize_one(array: Floats, shape: tuple[int, int], how: Pillow.Resampling) -> Floats:
    return np.asarray(Pillow.fromarray(np.ascontiguousarray(array)).resize((shape[1], shape[0]), how))


def _to_type(values: Pixels, dtype: np.dtype[Any]) -> Pixels:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
