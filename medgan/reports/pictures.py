"""Pictures for a page: 8-bit arrays as data URIs, label masks as outlines."""

import base64
import io
from dataclasses import dataclass

import numpy as np

from medgan.reports.exhibits import Labels, Picture

_KEPT_EXACT_PX = 320


@dataclass(frozen=True)
class Fidelity:
    """How much of a picture is kept.

    Args:
        size_px: Longest side; larger pictures are reduced.
        quality: JPEG quality, 1 to 95.
    """

    size_px: int
    quality: int


def data_uri(picture: Picture, *, fidelity: Fidelity) -> str:
    """Encode a picture for the ``src`` of an image.

    Args:
        picture: uint8, shape (H, W, 3) or (H, W).
        fidelity: How much to keep; pictures up to 320 px that need no reduction are kept exactly.

    Returns:
        A PNG (exact) or JPEG data URI.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    exact = max(image.size) <= min(_KEPT_EXACT_PX, fidelity.size_px)
    image.thumbnail((fidelity.size_px, fidelity.size_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if exact:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=fidelity.quality, subsampling=0)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def outline(mask: Labels) -> str:
    """Trace the edges of every label in a mask.

    Args:
        mask: Integer labels, shape (H, W); 0 is background.

    Returns:
        The ``d`` of an SVG path in pixel units, x to the right and y down, pixel (0, 0) covering [0, 1] x [0, 1];
        empty where the mask is.
    """
    from skimage.measure import approximate_polygon, find_contours

    tolerance = max(mask.shape) / 1000
    parts = []
    for label in np.unique(mask[mask != 0]):
        framed = np.pad((mask == label).astype(np.float32), 1)
        for line in find_contours(framed, 0.5):
            kept = approximate_polygon(line, tolerance) - 0.5
            if len(kept) >= 3:
                parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in kept[:-1]) + "Z")
    return "".join(parts)
