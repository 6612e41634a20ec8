"""Thumbnails and digests by which an image is found again, whatever the format that it is stored in."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from medgan.imaging.geometry import reorient
from medgan.imaging.image import Image, Pixels
from medgan.transforms.trace import Prepared
from medgan.transforms.volume import AXIS_CODES

Floats = npt.NDArray[np.float32]

_SIDES = {2: 64, 3: 24}
_SMOOTHING = {2: 2.0, 3: 1.0}
_RIMS = {2: 3, 3: 1}
_LEAST_FIELD = 0.9
_LEAST_CONTRAST = 0.02
_STEPS = 32.0
_WAVES = {2: 8, 3: 4}


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """What is kept of an image to find it again: 4 kB of a picture, 14 kB of a volume.

    Args:
        contrast: Local contrast within the field, int8, shape (64, 64) or (24, 24, 24).
        signs: Perceptual hash, 63 values of 1 or -1.
    """

    contrast: npt.NDArray[np.int8]
    signs: npt.NDArray[np.int8]

    @cached_property
    def is_plain(self) -> bool:
        """Whether there is nothing to be recognised by."""
        return not self.contrast.any()


def thumbnail_of(prepared: Prepared) -> Thumbnail:
    """Make the thumbnail of a prepared image.

    Brightness and vignetting are divided out and only the field counts: else every fundus photograph is like every
    other by its bright disc on black.

    Source:
        Perceptual hash: signs of the lowest cosine waves, after Zauner 2010, "Implementation and benchmarking of
        perceptual image hash functions".
    """
    from scipy import fft, ndimage

    grey = prepared.pixels.mean(axis=0)
    side = _SIDES[grey.ndim]
    small = block_means(grey, (side,) * grey.ndim)
    field = block_means(prepared.field.astype(np.float32), small.shape) > _LEAST_FIELD
    # the rim is the camera's: dust and glare on it are alike in all of its photographs
    field = ndimage.binary_erosion(field, iterations=_RIMS[grey.ndim], border_value=1)
    waves = fft.dctn(small, norm="ortho")[(slice(_WAVES[grey.ndim]),) * grey.ndim].ravel()[1:]
    contrast = np.clip(np.rint(_local_contrast(small, field) * _STEPS), -127, 127).astype(np.int8)
    return Thumbnail(contrast, np.where(waves > np.median(waves), 1, -1).astype(np.int8))


def digest_of(pixels: Pixels) -> bytes:
    """SHA-256 of values, whatever type they are stored in.

    Args:
        pixels: (C, ...); three equal channels count as one.
    """
    if pixels.shape[0] > 1 and (pixels == pixels[:1]).all():
        pixels = pixels[:1]
    values = np.ascontiguousarray(pixels, dtype="<f4") + np.float32(0)  # -0.0 becomes 0.0
    return hashlib.sha256(str(values.shape).encode() + values.tobytes()).digest()


def image_digest(image: Image) -> bytes:
    """SHA-256 of an image's decoded pixels: the same for PNG and TIFF, or for a volume stored in another order."""
    return digest_of(_turned(image.pixels, image))


def label_digest(label: Pixels, image: Image) -> bytes:
    """SHA-256 of an image's labels, (H, W) or (D, H, W)."""
    return digest_of(_turned(label[None], image))


def block_means(values: npt.NDArray[np.floating], shape: tuple[int, ...]) -> Floats:
    """Means over equal blocks, whose borders may fall within a pixel.

    Args:
        values: (H, W) or (D, H, W).
        shape: Wanted number of blocks along each axis; a larger one than there is repeats pixels.

    Example:
        >>> block_means(np.array([[1.0, 2.0, 3.0]]), (1, 2))
        array([[1.3333334, 2.6666667]], dtype=float32)
    """
    out = values.astype(np.float64)
    for axis, count in enumerate(shape):
        sums = np.cumsum(out, axis=axis)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis=axis)), sums], axis=axis)
        borders = np.linspace(0, out.shape[axis], count + 1)
        low = np.minimum(borders.astype(np.intp), out.shape[axis] - 1)
        share = (borders - low).reshape([-1 if other == axis else 1 for other in range(out.ndim)])
        at = sums.take(low, axis=axis) * (1 - share) + sums.take(low + 1, axis=axis) * share
        out = np.diff(at, axis=axis) * (count / out.shape[axis])
    return out.astype(np.float32)


def _turned(pixels: Pixels, image: Image) -> Pixels:
    if image.geometry is None:
        return pixels
    return reorient(pixels, image.geometry, axis_codes=AXIS_CODES)[0]


def _local_contrast(small: Floats, field: npt.NDArray[np.bool_]) -> Floats:
    from scipy import ndimage

    sigma = _SMOOTHING[small.ndim]
    inside = field.astype(np.float32)
    near = ndimage.gaussian_filter(inside, sigma) + 1e-6
    detail = np.where(field, small - ndimage.gaussian_filter(small * inside, sigma) / near, 0)
    around = ndimage.gaussian_filter(inside, 2 * sigma) + 1e-6
    spread = np.sqrt(ndimage.gaussian_filter(detail**2, 2 * sigma) / around)
    return np.asarray(inside * detail / (spread + _LEAST_CONTRAST), dtype=np.float32)
