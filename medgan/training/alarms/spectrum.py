"""A checkerboard in an image's spectrum: what an upsampling by two leaves, once or twice.

A pattern that repeats every two or four pixels is a peak at the half or the quarter of the sampling frequency. Texture
and edges are no peaks there: their energy is as high beside these frequencies as at them. So each is compared with its
surroundings along both axes and the diagonals, and never with the image's energy as a whole.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LEAST_SIDE_PX = 32
_BESIDE = 4
_PERIODS = ((2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (4, 4), (4, 2), (2, 4), (4, -4))
"""Period in pixels downwards and to the right; 1 is none."""


class Pattern(NamedTuple):
    """The strongest regular pattern of some images.

    Args:
        peak: Its energy over that of its surroundings; about 1 where there is none.
        height: Its root mean square in the images' unit.
        period_px: How often it repeats, down and to the right; 1 is not at all.
    """

    peak: float
    height: float
    period_px: tuple[int, int]


def find_pattern(images: Tensor) -> Pattern | None:
    """The strongest pattern that repeats every two or four pixels.

    Args:
        images: (N, C, H, W) in [-1, 1]; what exceeds a multiple of 4 is cut off.

    Returns:
        The pattern with the highest peak; None where a side is under 32 px, which leaves no surroundings to look at.

    Source:
        Odena 2016, doi:10.23915/distill.00003; Durall 2020, arXiv:2003.01826.
    """
    height, width = (side // 4 * 4 for side in images.shape[-2:])
    if min(height, width) < LEAST_SIDE_PX:
        return None
    power, scale = _power(images.detach().float()[..., :height, :width])
    # A window spreads a line over three frequencies each way.
    blocks = functional.avg_pool2d(functional.pad(power[None, None], (1, 1, 1, 1), mode="circular"), 3, 1)[0, 0] * 9
    found = [_pattern(blocks, scale, period) for period in _PERIODS]
    return max(found, key=lambda pattern: pattern.peak)


def _power(images: Tensor) -> tuple[Tensor, float]:
    """Energy by frequency (H, W), mean over images and channels, and what divides it into a mean square."""
    height, width = images.shape[-2:]
    # Without a window the jump from one edge to the other would smear along both axes.
    window = torch.outer(*(torch.hann_window(side, device=images.device) for side in (height, width)))
    centred = images - images.mean(dim=(-2, -1), keepdim=True)
    power = torch.fft.fft2(centred * window).abs().square().mean(dim=(0, 1))
    return power, height * width * float(window.square().sum())


def _pattern(blocks: Tensor, scale: float, period: tuple[int, int]) -> Pattern:
    height, width = blocks.shape
    y, x = (side // abs(every) * (1 if every > 0 else -1) % side for side, every in zip((height, width), period))  # noqa: B905
    at = float(blocks[y, x])

    def beside(*offsets: tuple[int, int]) -> float:
        return sum(float(blocks[(y + dy) % height, (x + dx) % width]) for dy, dx in offsets) / len(offsets)

    d = _BESIDE
    around = max(beside((d, 0), (-d, 0)), beside((0, d), (0, -d)), beside((d, d), (-d, -d)), beside((d, -d), (-d, d)))
    # As much again as rounding leaves, so that a blank image has no peak.
    rounding = 1e-12 * scale
    excess = max(at - around, 0.0)
    return Pattern((at + rounding) / (around + rounding), (excess / scale) ** 0.5, (abs(period[0]), abs(period[1])))
