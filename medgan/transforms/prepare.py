"""The deterministic chain of a modality: from an image as read to [-1, 1], and back."""

import numpy as np
import numpy.typing as npt

from medgan.errors import GeometryError
from medgan.imaging.image import Image, Pixels
from medgan.imaging.intensity import Window
from medgan.settings.preparation import Preparation
from medgan.transforms.photograph import prepare_photograph, restore_photograph, restore_photograph_label
from medgan.transforms.trace import Prepared, Trace
from medgan.transforms.volume import prepare_volume, restore_volume, restore_volume_label

__all__ = ["Prepared", "Trace", "check_preset", "prepare", "restore", "restore_label"]

_VOLUME_PRESETS = ("ct", "mr")


def prepare(image: Image, preparation: Preparation, *, label: Pixels | None = None) -> Prepared:
    """Prepare one image, and its labels, for a network.

    Args:
        image: As read: (C, H, W) in levels or (1, D, H, W) in units.
        preparation: Preset and its settings.
        label: Integer labels on the image's grid, (H, W) or (D, H, W); their values are kept.

    Returns:
        float32 pixels in [-1, 1], the labels on the same grid, the field, and the trace that undoes it.

    Raises:
        GeometryError: G003 if label and image differ in shape; G021 if the preset does not fit the image.
        IntensityError: I001, if a volume is constant.
    """
    check_preset(image, preparation)
    if label is not None and label.shape != image.grid_shape:
        raise GeometryError(
            "G003",
            "label and image differ in shape",
            where=str(image.path or "image"),
            got=str(label.shape),
            expected=str(image.grid_shape),
        )
    return (prepare_volume if image.is_volume else prepare_photograph)(image, preparation, label=label)


def check_preset(image: Image, preparation: Preparation) -> None:
    """Refuse a preset for another kind of image.

    Raises:
        GeometryError: G021.
    """
    if (preparation.preset in _VOLUME_PRESETS) != image.is_volume:
        raise GeometryError(
            "G021",
            "the preset does not fit the image",
            where=str(image.path or "image"),
            got=f"preset {preparation.preset} for a {'volume' if image.is_volume else 'photograph'}",
            expected="ct or mr for a volume, fundus or photograph for a photograph",
        )


def restore(
    pixels: npt.NDArray[np.float32],
    trace: Trace,
    *,
    source: Image,
    prepared_source: npt.NDArray[np.float32] | None = None,
    window: Window | None = None,
) -> Image:
    """Undo :func:`prepare` for a translated array.

    Args:
        pixels: (C', H, W) or (C', D, H, W) in [-1, 1], on the prepared grid.
        trace: Of the source's preparation.
        source: The image as read.
        prepared_source: What the network saw. The identity then gives the source back bit by bit, save where a volume
            was resampled. Made again from the source if None.
        window: Window of the target domain, where its units are another scale than the source's.

    Returns:
        An image on the source's grid, stored as the source is.

    Raises:
        GeometryError: G022, if array, trace and source do not belong together.
    """
    _check_fits(pixels.shape[1:], trace.prepared_shape[1:], "array")
    _check_fits(source.pixels.shape, trace.source_shape, "source")
    if prepared_source is not None:
        _check_fits(prepared_source.shape, trace.prepared_shape, "prepared source")
    put_back = restore_volume if trace.preset in _VOLUME_PRESETS else restore_photograph
    return put_back(pixels, trace, source=source, prepared_source=prepared_source, window=window)


def restore_label(label: Pixels, trace: Trace) -> Pixels:
    """Put labels back on the source's grid, to the nearest.

    Args:
        label: (H, W) or (D, H, W), on the prepared grid.
        trace: Of the source's preparation.

    Returns:
        Labels of the source's spatial shape; zero beyond a photograph's crop.

    Raises:
        GeometryError: G022, if the shape is not the prepared one.
    """
    _check_fits(label.shape, trace.prepared_shape[1:], "label")
    return (restore_volume_label if trace.preset in _VOLUME_PRESETS else restore_photograph_label)(label, trace)


def _check_fits(got: tuple[int, ...], expected: tuple[int, ...], name: str) -> None:
    if tuple(got) != tuple(expected):
        raise GeometryError(
            "G022", f"the {name} does not belong to the trace", got=str(tuple(got)), expected=str(tuple(expected))
        )
