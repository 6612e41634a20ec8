"""Where the patient is in an MR volume."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]

_WORKING_VOXELS = 96
_DARK_CORNERS = 0.25


def find_foreground(values: npt.NDArray[np.generic]) -> Mask:
    """Separate the patient from the air round it.

    Air is looked for in the corners: where they are dark, Otsu's threshold of the smoothed volume divides it from the
    patient, whose cavities belong to him. A crop whose corners are tissue is foreground throughout.

    Args:
        values: (D, H, W), any unit.

    Returns:
        Mask (D, H, W); all true for a constant volume.

    Source:
        Otsu 1979, IEEE Trans. SMC 9:62, DOI 10.1109/TSMC.1979.4310076.
    """
    from skimage.filters import threshold_otsu

    steps = tuple(max(1, -(-size // _WORKING_VOXELS)) for size in values.shape)
    small = values[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    smooth = ndimage.gaussian_filter(small, sigma=1.0, mode="nearest")
    low, high = (float(value) for value in np.percentile(smooth, (0, 99)))
    if high <= low or _corner_level(smooth) > low + _DARK_CORNERS * (high - low):
        return np.ones(values.shape, dtype=bool)
    root = np.sqrt(np.clip((smooth - low) / (high - low), 0.0, 1.0))  # so that dim tissue is not taken for air
    mask = root > threshold_otsu(root.ravel())  # flat: three slices side by side would pass for colours
    mask = ndimage.binary_fill_holes(ndimage.binary_dilation(mask))
    grid = np.ix_(*(np.arange(size) // step for size, step in zip(values.shape, steps, strict=True)))
    return np.asarray(mask[grid], dtype=bool)


def _corner_level(values: npt.NDArray[np.float32]) -> float:
    ends = [(slice(None, max(1, size // 10)), slice(-max(1, size // 10), None)) for size in values.shape]
    corners = [values[d, h, w].ravel() for d in ends[0] for h in ends[1] for w in ends[2]]
    return float(np.median(np.concatenate(corners)))
